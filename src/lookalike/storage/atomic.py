"""Files and galleries that appear at their place whole or not at all, and leave nothing in the way when that fails.

Their writer may be killed at any instant. So they are written into a folder with a name of our own, which says
by a lock that its writer lives, and moved when they are whole; what a dead writer left is deleted by the next one.
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
"""Names and inodes of files while they are moved into place one by one."""


@contextmanager
def placed(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Lend a hidden folder to write files into; all of them are moved into place together at the end.

    Args:
        folder: Where they will be.
        names: What must be in the hidden folder at the end, and must not be in the folder.

    Raises:
        UsageError: A file is there already.
        LookalikeError: Another process is writing there just now.
        OSError: The disk is full, or the folder cannot be written to.
    """
    from filelock import FileLock

    clear_dead(folder)
    for name in names:
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} is there already; name another folder, or delete it")
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


def clear_dead(folder: Path) -> None:
    """Delete what writers that died left in a folder.

    Raises:
        LookalikeError: One is alive.
    """
    from filelock import FileLock, Timeout

    for parts in folder.glob(f"{PREFIX}*"):
        try:
            with FileLock(parts / LOCK, thread_local=False).acquire(timeout=0):
                take_back(folder, parts)
                shutil.rmtree(parts)
        except Timeout:
            raise LookalikeError(f"another export is writing into {folder}; wait for it, or name another") from None


def take_back(folder: Path, parts: Path) -> None:
    """Delete files that were moved into place before the last of them was: what has their names and is theirs."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        for name, inode in json.loads((parts / MOVED).read_text(encoding="utf-8")).items():
            with contextlib.suppress(FileNotFoundError):
                if (folder / name).stat().st_ino == inode:
                    (folder / name).unlink()


def move(source: Path, target: Path) -> None:
    """Move a file to where there is none.

    Raises:
        UsageError: There is one by now.
    """
    try:
        target.hardlink_to(source)
    except FileExistsError:
        raise UsageError(f"{target} is there already; name another folder, or delete it") from None
    except OSError:  # the file system knows no links
        source.rename(target)
