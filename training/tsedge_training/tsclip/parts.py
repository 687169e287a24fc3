"""Files in parts, for machines that take little at a time."""

import os
from pathlib import Path

PART_BYTES = 14_000_000


def split(file: Path) -> None:
    """FILE becomes FILE.0, FILE.1, ..."""
    whole = file.read_bytes()
    for i, start in enumerate(range(0, len(whole), PART_BYTES)):
        file.with_name(f"{file.name}.{i}").write_bytes(whole[start : start + PART_BYTES])
    file.unlink()


def joined(file: Path) -> Path:
    """FILE, put together from its parts if it is not there yet."""
    if not file.is_file():
        parts = sorted(file.parent.glob(f"{file.name}.[0-9]"))
        if not parts:
            raise FileNotFoundError(f"{file}: neither it nor parts of it; make it by `matrix pack`")
        partial = file.with_suffix(f".{os.getpid()}")  # several processes may be at it
        partial.write_bytes(b"".join(part.read_bytes() for part in parts))
        partial.rename(file)
    return file
