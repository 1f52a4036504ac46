"""The connections to a gallery's database: lent for as long as the file at the path is the one they were opened on.

A folder can be moved away, deleted or brought back from a copy while a server holds it open. SQLite notices nothing of
that: it goes on with files that have no name any more, and what is committed to them is lost. So each loan begins with
a look at the database and its folder (and at its helper files, when names in the folder may have changed), and
connections to other files are closed.

Closing a connection under a thread that uses it is a crash. Each is locked while it is used; closing all interrupts
what runs, and waits for it.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar
from urllib.parse import quote

from lookalike.errors import GalleryClosedError, LookalikeError
from lookalike.gallery.local import schema
from lookalike.gallery.local.file_identity import Files, Place, database_at, files_at, is_immutable
from lookalike.gallery.local.row_checksums import equip
from lookalike.gallery.wal import check_log
from lookalike.storage.fork import watch

CACHE_KIB: Final = 32768
BUSY_MS: Final = 10_000
"""How long SQLite waits for another process that moves the WAL about, or writes without our lock."""

INTERRUPT_S: Final = 0.02
FORK_S: Final = 1.0
TRIES: Final = 20

T = TypeVar("T")


class PooledConnection:
    """A connection, and what is known of it.

    Attributes:
        connection: It.
        lock: Held while it is used.
        files: What it was opened on.
        immutable: Whether SQLite was told that nothing ever changes.
        seen: Version and moment of the data when the newest snapshot was compared with it.
        broken: Whether it must not be lent again.
        closed: Whether all were closed while it was in use.
        sound: Whether its tables were found to be as they were made.
    """

    def __init__(self, connection: sqlite3.Connection, files: Files, *, immutable: bool) -> None:
        self.connection = connection
        self.lock = threading.RLock()
        self.files = files
        self.immutable = immutable
        self.seen: tuple[int, object] = (-1, None)
        self.broken = False
        self.closed = False
        self.sound = False
        self._known: dict[Callable[[sqlite3.Connection], Any], Any] = {}
        self._known_data_version = -1

    def data_version(self) -> int:
        """A number that changes when another connection commits; 4 microseconds."""
        data_version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return data_version

    def known(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """What a function reads from the database, read again only when something was committed since.

        Args:
            read: A function of a module or class, not a closure: what it read is kept under it. Its result must not be
                changed.
        """
        data_version = self.data_version()
        if data_version != self._known_data_version:
            self._known.clear()
            self._known_data_version = data_version
        if read not in self._known:
            self._known[read] = read(self.connection)
        found: T = self._known[read]
        return found


class Lease:
    """A connection in use, and so not to be closed meanwhile; see `ConnectionPool.using` and `ConnectionPool.lend`."""

    __slots__ = ("_is_loan", "_pool", "_reader")

    def __init__(self, connections: ConnectionPool, reader: PooledConnection, *, is_loan: bool) -> None:
        self._pool = connections
        self._reader = reader
        self._is_loan = is_loan

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
                if reader.closed:  # interrupted, or closed by this very thread
                    raise self._pool.closed()
                # SQLite opens to read only where the disk is bad, and stays so when the disk is well again
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
                    reader.broken = True
            elif error is None and reader.immutable:
                self._pool.check_unchanged(reader)
        finally:
            self._leave()

    def _leave(self) -> None:
        self._reader.lock.release()
        if self._is_loan:
            self._pool.release(self._reader)


class ConnectionPool:
    """Opens and lends connections, and closes all of them when it is asked to, whatever they are doing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = Place(path)
        self._guard = threading.RLock()
        self._closing = threading.RLock()
        self._idle: list[PooledConnection] = []
        self._writer: PooledConnection | None = None
        self._lent: set[PooledConnection] = set()
        self._files: Files | None = None  # that the idle ones were opened on
        self._mixed = False  # whether a connection from before the helper files were replaced is still in use
        self._inherited: list[
            PooledConnection
        ] = []  # in use by another thread of the parent when it forked: not to be touched
        self._guarded = False
        watch(self)

    def __del__(self) -> None:
        for reader in (*self._idle, *self._lent, *([self._writer] if self._writer else [])):
            with contextlib.suppress(sqlite3.Error):
                reader.connection.close()

    def lend(self, *, writer: bool = False) -> Lease:
        """Lend a connection; each thread that asks at the same time gets its own, and writers come one by one.

        Raises:
            GalleryGoneError: The database is not where it was.
            GalleryClosedError: All connections were closed meanwhile.
            LookalikeError: The database was read without the right to write beside it, and was written to meanwhile.
        """
        return Lease(self, self.take(writer=writer), is_loan=True)

    def take(self, *, writer: bool = False) -> PooledConnection:
        """Take a connection out, to be given back; see `lend`."""
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
        """Use a connection that was taken, so that it is not closed meanwhile."""
        return Lease(self, reader, is_loan=False)

    def closed(self) -> GalleryClosedError:
        """The error for what was going on when all connections were closed."""
        return GalleryClosedError(f"{self._path.parent} was closed while this was being done")

    def check_unchanged(self, reader: PooledConnection) -> None:
        """Make sure of what SQLite was told of a connection: that nothing ever changes.

        Raises:
            LookalikeError: The database was written to meanwhile.
        """
        if database_at(self._path) != reader.files.database:
            raise LookalikeError(f"{self._path} was written to while it was being read; ask again")

    def release(self, reader: PooledConnection) -> None:
        """Give back what was taken."""
        with self._guard:
            self._lent.discard(reader)
            if reader.closed or reader.broken or reader.files is not self._files:
                if reader is self._writer:
                    self._writer = None
                close(reader)
            elif reader is not self._writer:
                self._idle.append(reader)

    def drop_outdated(self) -> None:
        """Let go of connections to files that are no longer those at the path.

        Raises:
            GalleryGoneError: There is nothing any more.
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
        """Take the files as they are now for those that the connections were opened on: their user has changed them."""
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
        """Whether a connection is to the file that is at the path."""
        with contextlib.suppress(LookalikeError):
            return files_at(self._path).same_place(reader.files)
        return False

    def close(self) -> None:
        """Close all of them, once what runs has been interrupted; what is asked for later opens others."""
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
                close(reader)
                reader.lock.release()

    def before_fork(self) -> None:
        """Close what is not in use, for a child must not inherit it."""
        self._guarded = self._guard.acquire(timeout=FORK_S)
        if self._guarded:
            self._close_idle()

    def after_fork(self, *, child: bool) -> None:
        """Go on; a child begins without connections."""
        if child:
            self._inherited += [*self._lent, *self._idle, *([self._writer] if self._writer else [])]
            self._idle, self._lent, self._writer, self._files = [], set(), None, None
            self._guard, self._closing = threading.RLock(), threading.RLock()
        elif self._guarded:
            self._guard.release()

    def _close_idle(self) -> None:
        """Close those that are not in use."""
        while self._idle:
            close(self._idle.pop())
        if self._writer is not None and self._writer not in self._lent:
            close(self._writer)
        self._writer = None
        self._files = None

    def _open(self, mode: str) -> PooledConnection:
        """Open a connection, and make sure that the files were not replaced meanwhile."""
        for _ in range(TRIES):
            before = files_at(self._path)
            immutable = False
            try:
                connection = connect(self._path, mode)
            except sqlite3.OperationalError as error:
                if mode != "ro" or not is_immutable(self._path, error):
                    raise
                # A WAL database needs its helper files; where none are, and none can be made, it may do without them.
                immutable = True
                connection = connect(self._path, "ro", immutable=True)
            after = files_at(self._path)
            if before.database == after.database and (not immutable or before == after):
                try:
                    schema.check(connection, self._path)
                    check_log(connection, self._path.resolve())
                except LookalikeError:
                    connection.close()
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
                return PooledConnection(connection, self._files, immutable=immutable)
            connection.close()
        raise LookalikeError(f"{self._path} is being replaced all the time; try again")


def connect(path: Path, mode: str, *, immutable: bool = False) -> sqlite3.Connection:
    """Open one connection."""
    # A path may begin with two slashes and hold bytes that are no text.
    address = f"file://{quote(os.fsencode(path.absolute()))}?mode={mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
    )
    try:
        equip(connection)
        connection.execute("PRAGMA schema_version")  # opening is lazy: this is where a wrong file shows
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def close(reader: PooledConnection) -> None:
    """Close a connection, unless that has been done."""
    with reader.lock, contextlib.suppress(sqlite3.Error):
        reader.connection.close()
