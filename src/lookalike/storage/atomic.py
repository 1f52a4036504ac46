"""Atomic writes of several files: they appear in a folder together, or not at all.

The writer may be killed at any instant. So the files are written into a hidden folder that the writer holds a lock on,
and moved when they are complete; the next writer deletes what a killed one has left.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike.errors import LookalikeError, UsageError
from lookalike.storage.durable import flush, sync_folder

PREFIX: Final = ".lookalike-export-"
LOCK: Final = "lock"
MOVED: Final = "moved.json"
"""File with the names and inodes of files while they are moved one by one."""


@contextmanager
def placed(folder: Path, names: Sequence[str], *, alone: bool = True) -> Iterator[Path]:
    """Yield a hidden folder to write files into, which are moved into place together at the end.

    Args:
        folder: Destination folder.
        names: Names of the files, which must not exist in the destination.
        alone: Whether to refuse to write while another process is writing into the destination.

    Raises:
        UsageError: A file exists in the destination.
        LookalikeError: Another process is writing into the destination, and `alone` is set.
        OSError: The disk is full, or the folder cannot be written.
    """
    from filelock import FileLock

    clear_dead(folder, alone=alone)
    for name in names:
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} exists already; choose another folder, or delete it")
    parts = folder / f"{PREFIX}{uuid.uuid4().hex}"
    parts.mkdir()
    try:
        with FileLock(parts / LOCK, thread_local=False).acquire(timeout=0):
            yield parts
            for name in names:
                flush(parts / name)
            inodes = {name: (parts / name).stat().st_ino for name in names}
            (parts / MOVED).write_text(json.dumps(inodes), encoding="utf-8")
            try:
                for name in names:
                    move(parts / name, folder / name)
            except BaseException:
                take_back(folder, parts)
                raise
            sync_folder(folder)
            (parts / MOVED).unlink()
    finally:
        shutil.rmtree(parts, ignore_errors=True)


def clear_dead(folder: Path, *, alone: bool = True) -> None:
    """Delete the hidden folders of killed writers.

    Raises:
        LookalikeError: A writer is running, and `alone` is set.
    """
    from filelock import FileLock, Timeout

    for parts in folder.glob(f"{PREFIX}*"):
        try:
            with FileLock(parts / LOCK, thread_local=False).acquire(timeout=0):
                take_back(folder, parts)
                shutil.rmtree(parts)
        except Timeout:
            if alone:
                raise LookalikeError(
                    f"another export is writing into {folder}; wait for it, or choose another folder"
                ) from None


def take_back(folder: Path, parts: Path) -> None:
    """Delete files of an incomplete move, where name and inode are those recorded."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        for name, inode in json.loads((parts / MOVED).read_text(encoding="utf-8")).items():
            with contextlib.suppress(FileNotFoundError):
                if (folder / name).stat().st_ino == inode:
                    (folder / name).unlink()


def move(source: Path, target: Path) -> None:
    """Move a file without replacing another.

    Raises:
        UsageError: The destination exists.
    """
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise UsageError(f"{target} exists already; choose another folder, or delete it") from None
    except OSError:  # the file system has no hard links
        source.rename(target)
