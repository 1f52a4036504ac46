"""The snapshot that searches use: the current one, replaced when the database changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, NamedTuple, cast

from lookalike.errors import GalleryReplacedError, LookalikeError, RowFileError, UsageError
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.file_identity import FileState
from lookalike.gallery.local.filtering import passing
from lookalike.gallery.local.pooled_connection import PooledConnection
from lookalike.gallery.local.refresh import BackgroundBuild, build_usual_index, refreshed_segment
from lookalike.gallery.local.segment import LONG_TO_BUILD
from lookalike.gallery.local.segment_files import SegmentFiles, newer
from lookalike.gallery.local.snapshot import Snapshot, is_stale, next_snapshot, take_snapshot
from lookalike.gallery.local.version import Version, VersionId, is_in_history, version_id
from lookalike.gallery.local.wal import log_size
from lookalike.storage.fork import watch

TRIES: Final = 20
"""Largest number of attempts to take a snapshot while the database is replaced or compacted."""


class Sight(NamedTuple):
    """What was seen of a database by one look.

    Another program that copies into the database's file leaves a mixture for a while, whose version is that of the
    first page. When the file changes and the version does not, what was read before is such a mixture, unless a
    checkpoint changed the file.

    Attributes:
        version: `Version.id`.
        schema: SQLite's number of the schema, which vacuuming changes too.
        file: State of the database's file.
        settled: Whether the file had all commits, so that no checkpoint was to come.
    """

    version: VersionId
    schema: int
    file: FileState
    settled: bool

    @classmethod
    def of(cls, database: Database, reader: PooledConnection) -> Sight:
        """What a connection in a transaction sees."""
        (number,) = reader.connection.execute("PRAGMA schema_version").fetchone()
        settled = log_size(database.path) == 0 and database.is_untouched(reader)
        return cls(version_id(reader.connection), number, reader.files.database, settled)

    def is_overwritten(self, later: Sight) -> bool:
        """Whether another program has written into the file until a later look."""
        return self.settled and self[:2] == later[:2] and self.file != later.file


class CurrentSnapshot:
    """Takes snapshots of a gallery as this and other processes change it, and refreshes the segment.

    Attributes:
        snapshot: Newest snapshot; None before the first.
        seen: What the newest snapshot was, or was to be, taken from.
        background_build: Builds segments while searches go on.
    """

    def __init__(self, database: Database, segment_files: SegmentFiles) -> None:
        self._database = database
        self._segment_files = segment_files
        self.snapshot: Snapshot | None = None
        self.seen: Sight | None = None
        self.background_build = BackgroundBuild()
        self._refreshing = threading.Lock()
        watch(self)

    def before_fork(self) -> None:
        """Do nothing: a snapshot holds memory only."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, start with new locks and without a background build."""
        if child:
            self._refreshing, self.background_build = threading.Lock(), BackgroundBuild()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Close the database within this context; the background build is stopped and the snapshot dropped."""
        self.background_build.stopping.set()
        yield
        self.background_build.stop()
        self.snapshot = None

    def present(self) -> Snapshot:
        """The snapshot of the present version; 10 microseconds when nothing has changed."""
        with self._database.reader() as reader:
            state = self._seen(reader)
        if state is None:
            with self._refreshing:
                with self._database.reader() as reader:
                    state = self._seen(reader)
                if state is None:  # no connection is in use now, so that a new one is opened once
                    state = self._refresh(wait_s=0)
        return state

    def refreshed(self, *, wait_s: float = 0.0, force_segment: bool = False) -> Snapshot:
        """Take a new snapshot; see `_refresh`."""
        with self._refreshing:
            return self._refresh(wait_s=wait_s, force_segment=force_segment)

    def for_search(self, where: str | None, *, index: str) -> tuple[Snapshot, AllowedRows]:
        """The snapshot of the present version, and the rows of it that a search may return.

        Args:
            where: Filter; None allows all items.
            index: Name of the index to search with; indexes other than `auto` and `exact` need a segment.

        Raises:
            UsageError: The gallery is empty.
            FilterError: The filter is invalid.
            LookalikeError: The database was replaced at each attempt.
        """
        for _ in range(TRIES):
            state = self.present()
            if not state.spaces:
                raise UsageError(f"{self._database.folder} is empty: nothing has been added to it")
            if index not in ("auto", "exact") and state.segment is None and state.version.count:
                state = self.refreshed(force_segment=True)
            allowed = passing(self._database, state, where)
            if allowed is not None:
                return state, allowed
        raise self._unstable()

    def _unstable(self) -> LookalikeError:
        return LookalikeError(f"{self._database.folder} is being replaced all the time; try again")

    def _seen(self, reader: PooledConnection) -> Snapshot | None:
        """The snapshot, if it is of the version and the file that a connection sees."""
        state, data_version = self.snapshot, reader.data_version()
        if state is None or reader.seen == (data_version, state.version.id):
            return state
        file = self.seen and self.seen.file
        if version_id(reader.connection) != state.version.id or file != reader.files.database:
            return None
        reader.seen = (data_version, state.version.id)
        return state

    def _refresh(self, *, wait_s: float = 0.0, force_segment: bool = False) -> Snapshot:
        """Take a new snapshot, and build a new segment when too many rows were added or removed since the last one.

        Args:
            wait_s: Seconds to wait for another process that builds one; with 0, a large one is built in the background.
            force_segment: Build a segment even of few rows.

        Raises:
            LookalikeError: The database was replaced at each attempt.
        """
        for _ in range(TRIES):
            taken = self._try_to_refresh(wait_s=wait_s, force_segment=force_segment)
            if taken is not None:
                self.snapshot = taken
                return taken
        raise self._unstable()

    def _try_to_refresh(self, *, wait_s: float, force_segment: bool) -> Snapshot | None:
        """Take a new snapshot; None when the database was replaced or compacted meanwhile."""
        before = self.snapshot
        with self._database.viewing() as reader:
            now = Version.now(reader.connection)
            if before is not None and not before.version.is_past_of(reader.connection):
                before = None  # the database was compacted, replaced or restored from a copy
            before = self._trusted(before, Sight.of(self._database, reader))
        segment = None if before is None else before.segment
        if before and segment and wait_s == 0 and len(segment) >= LONG_TO_BUILD and is_stale(segment, now):
            self.background_build.start(partial(self._rebuild_segment, before, now), now)
        elif is_stale(segment, now) or (force_segment and segment is None):
            segment = refreshed_segment(self._database, self._segment_files, held=segment, now=now, wait_s=wait_s)
        if before is not None and before.segment is segment and before.version.id == now.id and not force_segment:
            return before  # a checkpoint has moved commits into the database's file, and nothing else has changed
        # The segment is never newer than what is read from here on.
        with self._database.reading() as connection:
            held = before is not None and before.segment is segment
            if not now.is_past_of(connection):
                return None
            if not (held or segment is None or segment.version.is_past_of(connection)):
                return None
            if segment is None and force_segment:
                segment = self._segment_files.build(connection, keep=False)
            if before is not None and before.segment is segment:
                return next_snapshot(connection, before)
            return take_snapshot(connection, segment)

    def _trusted(self, before: Snapshot | None, sight: Sight) -> Snapshot | None:
        """A snapshot to go on from; None when it, and segments of that version, were read while the file was copied."""
        last, self.seen = self.seen, sight
        if last is None or not last.is_overwritten(sight):
            return before
        self._segment_files.refuse_version(sight.version, delete=self._database.writable)
        return None

    def _rebuild_segment(self, before: Snapshot, now: Version) -> None:
        """Build a new segment and its index in the background, and make the snapshot use it."""
        stop = self.background_build.stopping
        segment = refreshed_segment(
            self._database, self._segment_files, held=before.segment, now=now, wait_s=0, stop=stop
        )
        if segment in (None, before.segment) or stop.is_set():
            return
        build_usual_index(segment, before.weights, keep=self._database.writable)
        with self._refreshing, self._database.reading() as connection:
            now_held = self.snapshot
            if now_held is not None and not now_held.version.is_past_of(connection):
                now_held = None
            held = None if now_held is None else now_held.segment  # `optimise` may have finished first
            if newer(held, segment) is segment and segment.version.is_past_of(connection):
                self.snapshot = take_snapshot(connection, segment)

    def check_version(self, reader: PooledConnection, version: object) -> None:
        """Check that the gallery is, or once was, at a version.

        Args:
            reader: Connection in a transaction.
            version: `Version.id`; None passes.

        Raises:
            GalleryReplacedError: The version is not in the gallery's history.
        """
        if version is None or version == reader.known(version_id):
            return
        if not is_in_history(reader.connection, cast("VersionId", version)):
            raise GalleryReplacedError(
                f"{self._database.folder} was replaced, compacted or restored from a copy since the search "
                "that found these rows; search again"
            )

    def discard_segment(self, state: Snapshot, error: RowFileError) -> None:
        """Drop a snapshot whose segment is damaged, so that the next search builds another."""
        logging.getLogger(__name__).warning("%s; the segment is built from the database again", error)
        with self._refreshing:
            if state.segment is not None:
                self._segment_files.refuse(state.segment, delete=self._database.writable)
            if self.snapshot is not None and self.snapshot.segment is state.segment:
                self.snapshot = None
