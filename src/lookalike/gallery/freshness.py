"""Whether derived rows are fresh enough, and who makes new ones."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Final

from lookalike.errors import LookalikeError
from lookalike.gallery.derived import Derived, fresher
from lookalike.gallery.frozen import Frozen, Origin
from lookalike.gallery.snapshot import is_stale
from lookalike.gallery.store import Store
from lookalike.index import choose
from lookalike.spaces import resolve_weights

USUAL_K: Final = 10


class Aside:
    """One thread that derives, while searches go on with the rows at hand: it takes a second for each 10,000."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Do some work, unless something is being done already."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, args=(work,), name="derive")
            self._thread.start()

    def wait(self) -> None:
        """Wait until it has been done."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except LookalikeError as error:  # the disk is full, say
            logging.getLogger(__name__).warning("searches stay slower than they could be: %s", error)


def build_usual_index(frozen: Frozen, weights: Mapping[str, float] | None, *, keep: bool) -> None:
    """Build, or load, the index that most queries ask for.

    Args:
        frozen: The rows.
        weights: Those that were learned for the gallery, if any.
        keep: See `Frozen.index`.
    """
    spaces = frozen.origin.spaces
    resolved = resolve_weights(None, spaces, learned=weights)
    usual = choose(count=len(frozen), allowed=None, weights=resolved, spaces=spaces, k=USUAL_K)
    frozen.index(usual, keep=keep)


def fresh_rows(store: Store, derived: Derived, *, held: Frozen | None, now: Origin, wait_s: float) -> Frozen | None:
    """Rows that are not stale: those that are kept, or new ones, unless somebody else is about to derive them.

    Then those that are held, if any, and a long tail must do for the moment.

    Args:
        store: The database.
        derived: What is derived from it.
        held: The rows at hand.
        now: The present state of the database.
        wait_s: Seconds to wait for another process that derives them.
    """
    kept = kept_rows(store, derived)
    if not is_stale(kept, now):
        return kept
    if not store.writable:
        with store.reading() as connection:
            return derived.freeze(connection, keep=False)
    if wait_s == 0 and not store.idle():  # the writer will do it when it has finished
        return fresher(kept, held)
    with derived.building(wait_s=wait_s) as mine:
        if not mine:
            return fresher(kept, held)
        kept = kept_rows(store, derived)  # somebody may have been quicker
        if kept is not None and not is_stale(kept, now):
            return kept
        with store.reading() as connection:
            return derived.freeze(connection, keep=True)


def kept_rows(store: Store, derived: Derived) -> Frozen | None:
    """The newest rows that were derived and kept."""
    with store.reading() as connection:
        return derived.open(connection)
