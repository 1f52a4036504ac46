"""Identity of the files at a gallery's path, by which a moved, deleted or replaced gallery is detected."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from lookalike.errors import GalleryGoneError, LookalikeError

COARSEST_NS: Final = 3_000_000_000
"""Longer than the clock tick of any file system: no later change has the modification time of one older than this."""

SHARED: Final = 32768
"""Bytes of SQLite's shared-memory file; a shorter file was begun by a process that found no room for it."""

NO_ROOM: Final = frozenset(
    (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
)
"""SQLite's error codes where a disk is too full, or too damaged, for its helper files."""


FileState: TypeAlias = tuple[int, int, int, int]
"""Device, inode, size and time of the last change, nanoseconds, of a file."""


class Files(NamedTuple):
    """Identity of a database's files.

    Attributes:
        database: Device, inode, size and time of the last change, nanoseconds.
        helpers: Inodes of the WAL and of the shared-memory file; None for a missing file.
    """

    database: FileState
    helpers: tuple[int | None, int | None]

    def same_place(self, other: Files) -> bool:
        """Whether the database is the same file, perhaps with other contents."""
        return self.database[:2] == other.database[:2]


class Place:
    """Cached identity of the files at a path.

    A folder's modification time changes when files are created or deleted in it. So the helper files are looked up only
    when that time is new, or so recent that a later change may have the same time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = str(path.parent)
        self._seen: tuple[tuple[int, int, int], tuple[int | None, int | None]] | None = None

    def now(self) -> Files:
        """Identity of the files now; see `files_at`."""
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
    """Identity of the files at a path.

    Raises:
        GalleryGoneError: There is no database at the path.
        LookalikeError: The path cannot be read.
    """
    return Files(database_at(path), helpers_at(path))


def database_at(path: Path) -> FileState:
    """Device, inode, size and modification time, nanoseconds, of the database at a path; see `files_at`."""
    found = look_at(str(path), path)
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would block
        raise GalleryGoneError(f"{path} is no longer a regular file: it was replaced")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def look_at(what: str, database: Path) -> os.stat_result:
    """Status of a database file or its folder; see `files_at` for the errors."""
    try:
        return os.stat(what)  # noqa: PTH116 - called for each search, and Path takes five times as long
    except (FileNotFoundError, NotADirectoryError):
        raise GalleryGoneError(f"there is no gallery at {database.parent} any more: it was moved or deleted") from None
    except OSError as error:
        raise LookalikeError(f"{database.parent} cannot be read: {error.strerror or error}") from None


def helpers_at(path: Path) -> tuple[int | None, int | None]:
    """Inodes of the WAL and shared-memory file of the database at a path; None for a missing file."""
    return inode_of(f"{path}-wal"), inode_of(f"{path}-shm")


def inode_of(path: str) -> int | None:
    """Inode of a file; None for a missing file."""
    try:
        return os.stat(path).st_ino  # noqa: PTH116 - as above
    except OSError:
        return None


def check_single_name(path: Path) -> None:
    """Refuse to write to a database that has a second name: a symbolic link, or a hard link as some backups make them.

    SQLite keeps its log and locks beside the name. Through two names two writers would mix up their pages, and writing
    through one name would change the backup that the other name stands for.

    Raises:
        GalleryGoneError: The database is missing.
        LookalikeError: The database has a second name.
    """
    try:
        found = path.lstat()
    except OSError:
        raise GalleryGoneError(f"there is no gallery at {path.parent} any more: it was moved or deleted") from None
    if stat.S_ISLNK(found.st_mode):
        raise LookalikeError(f"{path} is a link, and writing through it is not safe; link the gallery's folder instead")
    if found.st_nlink > 1:
        raise LookalikeError(
            f"{path} has {found.st_nlink} names (hard links), and writing to it would change the others; "
            "copy it to a new file, and move that file into its place"
        )


def is_immutable(path: Path, error: sqlite3.OperationalError) -> bool:
    """Whether a database can be read as immutable: no writer has files beside it, and this process can create none.

    Args:
        path: Path of the database.
        error: Error of opening it.
    """
    path = path.resolve()  # helper files lie beside the file, and not beside a link to it
    # SQLite truncates the shared memory, and fails with SHMOPEN if it cannot, only where no other process has it open.
    unshared = size_of(f"{path}-shm") < SHARED or error.sqlite_errorcode == sqlite3.SQLITE_IOERR_SHMOPEN
    alone = unshared and not size_of(f"{path}-wal")
    return alone and (not os.access(path.parent, os.W_OK) or error.sqlite_errorcode & 0xFF in NO_ROOM)


def size_of(path: str) -> int:
    """Size of a file in bytes; 0 for a missing file."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - as above
    except OSError:
        return 0
