"""Whether derived rows are fresh enough, and who makes new ones."""

from __future__ import annotations

from lookalike.gallery.derived import Derived, fresher
from lookalike.gallery.frozen import Frozen, Origin
from lookalike.gallery.snapshot import is_stale
from lookalike.gallery.store import Store


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
