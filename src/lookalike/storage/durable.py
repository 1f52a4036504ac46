"""Durable writes: files and folders that survive a power cut once a function has returned."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from lookalike.errors import storage_error


def write_durably(path: Path, data: bytes) -> None:
    """Write a file atomically and durably.

    Raises:
        StorageFullError: The disk is full.
        LookalikeError: The file cannot be written.
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
    """Flush a file's content to disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def make_folder(folder: Path) -> None:
    """Create a folder and its parents durably."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(exist_ok=True)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Flush the directory entries of a folder to disk."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
