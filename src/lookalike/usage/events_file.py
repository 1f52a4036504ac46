"""File of events: searches, what visitors did with their answers, and sketches of the query vectors.

An SQLite file of its own with a write-ahead log, so that nothing of it can harm the gallery. What was committed
survives a kill and a power cut.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from lookalike.errors import (
    LookalikeError,
    UsageError,
    storage_error,
)
from lookalike.gallery.protocol import Gallery
from lookalike.storage.files import file_at
from lookalike.storage.sqlite_errors import translated_errors
from lookalike.usage.records import Event, SearchRecord
from lookalike.usage.searches_table import COLUMNS, TABLES, record_of_row, row_of
from lookalike.usage.sketches import Sketch

NAME: Final = "events.sqlite"
VERSION: Final = 2
BUSY_S: Final = 10.0
DAY_S: Final = 86_400.0
OLDEST_SHARE: Final = 20
"""One in so many searches, the oldest, is deleted at a time while the file is too large."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much is kept.

    Attributes:
        days: Age in days at which searches are deleted with their events.
        bytes: Largest size of the file in bytes; beyond it the oldest searches are deleted.
    """

    days: float
    bytes: int


@dataclass(frozen=True, slots=True)
class Done:
    """What visitors did with the answer of one search: `(type, item, rank)`."""

    search: SearchRecord
    events: Sequence[tuple[str, str, int]]

    def items(self, types: Sequence[str]) -> set[str]:
        """Items with an event of one of these types."""
        return {item for type, item, _ in self.events if type in types}


class UnknownEventError(UsageError):
    """An event names a query that is not remembered, or an item that was not in its answer.

    Attributes:
        place: Place of the event in what was sent, from 0.
        field: Field that is wrong: `query_id` or `id`.
        problem: What is wrong, without the place.
    """

    def __init__(self, place: int, field: str, problem: str) -> None:
        super().__init__(f"event {place + 1}: {problem}")
        self.place, self.field, self.problem = place, field, problem


def events_path(gallery: Gallery) -> Path:
    """Path of a gallery's file of events: in its folder, or in the working folder for a gallery on a server."""
    inside = gallery.photo_folder
    return inside.parent / NAME if inside is not None else Path(f"{gallery.photo_owner()[0]}-{NAME}").absolute()


class EventsFile:
    """Open file of events; for one thread at a time.

    Attributes:
        path: Path of the file.
    """

    def __init__(self, path: Path, *, is_writable: bool) -> None:
        """Open the file, or create it.

        Args:
            path: Path of the file.
            is_writable: Whether to open for writing, and create a file that does not exist.

        Raises:
            UsageError: There is no file to read.
            LookalikeError: It cannot be opened, or is not a file of events.
        """
        self.path = path
        if is_writable:
            try:  # readable by its owner only; SQLite gives its helper files the same permissions
                os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            except OSError as error:
                raise storage_error(path, error) from error
        elif not path.is_file():
            raise UsageError(
                f"{path} does not exist: no events were collected; `lookalike serve` collects them with the setting "
                "`events = true`"
            )
        self._identity = file_at(path)
        with self._translated():
            mode = "rw" if is_writable else "ro"
            self._connection = sqlite3.connect(
                f"file:{quote(os.fsencode(path))}?mode={mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=BUSY_S,
            )
        try:
            with self._translated():
                self._prepare(is_writable=is_writable)
        except BaseException:
            self.close()
            raise

    def _prepare(self, *, is_writable: bool) -> None:
        """Set up the connection, and create the tables of an empty file."""
        connection = self._connection
        connection.execute("PRAGMA trusted_schema = OFF")
        if is_writable:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # takes effect in an empty file
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            with self.transaction():
                if self._version() == 0:
                    for statement in TABLES.split(";\n"):
                        connection.execute(statement)
                    connection.execute(f"PRAGMA user_version = {VERSION}")
        if (found := self._version()) != VERSION:
            raise LookalikeError(
                f"{self.path} is not a file of events of this version: expected {VERSION}, got {found}"
            )

    def _version(self) -> int:
        version: int = self._connection.execute("PRAGMA user_version").fetchone()[0]
        return version

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction, rolled back on errors.

        Raises:
            StorageFullError: The disk is full; nothing was changed.
            LookalikeError: The file cannot be written.
        """
        with self._translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    def add_searches(self, records: Sequence[SearchRecord]) -> None:
        """Write searches, in a transaction."""
        places = ", ".join("?" * len(COLUMNS.split(",")))
        rows = [row_of(record) for record in records]
        self._connection.executemany(f"INSERT OR IGNORE INTO searches ({COLUMNS}) VALUES ({places})", rows)

    def add_events(self, events: Sequence[Event], *, at: float) -> list[Event]:
        """Write events, in a transaction; an event that is known is not written again.

        Returns:
            New events.

        Raises:
            UnknownEventError: A query is not remembered, or an item was not in its answer.
        """
        added = []
        for place, event in enumerate(events):
            found = self._connection.execute(
                "SELECT number, first, ids FROM searches WHERE id = ?", (event.query_id,)
            ).fetchone()
            if found is None:
                raise UnknownEventError(place, "query_id", "no answer with this id is remembered")
            number, first, ids = found[0], found[1], json.loads(found[2])
            if event.item not in ids:
                raise UnknownEventError(place, "id", f"{event.item!r:.200} was not in the answer")
            rank = first + ids.index(event.item) if event.rank is None else event.rank
            written = self._connection.execute(
                "INSERT OR IGNORE INTO events (search, type, item, rank, at) VALUES (?, ?, ?, ?, ?)",
                (number, event.type, event.item, rank, at),
            )
            added += [event] if written.rowcount else []
        return added

    def add_sketches(self, sketches: Mapping[tuple[int, str], Sketch]) -> None:
        """Add sketches to those of the same hour and model, in a transaction."""
        for (hour, model), sketch in sketches.items():
            row = self._connection.execute(
                "SELECT count, sums, squares FROM sketches WHERE hour = ? AND model = ?", (hour, model)
            ).fetchone()
            together = sketch if row is None else sketch.added(Sketch.from_bytes(*row))
            self._connection.execute(
                "INSERT OR REPLACE INTO sketches (hour, model, count, sums, squares) VALUES (?, ?, ?, ?, ?)",
                (hour, model, together.count, together.sums.tobytes(), together.squares.tobytes()),
            )

    def sketch(self, model: str, *, first: int, last: int) -> Sketch | None:
        """Sketch of the query vectors of a model in hours since 1970, both included; None without any."""
        with self._translated():
            rows = self._connection.execute(
                "SELECT count, sums, squares FROM sketches WHERE model = ? AND hour BETWEEN ? AND ?",
                (model, first, last),
            ).fetchall()
        together: Sketch | None = None
        for row in rows:
            sketch = Sketch.from_bytes(*row)
            together = sketch if together is None else together.added(sketch)
        return together

    def searches(self, *, since: float = 0.0) -> Iterator[Done]:
        """Searches in the order of time, each with its events.

        Args:
            since: Least time, in seconds since 1970.

        Raises:
            LookalikeError: The file cannot be read.
        """
        with self._translated():
            rows = self._connection.execute(
                f"SELECT number, {COLUMNS} FROM searches WHERE at >= ? ORDER BY at, number", (since,)
            )
            for number, *row in rows:
                events = self._connection.execute("SELECT type, item, rank FROM events WHERE search = ?", (number,))
                yield Done(record_of_row(row), events.fetchall())

    def prune(self, retention: Retention, *, now: float) -> int:
        """Delete what is too old or too much, and return the space to the disk.

        Returns:
            Number of searches that were deleted.
        """
        deleted = 0
        with self.transaction():
            before = now - retention.days * DAY_S
            deleted += self._connection.execute("DELETE FROM searches WHERE at < ?", (before,)).rowcount
            self._connection.execute("DELETE FROM sketches WHERE hour < ?", (int(before // 3600),))
        while self._bytes() > retention.bytes:
            with self.transaction():
                count = self._connection.execute("SELECT COUNT(*) FROM searches").fetchone()[0]
                if not count:
                    break
                deleted += self._connection.execute(
                    "DELETE FROM searches WHERE number IN (SELECT number FROM searches ORDER BY at, number LIMIT ?)",
                    (count // OLDEST_SHARE + 1,),
                ).rowcount
        if deleted:
            with self._translated():
                self._connection.executescript("PRAGMA incremental_vacuum;")  # `execute` would free one page only
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return deleted

    def _bytes(self) -> int:
        """Bytes of the pages in use."""
        with self._translated():
            pages, free, size = (
                self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)

    def is_in_place(self) -> bool:
        """Whether the path still leads to the file that was opened."""
        return file_at(self.path) == self._identity

    def close(self) -> None:
        """Close the file."""
        with suppress(sqlite3.Error):
            self._connection.close()

    def _translated(self) -> translated_errors:
        return translated_errors(self.path, way_out="move it away, and a new file is begun")


def hour_of(at: float) -> int:
    """Hour since 1970 of a time in seconds."""
    return int(at // 3600)


def now() -> float:
    """Present time, in seconds since 1970."""
    return time.time()
