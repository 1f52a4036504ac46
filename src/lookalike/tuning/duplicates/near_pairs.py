"""All pairs of rows that are near each other, by exact comparison in tiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from lookalike.types import Float32, Int64

TILE: Final = 4096
"""Rows of a tile: 64 MiB of cosines at a time."""


class NearPairs(NamedTuple):
    """Pairs of rows, nearest first.

    Attributes:
        first: (P,) int64, the smaller row number of each pair.
        second: (P,) int64, the other one.
        cosine: (P,) float32.
        least: Least cosine down to which all pairs are there.
    """

    first: Int64
    second: Int64
    cosine: Float32
    least: float


def near_pairs(
    rows: Float32, *, least: float, most: int, progress: Callable[[int, int], None] | None = None
) -> NearPairs:
    """Find all pairs of rows of at least a cosine, and of too many the nearest ones.

    Args:
        rows: (N, D) float32 unit rows; rows of zeros are near nothing.
        least: Least cosine, above 0.
        most: Largest number of pairs.
        progress: Called with the number of rows done and of all.
    """
    kept = NearPairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32), least)
    for start in range(0, len(rows), TILE):
        here = rows[start : start + TILE]
        for other in range(start, len(rows), TILE):
            cosines = here @ rows[other : other + TILE].T
            if other == start:
                cosines[np.tri(*cosines.shape, dtype=np.bool_)] = 0  # each pair once
            first, second = np.nonzero(cosines >= kept.least)
            kept = NearPairs(
                np.concatenate([kept.first, first + start]),
                np.concatenate([kept.second, second + other]),
                np.concatenate([kept.cosine, cosines[first, second]]),
                kept.least,
            )
            if len(kept.cosine) > most:
                kept = nearest(kept, most)
        if progress is not None:
            progress(min(start + TILE, len(rows)), len(rows))
    return nearest(kept, most)


def nearest(pairs: NearPairs, most: int) -> NearPairs:
    """The nearest pairs, in order."""
    order = np.argsort(-pairs.cosine, kind="stable")[:most]
    least = pairs.least if len(order) == len(pairs.cosine) else max(pairs.least, float(pairs.cosine[order[-1]]))
    return NearPairs(pairs.first[order], pairs.second[order], pairs.cosine[order], least)
