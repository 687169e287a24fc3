"""Several processes share a plan: one takes a run, and another takes it if that one ends."""

import fcntl
from pathlib import Path
from typing import IO

DONE, TRIED = "done", "x"
TRIES = 3


def take(folder: Path, name: str) -> IO | None:
    """The run's open file, locked until it is closed; None if taken, done or tried too often.

    The lock ends with its process, however that ends: what was not finished is free again.
    """
    file = open(folder / name, "a+", encoding="utf-8")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.seek(0)
    if over(file.read()):
        file.close()
        return None
    return file


def over(text: str) -> bool:
    return DONE in text or len(text) >= TRIES


def is_over(folder: Path, name: str) -> bool:
    file = folder / name
    return file.is_file() and over(file.read_text(encoding="utf-8"))


def close(claim: IO, word: str) -> None:
    claim.write(word)
    claim.close()
