"""The gallery's database: the one thing that must last, and all of it.

SQLite in WAL mode with `synchronous=FULL`: what has been committed survives a kill at any instant, and nobody ever
sees half of a batch. Everything else in a gallery's folder can be made again from here.

A row number belongs to one item and one set of vectors for ever: replacing an item gives it a new row, and numbers
are never used twice. So whoever remembers `(last row, last removal)` knows exactly what has changed since.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lookalike.errors import (
    GalleryDamagedError,
    GalleryNotFoundError,
    LookalikeError,
    MismatchError,
    StorageFailedError,
    StorageFullError,
    UsageError,
)
from lookalike.gallery import schema
from lookalike.gallery.checksums import WAY_OUT, equip
from lookalike.gallery.lock import PATIENCE_S, WriteLock
from lookalike.gallery.meta import last_number, read_spaces, sign_change
from lookalike.spaces import Space

CACHE_KIB: Final = 32768

OWN_BUGS: Final = ("syntax error", "no such column", "no such function", "transaction")
"""What SQLite says of statements that cannot be right, whatever the database holds."""


class Reader:
    """A connection that only reads.

    Attributes:
        connection: It.
        seen: The version of the data, and the count of commits, when somebody last looked.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.seen = (-1, -1)

    def version(self) -> int:
        """A number that changes when anybody else commits; 4 microseconds."""
        version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return version


class Store:
    """Opens the database, hands out its connections, and turns what SQLite complains about into our errors.

    Attributes:
        folder: The gallery.
        read_only: Whether nothing may be written, neither here nor among what is derived. (SQLite's own helper files,
            by which readers and writers know of each other, are no part of this.)
        writable: Whether anything can be written, as far as the folder's permissions tell.
    """

    def __init__(self, folder: Path, *, create: bool = False, read_only: bool = False) -> None:
        self.folder = folder
        self.path = folder / "gallery.db"
        self.read_only = read_only
        self._lock = WriteLock(folder / "write.lock")
        self._readers: deque[Reader] = deque()
        self._writer: sqlite3.Connection | None = None
        self._immutable = False
        self._sound = False
        self._made: tuple[Path, ...] | None = None  # the folders that did not exist before, the innermost first
        if not self._exists():
            if not create or read_only:
                raise GalleryNotFoundError(f"there is no gallery at {folder}")
            self._create()
        self._check()
        self.writable = not read_only and os.access(folder, os.W_OK)

    def close(self) -> None:
        """Close the connections; the last one to leave tidies the WAL away."""
        while self._readers:
            self._readers.pop().connection.close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def discard_if_unused(self) -> None:
        """Delete the database again, and the folders made for it, when this store made it and nothing was added."""
        if self._made is None:
            return
        with contextlib.suppress(LookalikeError):  # somebody else is writing to it: then it is used
            with self.locked(patience_s=0):
                with self.reading() as connection:
                    if last_number(connection, "items"):
                        return
                self.close()
                sweep(self.folder, "gallery.db*")
            sweep(self.folder, "*.lock", made=self._made)

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Lend a connection; each thread that asks at the same time gets its own.

        Raises:
            GalleryDamagedError: What is read makes no sense.
        """
        try:
            reader = self._readers.pop()
        except IndexError:
            reader = self._open_reader()
        try:
            with explained(self.path):
                self._check_tables(reader.connection)
                yield reader
        finally:
            self._readers.append(reader)

    def idle(self) -> bool:
        """Whether nobody is writing just now."""
        try:
            with self.locked(patience_s=0):
                return True
        except LookalikeError:
            return False

    def bytes(self) -> int:
        """Size of the database on disk, with what is still on its way into it."""
        return sum(path.stat().st_size for path in self.folder.glob("gallery.db*"))

    def spaces(self) -> tuple[Space, ...]:
        """The spaces that the first `add` decided; none before."""
        with self.reader() as reader:
            return read_spaces(reader.connection)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that sees one state of the data throughout."""
        with self.reader() as reader:
            reader.connection.execute("BEGIN")
            try:
                yield reader.connection
            finally:
                reader.connection.execute("ROLLBACK")

    @contextmanager
    def examining(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection that reads whatever can be read, in one transaction, and raises SQLite's own errors."""
        with closing(self._connect("ro")) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Be the only writer for a while.

        Raises:
            GalleryLockedError: Somebody else is.
            LookalikeError: The gallery was opened to be read only, or cannot be written to.
        """
        if self.read_only:
            raise LookalikeError(f"{self.folder} is open for reading only")
        with self._lock.held(patience_s):
            yield

    @contextmanager
    def writing(self, patience_s: float = PATIENCE_S) -> Iterator[sqlite3.Connection]:
        """Write: all that happens inside is committed together at the end, or not at all.

        Raises:
            GalleryLockedError: Somebody else is writing.
            GalleryDamagedError: What is there makes no sense.
            LookalikeError: The disk is full or read-only.
        """
        with self.locked(patience_s), explained(self.path):
            if self._writer is None:
                self._writer = self._connect("rw")
                self._writer.execute("PRAGMA synchronous = FULL")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                sign_change(self._writer)
                self._writer.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    self._writer.execute("ROLLBACK")
                raise

    @contextmanager
    def alone(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer's connection outside of any transaction, for what SQLite allows only there."""
        with self.locked(), explained(self.path):
            connection = self._connect("rw")
            try:
                yield connection
            finally:
                connection.close()

    def checkpoint(self) -> None:
        """Move what has been committed from the WAL into the database, as far as readers allow, and shorten the WAL."""
        with self.alone() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

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
                with closing(self._connect("rwc")) as connection:
                    schema.write(connection)
        except BaseException:
            if self._made is not None:  # the disk is full, or somebody lost patience
                sweep(self.folder, "gallery.db*")
                sweep(self.folder, "*.lock", made=self._made)
            raise

    def _check(self) -> None:
        reader = self._open_reader()
        with explained(self.path):
            (application,) = reader.connection.execute("PRAGMA application_id").fetchone()
            (version,) = reader.connection.execute("PRAGMA user_version").fetchone()
        self._readers.append(reader)
        if application != schema.APPLICATION_ID:
            self.close()
            raise GalleryNotFoundError(f"{self.path} is a database, but not a gallery's")
        if version != schema.FORMAT:
            self.close()
            raise MismatchError(
                f"{self.folder} has the gallery format {version}, and this version of lookalike reads {schema.FORMAT}; "
                "open it with the version that made it, and use `gallery export --format parquet` to bring it over"
            )

    def _check_tables(self, connection: sqlite3.Connection) -> None:
        if not self._sound:
            problems = schema.problems(connection)
            if problems:
                raise GalleryDamagedError(f"{self.path} is damaged: {problems[0]}; {WAY_OUT}")
            self._sound = True

    def _open_reader(self) -> Reader:
        with explained(self.path):
            try:
                connection = self._connect("ro")
            except sqlite3.OperationalError:
                if not self.folder_is_sealed():
                    raise
                # A WAL database needs its helper files; in a folder that nobody can write to it may do without them.
                self._immutable = True
                connection = self._connect("ro")
            connection.execute("PRAGMA query_only = 1")
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        return Reader(connection)

    def folder_is_sealed(self) -> bool:
        """Whether the database stands alone, with no unfinished business of a writer beside it."""
        wal = self.path.with_name("gallery.db-wal")
        return not wal.exists() or wal.stat().st_size == 0

    def _connect(self, mode: str) -> sqlite3.Connection:
        address = f"file:{quote(str(self.path.absolute()))}?mode={mode}{'&immutable=1' if self._immutable else ''}"
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            equip(connection)
            connection.execute("PRAGMA schema_version")  # opening is lazy: this is where a wrong file shows
        except sqlite3.Error:
            connection.close()
            raise
        return connection


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into ours.

    Raises:
        GalleryDamagedError: The file is not a database, or not a sound one.
        UsageError: Text that was asked for is not Unicode.
        StorageFullError: The disk is full.
        StorageFailedError: The disk fails.
        LookalikeError: The disk is read-only.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise UsageError(f"{error.object[:100]!r} is not Unicode text") from None
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", None)
        if code is None and "decode" not in str(error):  # raised by the binding itself: our own bug, to be seen as one
            raise
        code = sqlite3.SQLITE_CORRUPT if code is None else code
        if code & 0xFF == sqlite3.SQLITE_ERROR and any(words in str(error) for words in OWN_BUGS):
            raise
        if code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR):
            raise GalleryDamagedError(f"{path} is damaged ({error}); {WAY_OUT}") from error
        if code & 0xFF == sqlite3.SQLITE_FULL:
            message = f"{path}: no room left on the disk; nothing was changed, free some and try again"
            raise StorageFullError(message) from error
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            raise StorageFailedError(f"{path}: {error}; see the system's log, the disk may be failing") from error
        raise LookalikeError(f"{path}: {error}") from error


def sweep(folder: Path, pattern: str, *, made: Sequence[Path] = ()) -> None:
    """Delete files of a folder, and then folders, as far as that is possible: what others put there stays."""
    with contextlib.suppress(OSError):
        for path in folder.glob(pattern):
            path.unlink()
        for empty in made:
            empty.rmdir()


def is_ours(path: Path) -> bool:
    """Whether a file may be found in a gallery's folder before its database is made."""
    return path.name.startswith(("gallery.db", "write.", "build.")) or path.name == "derived"
