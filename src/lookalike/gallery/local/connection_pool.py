"""Connection pool of a gallery's database.

A folder can be moved, deleted or restored from a copy while a server has it open. SQLite does not notice: it continues
with files that have no name any more, and commits to them are lost. So each lease begins with a check of the database
and its folder (and of SQLite's helper files, where names in the folder may have changed), and connections to other
files are closed.

Closing a connection while a thread uses it crashes the process. Each connection is locked while it is used; closing
the pool interrupts running statements and waits for them.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from lookalike.errors import GalleryClosedError, LookalikeError
from lookalike.gallery.local import schema
from lookalike.gallery.local.file_identity import Files, Place, database_at, files_at, is_immutable
from lookalike.gallery.local.pooled_connection import PooledConnection, connect
from lookalike.gallery.local.wal import check_log
from lookalike.storage.fork import watch

CACHE_KIB: Final = 32768
INTERRUPT_S: Final = 0.02
"""Seconds between two interrupts of a statement that runs while the pool is closed."""

FORK_S: Final = 1.0
"""Seconds that a fork waits for the pool's lock."""

TRIES: Final = 20
"""Largest number of attempts to open a database that is being replaced."""

LONGEST_PAUSE_S: Final = 0.25
"""Seconds between two attempts, after the first few: another process that moves a large commit into the database's file
changes it all the time."""


class Lease:
    """Context in which a connection is used and not closed; see `ConnectionPool.lease` and `ConnectionPool.using`."""

    __slots__ = ("_from_pool", "_pool", "_reader")

    def __init__(self, connections: ConnectionPool, reader: PooledConnection, *, from_pool: bool) -> None:
        self._pool = connections
        self._reader = reader
        self._from_pool = from_pool

    def __enter__(self) -> PooledConnection:
        self._reader.lock.acquire()
        if self._reader.closed:
            self._leave()
            raise self._pool.closed()
        return self._reader

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reader = self._reader
        try:
            if isinstance(error, sqlite3.Error):
                if reader.closed:  # interrupted, or closed by this thread
                    raise self._pool.closed()
                # SQLite falls back to reading only on a bad disk, and stays so when the disk works again
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
                    reader.broken = True
            elif error is None and reader.immutable:
                self._pool.check_unchanged(reader)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._reader.lock.release()
        if self._from_pool:
            self._pool.release(self._reader)


class ConnectionPool:
    """Pool of connections to one database: one writer, and as many readers as threads use at a time.

    Args:
        path: Path of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = Place(path)
        self._guard = threading.RLock()
        self._closing = threading.RLock()
        self._idle: list[PooledConnection] = []
        self._writer: PooledConnection | None = None
        self._lent: set[PooledConnection] = set()
        self._files: Files | None = None  # of the idle connections
        self._mixed = False  # whether a connection from before the helper files were replaced is still in use
        self._inherited: list[PooledConnection] = []  # used by other threads at the fork: not to be closed
        self._guarded = False
        watch(self)

    def __del__(self) -> None:
        for reader in (*self._idle, *self._lent, *([self._writer] if self._writer else [])):
            self.end(reader)

    def lease(self, *, writer: bool = False) -> Lease:
        """Lease a connection: threads read with one each, and write one after the other.

        Raises:
            GalleryGoneError: The database is no longer at its path.
            GalleryClosedError: The pool was closed meanwhile.
            LookalikeError: The database was opened as immutable, and was written to meanwhile.
        """
        return Lease(self, self.take(writer=writer), from_pool=True)

    def take(self, *, writer: bool = False) -> PooledConnection:
        """Take a connection from the pool, for `using` and `release`; see `lease`."""
        with self._guard:
            self.drop_outdated()
            reader = self._writer if writer else self._idle.pop() if self._idle else None
            if reader is None:
                reader = self._open("rw" if writer else "ro")
                if writer:
                    self._writer = reader
            self._lent.add(reader)
            return reader

    def using(self, reader: PooledConnection) -> Lease:
        """Lock a connection that was taken, for a part of its use."""
        return Lease(self, reader, from_pool=False)

    def closed(self) -> GalleryClosedError:
        """The error of calls that were running when the pool was closed."""
        return GalleryClosedError(f"{self._path.parent} was closed during this call")

    def check_unchanged(self, reader: PooledConnection) -> None:
        """Check that a database opened as immutable has not changed.

        Raises:
            LookalikeError: The database was written to meanwhile.
        """
        if database_at(self._path) != reader.files.database:
            raise LookalikeError(f"{self._path} was written to while it was being read; try again")

    def release(self, reader: PooledConnection) -> None:
        """Return a connection to the pool."""
        with self._guard:
            self._lent.discard(reader)
            if reader.closed or reader.broken or reader.files is not self._files:
                if reader is self._writer:
                    self._writer = None
                self.end(reader)
            elif reader is not self._writer:
                self._idle.append(reader)

    def drop_outdated(self) -> None:
        """Close idle connections to files that are no longer at the path.

        Raises:
            GalleryGoneError: There is no database at the path.
        """
        with self._guard:
            now = self._place.now()
            if now == self._files:
                if not self._mixed or any(reader.files is not self._files for reader in self._lent):
                    return
            elif self._files is not None:
                self._mixed = bool(self._lent) and now.same_place(self._files) and now.helpers != self._files.helpers
            if now == self._files:
                self._mixed = False
            self._close_idle()

    def accept_current_files(self) -> None:
        """Record the present size and times of the files after a write through this pool."""
        with self._guard:
            if self._files is None:
                return
            now = files_at(self._path)
            if now.same_place(self._files) and now.helpers == self._files.helpers:
                for reader in (*self._idle, *self._lent, *([self._writer] if self._writer else [])):
                    if reader.files is self._files:
                        reader.files = now
                self._files = now

    def is_current(self, reader: PooledConnection) -> bool:
        """Whether a connection reads and writes the file at the path."""
        with contextlib.suppress(LookalikeError):
            return files_at(self._path).same_place(reader.files)
        return False

    def close(self) -> None:
        """Interrupt running statements and close all connections; later leases open new ones."""
        with self._closing:
            with self._guard:
                lent = list(self._lent)
                for reader in lent:
                    reader.closed = True
                self._close_idle()
            for reader in lent:
                while not reader.lock.acquire(timeout=INTERRUPT_S):
                    with contextlib.suppress(sqlite3.Error):
                        reader.connection.interrupt()
                self.end(reader)
                reader.lock.release()

    def end(self, reader: PooledConnection) -> None:
        """Close a connection, unless that has been done."""
        with reader.lock:
            is_untouched = False
            with contextlib.suppress(LookalikeError):
                is_untouched = database_at(self._path) == reader.files.database
            reader.close(is_untouched=is_untouched)

    def before_fork(self) -> None:
        """Close idle connections, which a child process must not inherit."""
        self._guarded = self._guard.acquire(timeout=FORK_S)
        if self._guarded:
            self._close_idle()

    def after_fork(self, *, child: bool) -> None:
        """Release the lock; a child starts with an empty pool."""
        if child:
            self._inherited += [*self._lent, *self._idle, *([self._writer] if self._writer else [])]
            self._idle, self._lent, self._writer, self._files = [], set(), None, None
            self._guard, self._closing = threading.RLock(), threading.RLock()
        elif self._guarded:
            self._guard.release()

    def _close_idle(self) -> None:
        """Close all connections that are not in use."""
        while self._idle:
            self.end(self._idle.pop())
        if self._writer is not None and self._writer not in self._lent:
            self.end(self._writer)
        self._writer = None
        self._files = None

    def _open(self, mode: str) -> PooledConnection:
        """Open a connection, and check that the files were not replaced meanwhile."""
        for attempt in range(TRIES):
            if attempt:
                time.sleep(min(LONGEST_PAUSE_S, 0.0005 * 2**attempt))
            before = files_at(self._path)
            immutable = False
            companion = (
                connect(self._path, "ro", trusted=True) if mode == "rw" else None
            )  # before the writer, for that may fail
            try:
                connection = connect(self._path, mode, trusted=True)
            except sqlite3.OperationalError as error:
                if mode != "ro" or not is_immutable(self._path, error):
                    if companion is not None:
                        companion.close()
                    raise
                # A WAL database needs its helper files, but can be read as immutable where they cannot be created.
                immutable = True
                connection = connect(self._path, "ro", immutable=True, trusted=True)
            after = files_at(self._path)
            reader = PooledConnection(connection, after, immutable=immutable, companion=companion)
            if before.database == after.database and (not immutable or before == after):
                try:
                    schema.check(connection, self._path)
                    check_log(connection, self._path.resolve())
                except BaseException:
                    reader.close()
                    raise
                if after != self._files:
                    self._close_idle()
                    self._files = after
                if mode == "ro":
                    connection.execute("PRAGMA query_only = 1")
                    connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
                else:
                    connection.execute("PRAGMA synchronous = FULL")
                assert self._files is not None
                reader.files = self._files
                return reader
            reader.close()
        raise LookalikeError(f"{self._path} is being replaced all the time; try again")
