"""Connection to a gallery's database, with its state in the pool."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote

from lookalike.gallery.local.file_identity import Files
from lookalike.gallery.local.row_checksums import equip

BUSY_MS: Final = 10_000
"""Time that SQLite waits for a process that checkpoints the WAL, or writes without the gallery's lock."""

T = TypeVar("T")


class PooledConnection:
    """Connection with its state in the pool.

    Attributes:
        connection: SQLite connection.
        lock: Lock held while the connection is used.
        files: Files that the connection was opened on.
        immutable: Whether it was opened with SQLite's `immutable`, which reads without locks and helper files.
        seen: SQLite's data version and the gallery's version id when the newest snapshot was compared with them.
        broken: Whether the connection must not be leased again.
        closed: Whether the pool was closed while the connection was in use.
        checked_schema: SQLite's number of the schema that was checked last; None before that.
        companion: Read-only connection, open for as long as a writer; see `close`.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        files: Files,
        *,
        immutable: bool,
        companion: sqlite3.Connection | None = None,
    ) -> None:
        self.connection = connection
        self.companion = companion
        self.lock = threading.RLock()
        self.files = files
        self.immutable = immutable
        self.seen: tuple[int, object] = (-1, None)
        self.broken = False
        self.closed = False
        self.checked_schema: int | None = None
        self._known: dict[Callable[[sqlite3.Connection], Any], Any] = {}
        self._known_data_version = -1
        self._transaction_version: int | None = None

    def begin(self) -> None:
        """Begin a read transaction."""
        self._transaction_version = None
        self.connection.execute("BEGIN")

    def data_version(self) -> int:
        """SQLite's data version, which changes when another connection commits; takes 4 microseconds."""
        data_version: int = self.connection.execute("PRAGMA data_version").fetchone()[0]
        return data_version

    def known(self, read: Callable[[sqlite3.Connection], T]) -> T:
        """Return the result of a function of the database, cached until another connection commits.

        Args:
            read: Function of a module or class, which is the key of the cache; not a closure. Its result must not be
                modified.
        """
        # The data version is constant until a transaction ends.
        data_version = self._transaction_version if self.connection.in_transaction else None
        if data_version is None:
            data_version = self.data_version()
            if self.connection.in_transaction:
                self._transaction_version = data_version
        if data_version != self._known_data_version:
            self._known.clear()
            self._known_data_version = data_version
        if read not in self._known:
            self._known[read] = read(self.connection)
        found: T = self._known[read]
        return found

    def close(self, *, is_untouched: bool = False) -> None:
        """Close the connection.

        The last connection to a database to be closed checkpoints the WAL. When another program has written into the
        database's file, the WAL belongs to the previous content, and would destroy the present one: a read-only
        connection, which cannot checkpoint, is then the last.

        Args:
            is_untouched: Whether no other program has written into the database's file.
        """
        connections = [self.connection] if self.companion is None else [self.companion, self.connection]
        for connection in connections if is_untouched else reversed(connections):
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def connect(path: Path, mode: str, *, immutable: bool = False, trusted: bool = False) -> sqlite3.Connection:
    """Open a connection.

    Args:
        path: Path of the database.
        mode: SQLite's mode: `ro`, `rw` or `rwc`.
        immutable: Read without locks and helper files.
        trusted: The caller compares the schema with the gallery's own before it reads or writes. Else SQLite calls no
            function in the file's own SQL, and some versions refuse a file that has an index over a JSON value.
    """
    # A path may begin with two slashes and hold bytes that are not text.
    address = f"file://{quote(os.fsencode(path.absolute()))}?mode={mode}{'&immutable=1' if immutable else ''}"
    connection = sqlite3.connect(
        address, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_MS / 1000
    )
    try:
        equip(connection)
        if not trusted:
            connection.execute("PRAGMA trusted_schema = OFF")  # the file may be of another program's making
        connection.execute("PRAGMA schema_version")  # opening is lazy: this reads the file and fails for a wrong one
    except sqlite3.Error:
        connection.close()
        raise
    return connection
