"""Folding of answers: of the rows of an item, the best one counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lookalike.types import Float32, Int64, Neighbours


def search_folded(
    search: Callable[[int], Neighbours], owners: Callable[[Int64], Int64], *, k: int, count: int
) -> Neighbours:
    """Search ever deeper until each query has k items, and fold the answer.

    Args:
        search: Returns the K nearest rows.
        owners: Maps rows, (Q, K) int64, to the rows of the items that they belong to; -1 stays.
        k: Number of items to find.
        count: Number of rows that may be found.
    """
    depth = k
    while True:
        depth = min(2 * depth, count)
        found = search(depth)
        firsts = [first_places(items) for items in owners(found.rows)]
        ends = found.rows[:, -1:] < 0  # nothing is left to find for this query
        if depth >= count or all(len(places) >= k or end.any() for places, end in zip(firsts, ends, strict=True)):
            return taken(found, [places[:k] for places in firsts])


def first_places(items: Int64) -> Int64:
    """Places at which each item comes first in a list (K,), ascending; -1 is no item."""
    found, places = np.unique(items, return_index=True)
    return np.sort(places[found >= 0])


def taken(found: Neighbours, places: Sequence[Int64]) -> Neighbours:
    """Neighbours at some places of each query; the ends of shorter lists are filled as in `Neighbours`."""
    width = max(map(len, places), default=0)
    chosen = np.zeros((len(places), width), dtype=np.int64)
    is_filled = np.zeros(chosen.shape, dtype=np.bool_)
    for query, kept in enumerate(places):
        chosen[query, : len(kept)] = kept
        is_filled[query, : len(kept)] = True

    def take(rows: Float32, nothing: float) -> Float32:
        return np.where(is_filled, np.take_along_axis(rows, chosen, axis=1), np.float32(nothing))

    return replace(
        found,
        rows=np.where(is_filled, np.take_along_axis(found.rows, chosen, axis=1), -1),
        scores=take(found.scores, -np.inf),
        by_space={name: take(part, np.nan) for name, part in found.by_space.items()},
    )
