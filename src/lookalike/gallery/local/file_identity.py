"""Which files stand at a gallery's path, so that a gallery which was moved, deleted or replaced is noticed."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Final, NamedTuple

from lookalike.errors import GalleryGoneError, LookalikeError

COARSEST_NS: Final = 3_000_000_000
"""More than a step of any file system's clock: what changed earlier than this before a look was seen by it."""

SHARED: Final = 32768
"""Bytes of the memory that processes share; a file with fewer was begun by one that found no room for it."""

NO_ROOM: Final = frozenset(
    (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
)
"""What SQLite says where a disk is too full, or too bad, for its helper files."""


class Files(NamedTuple):
    """What tells the database's files from others at the same path.

    Attributes:
        database: Device, inode, size and time of the last change.
        helpers: Inodes of the WAL and of the memory that processes share; None for those that are not there.
    """

    database: tuple[int, int, int, int]
    helpers: tuple[int | None, int | None]

    def same_place(self, other: Files) -> bool:
        """Whether it is the same file, if perhaps with other contents."""
        return self.database[:2] == other.database[:2]


class Place:
    """A path that is looked at again and again.

    Files are made and deleted in a folder under its eyes: its own time of the last change tells. So the helper files
    are looked at only when that is another than before, or so young that a later change may have the same.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._seen: tuple[tuple[int, int, int], tuple[int | None, int | None]] | None = None

    def now(self) -> Files:
        """What is there; see `files_at`."""
        database = database_at(self._path)
        found = look_at(self._folder, self._path)
        folder, seen = (found.st_dev, found.st_ino, found.st_mtime_ns), self._seen
        if seen is not None and seen[0] == folder:
            return Files(database, seen[1])
        is_settled = time.time_ns() - found.st_mtime_ns > COARSEST_NS
        helpers = helpers_at(self._path)
        self._seen = (folder, helpers) if is_settled else None
        return Files(database, helpers)


def files_at(path: Path) -> Files:
    """What is at a path now.

    Raises:
        GalleryGoneError: Nothing.
        LookalikeError: It cannot be looked at.
    """
    return Files(database_at(path), helpers_at(path))


def database_at(path: Path) -> tuple[int, int, int, int]:
    """What tells the database that is at a path now from others, and from itself before a change; see `files_at`."""
    found = look_at(str(path), path)
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
        raise GalleryGoneError(f"{path} is no file any more: it was replaced")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def look_at(what: str, database: Path) -> os.stat_result:
    """What the system knows of a database or its folder; see `files_at` for the errors."""
    try:
        return os.stat(what)  # noqa: PTH116 - for every question: Path takes five times as long
    except (FileNotFoundError, NotADirectoryError):
        raise GalleryGoneError(f"there is no gallery at {database.parent} any more: it was moved or deleted") from None
    except OSError as error:
        raise LookalikeError(f"{database.parent} cannot be read: {error.strerror or error}") from None


def helpers_at(path: Path) -> tuple[int | None, int | None]:
    """Inodes of the helper files of the database at a path; None for those that are not there."""
    return inode_of(f"{path}-wal"), inode_of(f"{path}-shm")


def inode_of(path: str) -> int | None:
    """The inode of a file; None where there is none."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - as above
    except OSError:
        return None


def check_only_name(path: Path) -> None:
    """Refuse to write to a database that has a second name, such as a hard link in a backup or a link to it.

    SQLite keeps its log and its locks beside the name: through two names it would mix up the pages of two writers, and
    what is written through the one would change the copy that the other was meant to be.

    Raises:
        GalleryGoneError: It is not there.
        LookalikeError: It has a second name.
    """
    try:
        found = path.lstat()
    except OSError:
        raise GalleryGoneError(f"there is no gallery at {path.parent} any more: it was moved or deleted") from None
    if stat.S_ISLNK(found.st_mode):
        raise LookalikeError(f"{path} is a link, and writing through it is not safe; link the gallery's folder instead")
    if found.st_nlink > 1:
        raise LookalikeError(
            f"{path} has {found.st_nlink} names (hard links), and writing to it would change what bears the others; "
            "copy it to a new file, and move that into its place"
        )


def is_immutable(path: Path, error: sqlite3.OperationalError) -> bool:
    """Whether a database stands alone, with nothing of a writer beside it, and this process can put nothing there."""
    path = path.resolve()  # SQLite puts them beside the file, and not beside a link to it
    # SQLite empties the shared memory, and fails with SHMOPEN when it cannot, only where no other process has it open.
    unshared = size_of(f"{path}-shm") < SHARED or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMOPEN
    alone = unshared and not size_of(f"{path}-wal")
    return alone and (not os.access(path.parent, os.W_OK) or error.sqlite_errorcode & 0xFF in NO_ROOM)


def size_of(path: str) -> int:
    """Bytes of a file; 0 where there is none."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - as above
    except OSError:
        return 0
