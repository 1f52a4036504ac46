"""Database of a gallery: transactions, locks, creation.

SQLite in WAL mode with `synchronous=FULL`: commits survive a kill at any instant, and readers see a batch whole or not
at all. All other files of a gallery can be rebuilt from the database.

A row number belongs to one item and one set of vectors: a replaced item gets a new row, and no number is used twice.
So `(last row, last removal)` identifies the changes since a version.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

from lookalike.errors import GalleryDamagedError, GalleryGoneError, GalleryNotFoundError, LookalikeError, UsageError
from lookalike.gallery.local import schema
from lookalike.gallery.local.connection_pool import ConnectionPool
from lookalike.gallery.local.file_identity import check_single_name, database_at
from lookalike.gallery.local.integrity import Soundness
from lookalike.gallery.local.metadata_table import last_number, read_spaces, sign_change
from lookalike.gallery.local.pooled_connection import BUSY_MS, PooledConnection, connect
from lookalike.gallery.local.row_checksums import WAY_OUT
from lookalike.gallery.local.time_limit import time_limited
from lookalike.gallery.local.wal import delete_note, write_note
from lookalike.spaces import Space
from lookalike.storage.durable import sync_folder
from lookalike.storage.sqlite_errors import translated_errors
from lookalike.storage.write_lock import PATIENCE_S, WriteLock

T = TypeVar("T")


class Database:
    """Leases connections for reading and writing, and translates SQLite's errors.

    Args:
        folder: Folder of the gallery.
        create: Create the database if there is none.
        read_only: Refuse to write the database and segment files. SQLite's helper files, with which readers and writers
            coordinate, are excepted.

    Attributes:
        folder: Absolute path of the gallery's folder.
        path: Path of the database file.
        read_only: See above.
    """

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False) -> None:
        self.folder = folder = folder.absolute()  # the working folder may change
        self.path = folder / "gallery.db"
        self.read_only = read_only
        self._lock = WriteLock(folder / "write.lock")
        self._pool = ConnectionPool(self.path)
        self._soundness = Soundness(self.path)
        self._made: tuple[Path, ...] | None = None  # folders that this object created, innermost first
        if not self._exists():
            if not create or read_only:
                raise GalleryNotFoundError(f"there is no gallery at {folder}")
            self._create()
        try:
            with self._translated(), self._pool.lease():
                pass
        except BaseException:
            self.close()
            raise

    def _translated(self) -> translated_errors:
        return translated_errors(self.path, damaged=GalleryDamagedError, way_out=WAY_OUT)

    @property
    def writable(self) -> bool:
        """Whether the gallery may be written, as far as the folder's permissions tell."""
        return not self.read_only and os.access(self.folder, os.W_OK)

    def close(self) -> None:
        """Interrupt running statements and close all connections; the last one to close removes the WAL."""
        self._pool.close()

    def discard_if_unused(self) -> None:
        """Delete the database and the folders created for it, if this object created them and nothing was added."""
        if self._made is None:
            return
        with contextlib.suppress(LookalikeError):  # another process is writing to it, so it is in use
            with self.locked(patience_s=0):
                with self.reading() as connection:
                    if last_number(connection, "items"):
                        return
                self.close()
                delete_files(self.folder, "gallery.db*")
            delete_files(self.folder, "*.lock", made=self._made)

    @contextmanager
    def reader(self) -> Iterator[PooledConnection]:
        """Lease a connection; each thread gets its own.

        Raises:
            GalleryGoneError: The gallery is no longer at its path.
            GalleryClosedError: The gallery was closed meanwhile.
            GalleryDamagedError: The database is damaged.
        """
        with self._translated(), self._pool.lease() as reader, time_limited(reader.connection):
            self._check_tables(reader)
            yield reader

    def bytes(self) -> int:
        """Bytes of the database and its WAL on disk."""
        total = 0
        for path in self.folder.glob("gallery.db*"):
            with contextlib.suppress(OSError):
                total += path.stat().st_size
        return total

    def spaces(self) -> tuple[Space, ...]:
        """Spaces of the gallery; empty before the first `add`."""
        with self.reader() as reader:
            return reader.known(read_spaces)

    @contextmanager
    def viewing(self) -> Iterator[PooledConnection]:
        """Lease a connection in a read transaction, with its cache."""
        with self._translated(), self._pool.lease() as reader, time_limited(reader.connection):
            self._check_tables(reader)
            reader.begin()
            try:
                yield reader
            finally:
                roll_back(reader)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lease a connection in a read transaction, which sees one version of the data."""
        with self.viewing() as reader:
            yield reader.connection

    def is_untouched(self, reader: PooledConnection) -> bool:
        """Whether nothing was written to the database's file since a connection was lent, not even by a checkpoint."""
        with contextlib.suppress(LookalikeError):
            return database_at(self.path) == reader.files.database
        return False

    @contextmanager
    def scanning(self) -> Iterator[PooledConnection]:
        """Lease a connection as `viewing` does, for a query over all items, whose checksums are checked first."""
        with self.viewing() as reader:
            self._soundness.check(reader)
            yield reader

    def iterate(self, work: Callable[[sqlite3.Connection], Iterator[T]]) -> Iterator[T]:
        """Iterate over one version of the data; the gallery may be closed between two steps.

        Args:
            work: Function that reads from a connection in a transaction.
        """
        with self._translated():
            reader = self._pool.take()
        try:
            with self._translated(), self._pool.using(reader):
                self._check_tables(reader)
                reader.begin()
                found = work(reader.connection)
            while True:
                with self._translated(), self._pool.using(reader):
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
        """Lease a connection for verification: it replaces invalid UTF-8, and raises SQLite's own errors."""
        with self._pool.lease() as reader:
            reader.broken |= schema.distrust_foreign(reader.connection)
            reader.connection.text_factory = lambda text: text.decode("utf-8", "replace")
            reader.begin()
            try:
                yield reader.connection
            finally:
                reader.connection.text_factory = str
                roll_back(reader)

    @contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Hold the write lock.

        Args:
            patience_s: Seconds to wait for the lock.

        Raises:
            GalleryLockedError: Another process or thread holds it.
            GalleryGoneError: The gallery is no longer at its path.
            LookalikeError: The gallery was opened read-only, or cannot be written.
        """
        if self.read_only:
            raise LookalikeError(f"{self.folder} was opened read-only; open it without read_only to write")
        if not self.folder.is_dir():  # the lock would create it again
            raise GalleryGoneError(f"there is no gallery at {self.folder} any more: it was moved or deleted")
        with self._lock.held(patience_s):
            yield

    @contextmanager
    def writing(self, patience_s: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, committed when the context ends without an error.

        Raises:
            GalleryLockedError: Another process or thread is writing.
            GalleryGoneError: The gallery is no longer at its path, or was replaced meanwhile.
            GalleryDamagedError: The database is damaged.
            LookalikeError: The disk is full or read-only.
        """
        with self._writer(patience_s) as writer:
            writer.connection.execute("BEGIN IMMEDIATE")
            try:
                self._check_tables(writer, again=True)  # a foreign trigger must not run
                yield writer.connection
                sign_change(writer.connection)
                self._check_place(writer)
                check_single_name(self.path)
                writer.connection.execute("COMMIT")
            except BaseException:
                roll_back(writer)
                raise
            self._check_place(writer)
            empty_log(writer.connection, self.path)
            self._pool.accept_current_files()

    @contextmanager
    def without_transaction(self) -> Iterator[sqlite3.Connection]:
        """Lease the writer's connection outside of a transaction, as `VACUUM` and checkpoints need it."""
        with self._writer(PATIENCE_S) as writer:
            try:
                yield writer.connection
            finally:
                empty_log(writer.connection, self.path)
                self._pool.accept_current_files()

    @contextmanager
    def _writer(self, patience_s: float) -> Iterator[PooledConnection]:
        with self.locked(patience_s), self._translated(), self._pool.lease(writer=True) as writer:
            check_single_name(self.path)
            yield writer

    def _check_place(self, writer: PooledConnection) -> None:
        """Check that the writer's database is still the one at the path.

        Raises:
            GalleryGoneError: The database was moved, deleted or replaced.
        """
        if not (self._lock.is_in_place() and self._pool.is_current(writer)):
            raise GalleryGoneError(
                f"{self.folder} was moved, deleted or replaced while it was being written to, and the gallery that is "
                "there now lacks this change; run the command again"
            )

    def checkpoint(self) -> None:
        """Move commits from the WAL into the database as far as readers allow, and truncate the WAL."""
        with self.without_transaction():
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
            raise UsageError(f"{self.folder} holds other files; choose a new or an empty folder for the gallery")
        missing = [folder for folder in (self.folder, *self.folder.parents) if not folder.exists()]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LookalikeError(f"{self.folder} cannot be created: {error.strerror or error}") from None
        try:
            with self.locked(), self._translated():
                if self._exists():  # another process was first
                    return
                self._made = tuple(missing)
                unfinished = self.path.with_name("gallery.db.new")
                delete_files(self.folder, f"{unfinished.name}*")  # left by a kill
                with closing(connect(unfinished, "rwc")) as connection:
                    schema.write(connection)
                unfinished.replace(self.path)
                sync_folder(self.folder)
        except BaseException:
            if self._made is not None:  # the disk is full, or the user interrupted
                delete_files(self.folder, "gallery.db*")
                delete_files(self.folder, "*.lock", made=self._made)
            raise

    def _check_tables(self, reader: PooledConnection, *, again: bool = False) -> None:
        """Check once that the schema is a gallery's; with `again`, also after each change of it."""
        if again or reader.checked_schema is None:
            reader.checked_schema = schema.check_tables(reader.connection, self.path, known=reader.checked_schema)


def roll_back(reader: PooledConnection) -> None:
    """Roll back a transaction; a connection that cannot is not leased again."""
    try:
        if reader.connection.in_transaction:  # SQLite may have rolled back by itself
            reader.connection.execute("ROLLBACK")
    except sqlite3.Error:
        reader.broken = True


def empty_log(connection: sqlite3.Connection, path: Path) -> None:
    """Move commits from the WAL into the database and truncate the WAL, unless a reader prevents it.

    A WAL stays valid when its database is replaced by a copy, and its pages would be mixed with the copy's. A failure
    here is no failure of the commit, which is on disk; the log note then records what the WAL holds.
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


def delete_files(folder: Path, pattern: str, *, made: Sequence[Path] = ()) -> None:
    """Delete files of a folder, and then folders in `made` that are empty; errors are ignored."""
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            path.unlink()
        for empty in made:
            empty.rmdir()


def is_ours(path: Path) -> bool:
    """Whether a file belongs to a gallery, so that a database may be created beside it."""
    name = path.name.removeprefix(".")  # names of temporary files begin with a dot
    return name.startswith(("gallery.db", "write.", "build.", "jobs.")) or name == "derived"
