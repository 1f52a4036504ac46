"""The state of a gallery that searches go by: the present one, followed from snapshot to snapshot."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import cast

from lookalike.errors import GalleryReplacedError, RowFileError, UsageError
from lookalike.gallery.local import snapshot
from lookalike.gallery.local.connections import Reader
from lookalike.gallery.local.database import Store
from lookalike.gallery.local.filtering import passing
from lookalike.gallery.local.ranking import Allowed, allow
from lookalike.gallery.local.refresh import Aside, build_usual_index, fresh_rows
from lookalike.gallery.local.segment import LONG_TO_BUILD, Moment, Origin, moment_of, was_once
from lookalike.gallery.local.segment_files import Derived, fresher
from lookalike.gallery.local.snapshot import Snapshot, is_stale
from lookalike.storage.fork import watch


class States:
    """Takes snapshots of a gallery as it changes, whoever changes it, and has rows derived for them.

    Attributes:
        snapshot: The newest; None before the first.
        aside: Derives rows while searches go on.
    """

    def __init__(self, store: Store, derived: Derived) -> None:
        self._store = store
        self._derived = derived
        self.snapshot: Snapshot | None = None
        self.aside = Aside()
        self._refreshing = threading.Lock()
        watch(self)

    def before_fork(self) -> None:
        """Do nothing: a snapshot is memory only."""

    def after_fork(self, *, child: bool) -> None:
        """In a child, forget what other threads of the parent were doing."""
        if child:
            self._refreshing, self.aside = threading.Lock(), Aside()

    @contextmanager
    def ending(self) -> Iterator[None]:
        """Have all that is derived stop, and let go of the snapshot, while the database is closed."""
        self.aside.stopping.set()
        yield
        self.aside.stop()
        self.snapshot = None

    def present(self) -> Snapshot:
        """The present state; the one at hand costs some ten microseconds."""
        with self._store.reader() as reader:
            return self._fresh(reader)

    def refreshed(self, *, wait_s: float = 0.0, frozen_anyway: bool = False) -> Snapshot:
        """A new snapshot; see `_refresh`."""
        with self._refreshing:
            return self._refresh(wait_s=wait_s, frozen_anyway=frozen_anyway)

    def to_search(self, where: str | None, *, index: str) -> tuple[Snapshot, Allowed]:
        """The present state, and which of its rows may be answered."""
        while True:
            state = self.present()
            if not state.spaces:
                raise UsageError(f"{self._store.folder} is empty: nothing has been added to it")
            if index not in ("auto", "exact") and state.frozen is None and state.origin.count:
                state = self.refreshed(frozen_anyway=True)
            allowed = allow(state, None) if where is None else passing(self._store, state, where)
            if allowed is not None:
                return state, allowed

    def _fresh(self, reader: Reader) -> Snapshot:
        """The present state; the one at hand costs microseconds."""
        state, version = self.snapshot, reader.version()
        if state is not None and reader.seen == (version, state.origin.moment):
            return state
        now = moment_of(reader.connection)
        if state is None or state.origin.moment != now:
            with self._refreshing:
                state = self.snapshot
                if state is None or state.origin.moment != now:
                    state = self._refresh(wait_s=0)
        reader.seen = (version, state.origin.moment)
        return state

    def _refresh(self, *, wait_s: float = 0.0, frozen_anyway: bool = False) -> Snapshot:
        """Take a new snapshot, and derive rows anew when too many were added or removed since the last time.

        Args:
            wait_s: Seconds to wait for another process that derives them; with 0, many are derived aside.
            frozen_anyway: Derive rows even when there are few.
        """
        while True:
            before = self.snapshot
            with self._store.reading() as connection:
                now = Origin.now(connection)
                if before is not None and not before.origin.is_past_of(connection):
                    before = None  # the database was compacted, replaced or brought back from a copy
            frozen = None if before is None else before.frozen
            if before and frozen and wait_s == 0 and len(frozen) >= LONG_TO_BUILD and is_stale(frozen, now):
                self.aside.start(partial(self._derive, before, now), now)
            elif is_stale(frozen, now) or (frozen_anyway and frozen is None):
                frozen = fresh_rows(self._store, self._derived, held=frozen, now=now, wait_s=wait_s)
            # What was derived is never newer than what is read from here on.
            with self._store.reading() as connection:
                held = before is not None and before.frozen is frozen
                if not now.is_past_of(connection) or not (
                    held or frozen is None or frozen.origin.is_past_of(connection)
                ):
                    continue
                if frozen is None and frozen_anyway:
                    frozen = self._derived.freeze(connection, keep=False)
                if before is not None and before.frozen is frozen:
                    self.snapshot = snapshot.follow(connection, before)
                else:
                    self.snapshot = snapshot.take(connection, frozen)
                return self.snapshot

    def _derive(self, before: Snapshot, now: Origin) -> None:
        """Derive new rows and their index, and then search in them; searches go on meanwhile."""
        stop = self.aside.stopping
        frozen = fresh_rows(self._store, self._derived, held=before.frozen, now=now, wait_s=0, stop=stop)
        if frozen in (None, before.frozen) or stop.is_set():
            return
        build_usual_index(frozen, before.weights, keep=self._store.writable)
        with self._refreshing, self._store.reading() as connection:
            now_held = self.snapshot
            if now_held is not None and not now_held.origin.is_past_of(connection):
                now_held = None
            held = None if now_held is None else now_held.frozen  # `optimise` may have been quicker
            if fresher(held, frozen) is frozen and frozen.origin.is_past_of(connection):
                self.snapshot = snapshot.take(connection, frozen)

    def check_moment(self, reader: Reader, moment: object) -> None:
        """Make sure that a state is one that the gallery is, or was, in.

        Args:
            reader: In a transaction.
            moment: `Origin.moment` of the state; None passes.

        Raises:
            GalleryReplacedError: It never was.
        """
        if moment is None or moment == reader.known(moment_of):
            return
        if not was_once(reader.connection, cast("Moment", moment)):
            raise GalleryReplacedError(
                f"{self._store.folder} was replaced, compacted or brought back from a copy since the search that found "
                "these rows; ask again"
            )

    def give_up(self, state: Snapshot, error: RowFileError) -> None:
        """Forget a state whose derived rows are damaged, so that the next search derives them again."""
        logging.getLogger(__name__).warning("%s; they are derived from the database again", error)
        with self._refreshing:
            if state.frozen is not None:
                self._derived.refuse(state.frozen, delete=self._store.writable)
            if self.snapshot is not None and self.snapshot.frozen is state.frozen:
                self.snapshot = None
