"""The gallery's database: the one thing that must last, and all of it.

SQLite in WAL mode with `synchronous=FULL`: what has been committed survives a kill at any instant, and no reader
ever sees half of a batch. Everything else in a gallery's folder can be made again from here.

A row number belongs to one item and one set of vectors for ever: replacing an item gives it a new row, and numbers
are never used twice. So `(last row, last removal)` tells exactly what has changed since.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from lookalike.errors import (
    GalleryDamagedError,
    GalleryGoneError,
    GalleryNotFoundError,
    LookalikeError,
    UsageError,
)
from lookalike.gallery.local import schema
from lookalike.gallery.local.connection_pool import BUSY_MS, ConnectionPool, PooledConnection, connect
from lookalike.gallery.local.file_identity import check_only_name
from lookalike.gallery.local.integrity import Soundness
from lookalike.gallery.local.metadata_table import last_number, read_spaces, sign_change
from lookalike.gallery.local.row_checksums import WAY_OUT
from lookalike.gallery.local.sqlite_errors import explained
from lookalike.gallery.local.time_limit import stopping
from lookalike.gallery.wal import delete_note, write_note
from lookalike.spaces import Space
from lookalike.storage.durable import sync_folder
from lookalike.storage.write_lock import PATIENCE_S, WriteLock

T = TypeVar("T")


class Database:
    """Opens the database, hands out its connections, and turns what SQLite complains about into our errors.

    Attributes:
        folder: The gallery.
        read_only: Whether nothing may be written, neither the database nor segment files. (SQLite's own helper files,
            by which readers and writers know of each other, are no part of this.)
        writable: Whether anything can be written, as far as the folder's permissions tell.
    """

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False) -> None:
        self.folder = folder = folder.absolute()  # for the working folder may change
        self.path = folder / "gallery.db"
        self.read_only = read_only
        self._lock = WriteLock(folder / "write.lock")
        self._pool = ConnectionPool(self.path)
        self._soundness = Soundness(self.path)
        self._made: tuple[Path, ...] | None = None  # the folders that did not exist before, the innermost first
        if not self._exists():
            if not create or read_only:
                raise GalleryNotFoundError(f"there is no gallery at {folder}")
            self._create()
        try:
            with explained(self.path), self._pool.lend():
                pass
        except BaseException:
            self.close()
            raise

    @property
    def writable(self) -> bool:
        """Whether anything can be written, as far as the folder's permissions tell."""
        return not self.read_only and os.access(self.folder, os.W_OK)

    def close(self) -> None:
        """Close the connections, once what uses them was interrupted; the last one to leave tidies the WAL away."""
        self._pool.close()

    def discard_if_unused(self) -> None:
        """Delete the database again, and the folders made for it, when this store made it and nothing was added."""
        if self._made is None:
            return
        with contextlib.suppress(LookalikeError):  # another process is writing to it: then it is used
            with self.locked(patience_s=0):
                with self.reading() as connection:
                    if last_number(connection, "items"):
                        return
                self.close()
                sweep(self.folder, "gallery.db*")
            sweep(self.folder, "*.lock", made=self._made)

    @contextmanager
    def reader(self) -> Iterator[PooledConnection]:
        """Lend a connection; each thread that asks at the same time gets its own.

        Raises:
            GalleryGoneError: The gallery is not where it was.
            GalleryClosedError: The gallery was closed meanwhile.
            GalleryDamagedError: What is read makes no sense.
        """
        with explained(self.path), self._pool.lend() as reader, stopping(reader.connection):
            self._check_tables(reader)
            yield reader

    def bytes(self) -> int:
        """Size of the database on disk, with what is still on its way into it."""
        total = 0
        for path in self.folder.glob("gallery.db*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def spaces(self) -> tuple[Space, ...]:
        """The spaces that the first `add` decided; none before."""
        with self.reader() as reader:
            return reader.known(read_spaces)

    @contextmanager
    def viewing(self) -> Iterator[PooledConnection]:
        """Lend a connection that sees one state of the data throughout, with what is known of that state."""
        with explained(self.path), self._pool.lend() as reader, stopping(reader.connection):
            self._check_tables(reader)
            reader.connection.execute("BEGIN")
            try:
                yield reader
            finally:
                roll_back(reader)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the data throughout."""
        with self.viewing() as reader:
            yield reader.connection

    @contextmanager
    def asking(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection as `reading` does, for a question that goes through all items, if they are sound."""
        with self.reading() as connection:
            self._soundness.check(connection)
            yield connection

    def steps(self, work: Callable[[sqlite3.Connection], Iterator[T]]) -> Iterator[T]:
        """Read step by step from one state of the data; between two steps the gallery may be closed.

        Args:
            work: Reads from a connection in a transaction.
        """
        with explained(self.path):
            reader = self._pool.take()
        try:
            with explained(self.path), self._pool.using(reader):
                reader.connection.execute("BEGIN")
                found = work(reader.connection)
            while True:
                with explained(self.path), self._pool.using(reader):
                    try:
                        step = next(found)
                    except StopIteration:
                        return
                yield step
        finally:
            with reader.lock:
                roll_back(reader)
            self._pool.release(reader)

    @contextmanager
    def examining(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads whatever can be read, in one transaction, and raises SQLite's own errors."""
        with self._pool.lend() as reader:
            reader.connection.text_factory = lambda text: text.decode("utf-8", "replace")
            reader.connection.execute("BEGIN")
            try:
                yield reader.connection
            finally:
                reader.connection.text_factory = str
                roll_back(reader)

    @contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Be the only writer for a while.

        Raises:
            GalleryLockedError: Another process, or thread, is.
            GalleryGoneError: The gallery is not where it was.
            LookalikeError: The gallery was opened to be read only, or cannot be written to.
        """
        if self.read_only:
            raise LookalikeError(f"{self.folder} is open for reading only")
        if not self.folder.is_dir():  # the lock would make it again
            raise GalleryGoneError(f"there is no gallery at {self.folder} any more: it was moved or deleted")
        with self._lock.held(patience_s):
            yield

    @contextmanager
    def writing(self, patience_s: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
        """Write: all that happens inside is committed together at the end, or not at all.

        Raises:
            GalleryLockedError: Another process, or thread, is writing.
            GalleryGoneError: The gallery is not where it was, or was replaced meanwhile.
            GalleryDamagedError: What is there makes no sense.
            LookalikeError: The disk is full or read-only.
        """
        with self._writer(patience_s) as writer:
            writer.connection.execute("BEGIN IMMEDIATE")
            try:
                yield writer.connection
                sign_change(writer.connection)
                self._check_place(writer)
                check_only_name(self.path)
                writer.connection.execute("COMMIT")
            except BaseException:
                roll_back(writer)
                raise
            self._check_place(writer)
            move_out_of_wal(writer.connection, self.path)
            self._pool.accept_current_files()

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer's connection outside of any transaction, for what SQLite allows only there."""
        with self._writer(PATIENCE_S) as writer:
            try:
                yield writer.connection
            finally:
                move_out_of_wal(writer.connection, self.path)
                self._pool.accept_current_files()

    @contextmanager
    def _writer(self, patience_s: float) -> Iterator[PooledConnection]:
        with self.locked(patience_s), explained(self.path), self._pool.lend(writer=True) as writer:
            check_only_name(self.path)
            yield writer

    def _check_place(self, writer: PooledConnection) -> None:
        """Make sure that what is written to is what is at the path.

        Raises:
            GalleryGoneError: It is not.
        """
        if not (self._lock.is_in_place() and self._pool.is_current(writer)):
            raise GalleryGoneError(
                f"{self.folder} was moved, deleted or replaced while it was being written to, and the one that is "
                "there now does not have what was written; do it again"
            )

    def checkpoint(self) -> None:
        """Move what has been committed from the WAL into the database, as far as readers allow, and shorten the WAL."""
        with self.alone():
            pass

    def _exists(self) -> bool:
        try:
            return self.path.stat().st_size > 0
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            raise LookalikeError(f"{self.folder} cannot be read: {error.strerror or error}") from None

    def _create(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UsageError(f"{self.folder} is a file; a gallery is a folder")
        if self.folder.is_dir() and any(not is_ours(path) for path in self.folder.iterdir()):
            raise UsageError(f"{self.folder} holds other files; name a new or an empty folder for the gallery")
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LookalikeError(f"{self.folder} cannot be made: {error.strerror or error}") from None
        try:
            with self.locked(), explained(self.path):
                if self._exists():  # another process was quicker
                    return
                self._made = tuple(missing)
                unfinished = self.path.with_name("gallery.db.new")
                sweep(self.folder, f"{unfinished.name}*")  # left by a kill
                with closing(connect(unfinished, "rwc")) as connection:
                    schema.write(connection)
                unfinished.replace(self.path)
                sync_folder(self.folder)
        except BaseException:
            if self._made is not None:  # the disk is full, or the user interrupted
                sweep(self.folder, "gallery.db*")
                sweep(self.folder, "*.lock", made=self._made)
            raise

    def _check_tables(self, reader: PooledConnection) -> None:
        if not reader.sound:
            problems = schema.problems(reader.connection)
            if problems:
                raise GalleryDamagedError(f"{self.path} is damaged: {problems[0]}; {WAY_OUT}")
            reader.sound = True


def roll_back(reader: PooledConnection) -> None:
    """End a transaction without changes; a connection that cannot is not lent again."""
    try:
        if reader.connection.in_transaction:  # SQLite may have rolled back by itself
            reader.connection.execute("ROLLBACK")
    except sqlite3.Error:
        reader.broken = True


def move_out_of_wal(connection: sqlite3.Connection, path: Path) -> None:
    """Bring what was committed into the database itself and empty the WAL, unless readers are in the way just now.

    What is in the WAL stays valid when the database beneath it is replaced by a copy, and would be mixed with it. That
    this fails is no failure of the commit, which is on the disk; what is still in the WAL is noted then.
    """
    busy = 1
    with contextlib.suppress(sqlite3.Error):
        connection.execute("PRAGMA busy_timeout = 0")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    if busy:
        write_note(connection, path)
    else:
        delete_note(path)
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")


def sweep(folder: Path, pattern: str, *, made: Sequence[Path] = ()) -> None:
    """Delete files of a folder, and then folders, as far as that is possible: what others put there stays."""
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            path.unlink()
        for empty in made:
            empty.rmdir()


def is_ours(path: Path) -> bool:
    """Whether a file may be found in a gallery's folder before its database is made."""
    name = path.name.removeprefix(".")  # a dot begins the names of files that are not yet whole
    return name.startswith(("gallery.db", "write.", "build.")) or name == "derived"
