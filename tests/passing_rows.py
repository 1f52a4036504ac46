"""Rows that pass a filter: as a search of a gallery takes them, and as SQLite lists them anew."""

from __future__ import annotations

import numpy as np

from lookalike.gallery.local import reads
from lookalike.gallery.local.gallery import LocalGallery


def passing(gallery: LocalGallery, where: str) -> set[int]:
    """Numbers of the rows that searches with a filter may return."""
    state, allowed = gallery._current.for_search(where, index="auto")
    assert allowed.unindexed is not None
    assert allowed.count == allowed.segment_count + allowed.unindexed_count
    found = state.unindexed.numbers[allowed.unindexed].tolist()
    if state.segment is not None:
        assert allowed.segment is not None
        assert allowed.segment.count == allowed.segment_count == np.count_nonzero(allowed.segment.rows)
        found += state.segment.numbers[allowed.segment.rows].tolist()
    return set(found)


def by_sqlite(gallery: LocalGallery, where: str) -> set[int]:
    """Numbers of the rows that pass a filter, read from the database."""
    with gallery._database.reading() as connection:
        _, clause = reads.filter_of(connection, where)
        return set(reads.matching_rows(connection, clause).tolist())
