"""Files in parts, for machines that take little at a time."""

import os
from pathlib import Path

PART_BYTES = 14_000_000


def split(file: Path) -> None:
    """FILE becomes FILE.0, FILE.1, ..."""
    content = file.read_bytes()
    for i, start in enumerate(range(0, len(content), PART_BYTES)):
        file.with_name(f"{file.name}.{i}").write_bytes(content[start : start + PART_BYTES])
    file.unlink()


def whole(file: Path) -> bytes:
    """What FILE holds, or its parts if it is not there."""
    if file.is_file():
        return file.read_bytes()
    parts = sorted(file.parent.glob(f"{file.name}.[0-9]"))
    if not parts:
        raise FileNotFoundError(f"{file}: neither it nor parts of it; pack it first")
    return b"".join(part.read_bytes() for part in parts)


def joined(file: Path) -> Path:
    """FILE, put together from its parts if it is not there yet."""
    if not file.is_file():
        partial = file.with_suffix(f".{os.getpid()}")  # several processes may be at it
        partial.write_bytes(whole(file))
        partial.rename(file)
    return file
