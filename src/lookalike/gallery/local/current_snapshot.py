"""The snapshot that searches use: the current one, replaced when the database changes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from lookalike.errors import GalleryReplacedError, RowFileError, UsageError
from lookalike.gallery.local import snapshot
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.connections import Reader
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.filtering import passing
from lookalike.gallery.local.refresh import BackgroundBuild, build_usual_index, refreshed_segment
from lookalike.gallery.local.segment import LONG_TO_BUILD
from lookalike.gallery.local.segment_files import SegmentFiles, newer
from lookalike.gallery.local.snapshot import Snapshot, is_stale
from lookalike.gallery.local.version import Version, VersionId, version_id, was_once
from lookalike.storage.fork import watch


class CurrentSnapshot:
    """Takes snapshots of a gallery as this and other processes change it, and refreshes the segment.

    Attributes:
        snapshot: Newest snapshot; None before the first.
        background_build: Builds segments while searches go on.
    """

    def __init__(self, database: Database, segment_files: SegmentFiles) -> None:
        self._database = database
        self._segment_files = segment_files
        self.snapshot: Snapshot | None = None
        self.background_build = BackgroundBuild()
        self._refreshing = threading.Lock()
        watch(self)

    def before_fork(self) -> None:
        """Do nothing: a snapshot is memory only."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, forget what other threads of the parent were doing."""
        if child:
            self._refreshing, self.background_build = threading.Lock(), BackgroundBuild()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Stop the background build, and drop the snapshot, while the database is closed."""
        self.background_build.stopping.set()
        yield
        self.background_build.stop()
        self.snapshot = None

    def present(self) -> Snapshot:
        """The present state; the one at hand costs some ten microseconds."""
        with self._database.reader() as reader:
            return self._fresh(reader)

    def refreshed(self, *, wait_s: float = 0.0, force_segment: bool = False) -> Snapshot:
        """A new snapshot; see `_refresh`."""
        with self._refreshing:
            return self._refresh(wait_s=wait_s, force_segment=force_segment)

    def for_search(self, where: str | None, *, index: str) -> tuple[Snapshot, AllowedRows]:
        """The present state, and which of its rows may be answered."""
        while True:
            state = self.present()
            if not state.spaces:
                raise UsageError(f"{self._database.folder} is empty: nothing has been added to it")
            if index not in ("auto", "exact") and state.segment is None and state.version.count:
                state = self.refreshed(force_segment=True)
            allowed = passing(self._database, state, where)
            if allowed is not None:
                return state, allowed

    def _fresh(self, reader: Reader) -> Snapshot:
        """The present state; the one at hand costs microseconds."""
        state, data_version = self.snapshot, reader.data_version()
        if state is not None and reader.seen == (data_version, state.version.id):
            return state
        now = version_id(reader.connection)
        if state is None or state.version.id != now:
            with self._refreshing:
                state = self.snapshot
                if state is None or state.version.id != now:
                    state = self._refresh(wait_s=0)
        reader.seen = (data_version, state.version.id)
        return state

    def _refresh(self, *, wait_s: float = 0.0, force_segment: bool = False) -> Snapshot:
        """Take a new snapshot, and make a new segment when too many rows were added or removed since the last one.

        Args:
            wait_s: Seconds to wait for another process that makes one; with 0, many are built in the background.
            force_segment: Make a segment even of few rows.
        """
        while True:
            before = self.snapshot
            with self._database.reading() as connection:
                now = Version.now(connection)
                if before is not None and not before.version.is_past_of(connection):
                    before = None  # the database was compacted, replaced or brought back from a copy
            segment = None if before is None else before.segment
            if before and segment and wait_s == 0 and len(segment) >= LONG_TO_BUILD and is_stale(segment, now):
                self.background_build.start(partial(self._rebuild_segment, before, now), now)
            elif is_stale(segment, now) or (force_segment and segment is None):
                segment = refreshed_segment(self._database, self._segment_files, held=segment, now=now, wait_s=wait_s)
            # The segment is never newer than what is read from here on.
            with self._database.reading() as connection:
                held = before is not None and before.segment is segment
                if not now.is_past_of(connection) or not (
                    held or segment is None or segment.version.is_past_of(connection)
                ):
                    continue
                if segment is None and force_segment:
                    segment = self._segment_files.build(connection, keep=False)
                if before is not None and before.segment is segment:
                    self.snapshot = snapshot.follow(connection, before)
                else:
                    self.snapshot = snapshot.take(connection, segment)
                return self.snapshot

    def _rebuild_segment(self, before: Snapshot, now: Version) -> None:
        """Make a new segment and its index in the background, and then search in it."""
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
            held = None if now_held is None else now_held.segment  # `optimise` may have been quicker
            if newer(held, segment) is segment and segment.version.is_past_of(connection):
                self.snapshot = snapshot.take(connection, segment)

    def check_version(self, reader: Reader, version: object) -> None:
        """Check that the gallery is, or once was, at a version.

        Args:
            reader: In a transaction.
            version: `Version.id` of the state; None passes.

        Raises:
            GalleryReplacedError: It never was.
        """
        if version is None or version == reader.known(version_id):
            return
        if not was_once(reader.connection, cast("VersionId", version)):
            raise GalleryReplacedError(
                f"{self._database.folder} was replaced, compacted or brought back from a copy since the search "
                "that found these rows; ask again"
            )

    def discard_segment(self, state: Snapshot, error: RowFileError) -> None:
        """Drop a snapshot whose segment is damaged, so that the next search makes another."""
        logging.getLogger(__name__).warning("%s; they are derived from the database again", error)
        with self._refreshing:
            if state.segment is not None:
                self._segment_files.refuse(state.segment, delete=self._database.writable)
            if self.snapshot is not None and self.snapshot.segment is state.segment:
                self.snapshot = None
