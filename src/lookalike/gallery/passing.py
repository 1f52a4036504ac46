"""Which rows of a state a filter passes."""

from __future__ import annotations

from typing import Final

from lookalike.gallery import attribute_indexes, browse
from lookalike.gallery.ranking import Allowed, allow
from lookalike.gallery.snapshot import Snapshot
from lookalike.gallery.store import Store

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
        clause = browse.compile_filter(where, state.names)
        attribute_indexes.make_missing(store, clause, count=state.origin.count)
        with store.asking() as connection:
            if not state.origin.is_past_of(connection):
                return None
            remembered = allow(state, browse.matching_rows(connection, clause))
        state.answers[where] = remembered
    return remembered
