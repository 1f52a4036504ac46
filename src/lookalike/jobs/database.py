"""The SQLite file of a gallery's jobs: its tables, connection and errors.

WAL with `synchronous=FULL`: what was acknowledged is on disk.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lookalike.errors import LookalikeError, MismatchError
from lookalike.storage.durable import sync_folder
from lookalike.storage.sqlite_errors import translated_errors

NAME: Final = "jobs.db"

FORMAT: Final = 1
APPLICATION_ID: Final = 0x4C4B4A42
"""`LKJB`, which `file` and SQLite show."""

BUSY_S: Final = 10.0

WAY_OUT: Final = "stop the server and delete it, and send the photos again that had not been fetched yet"

TABLES: Final = (
    """CREATE TABLE jobs (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, created REAL NOT NULL, finished REAL,
        cancelled INTEGER NOT NULL DEFAULT 0)""",
    """CREATE TABLE photos (
        number INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES jobs (number), line INTEGER NOT NULL,
        item TEXT NOT NULL, url TEXT NOT NULL, host TEXT NOT NULL, fields TEXT NOT NULL,
        state TEXT NOT NULL DEFAULT 'waiting', tries INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL,
        code TEXT, message TEXT)""",
    "CREATE UNIQUE INDEX photos_by_item ON photos (item) WHERE state = 'waiting'",
    "CREATE INDEX photos_by_host ON photos (host, due, number) WHERE state = 'waiting'",
    "CREATE INDEX photos_by_job ON photos (job, state, number)",
    "CREATE INDEX jobs_finished ON jobs (finished)",
)


class JobDatabase:
    """One connection to the file, which threads take in turn.

    Args:
        path: Path of the file.
        create: Create it if it is missing.

    Raises:
        LookalikeError: The file cannot be opened, or is another program's.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._errors():
            if create and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = connect(path, writable=create)
            try:
                if create:
                    self._prepare()
                self._check()
            except BaseException:
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Read one version of the data."""
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Write in one transaction, committed when the context ends without an error."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            connection = self._connection
            connection.execute(begin)
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise Lookalike's errors in place of SQLite's and the system's."""
        try:
            with translated_errors(self.path, way_out=WAY_OUT):
                yield
        except OSError as error:
            raise LookalikeError(f"{self.path}: {error.strerror or error}") from error

    def _prepare(self) -> None:
        """Make the tables of a new file."""
        connection = self._connection
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA user_version").fetchone()[0] or is_foreign(connection):
            return
        connection.execute("BEGIN IMMEDIATE")
        if not connection.execute("PRAGMA user_version").fetchone()[0]:  # another process may have been first
            for statement in TABLES:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
        connection.execute("COMMIT")
        sync_folder(self.path.parent)

    def _check(self) -> None:
        """Check that the file is ours, in the format of this version."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if (application, version) != (APPLICATION_ID, FORMAT):
            raise MismatchError(
                f"{self.path}: expected jobs of the format {FORMAT}, got the format {version} of "
                f"{'jobs' if application == APPLICATION_ID else 'another program'}; move the file away"
            )


def is_foreign(connection: sqlite3.Connection) -> bool:
    """Whether a database has tables already."""
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None


def connect(path: Path, *, writable: bool) -> sqlite3.Connection:
    """Open the file."""
    mode = "rwc" if writable else "ro"
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_S,
        isolation_level=None,
        check_same_thread=False,
    )


def exists(path: Path) -> bool:
    """Whether there is a file of jobs."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
