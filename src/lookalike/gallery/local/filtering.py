"""Which rows of a state a filter passes."""

from __future__ import annotations

from typing import Final

from lookalike.gallery.local import attribute_indexes, reads
from lookalike.gallery.local.database import Store
from lookalike.gallery.local.ranking import Allowed, allow
from lookalike.gallery.local.snapshot import Snapshot

FILTERS_REMEMBERED: Final = 32


def passing(store: Store, state: Snapshot, where: str) -> Allowed | None:
    """What a filter passes, asked once for each state; None when the database has another history by now.

    Raises:
        FilterError: It cannot be understood.
        GalleryDamagedError: The items are not as they were written.
    """
    remembered = state.answers.get(where)
    if remembered is None:
        if len(state.answers) >= FILTERS_REMEMBERED:
            state.answers.clear()
        clause = reads.compile_filter(where, state.names)
        attribute_indexes.make_missing(store, clause, count=state.origin.count)
        with store.asking() as connection:
            if not state.origin.is_past_of(connection):
                return None
            remembered = allow(state, reads.matching_rows(connection, clause))
        state.answers[where] = remembered
    return remembered
