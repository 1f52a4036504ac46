"""Files and folders that are there after a power cut, as soon as a function says so."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lookalike.errors import storage_error


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is complete under its name, and there after a power cut, or not there at all.

    Raises:
        StorageFullError: There is no room for it.
        LookalikeError: It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}")
    try:
        make_folder(path.parent)
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise storage_error(path, error) from error


def flush(path: Path) -> None:
    """Make sure that a file's contents are on the disk before its name is."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, durably."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Have the names of a folder's files on disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
