"""Rows of a snapshot that a filter passes."""

from __future__ import annotations

from typing import Final

from lookalike.gallery.local import attribute_indexes, reads
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.ranking import allow
from lookalike.gallery.local.snapshot import Snapshot

FILTERS_REMEMBERED: Final = 32
"""Filters whose rows a snapshot keeps."""


def passing(database: Database, state: Snapshot, where: str | None) -> AllowedRows | None:
    """Rows that a filter passes, computed once for each snapshot; None if the database was replaced since.

    Args:
        database: The database.
        state: Snapshot to filter.
        where: Filter; None passes all rows.

    Raises:
        FilterError: The filter is invalid.
        GalleryDamagedError: An item's checksum is wrong.
    """
    remembered = state.answers.get(where)
    if remembered is None and where is None:
        remembered = state.answers[None] = allow(state, None)
    elif remembered is None:
        assert where is not None
        if len(state.answers) >= FILTERS_REMEMBERED:
            oldest = next(filter(None, list(state.answers)), None)
            state.answers.pop(oldest, None)
        clause = reads.compile_filter(where, state.names, with_garments=state.with_garments)
        attribute_indexes.make_missing(database, clause, count=state.version.count)
        with database.scanning() as connection:
            if not state.version.is_past_of(connection):
                return None
            remembered = allow(state, reads.matching_rows(connection, clause))
        state.answers[where] = remembered
    return remembered
