"""Reciprocal rank fusion: one ranking of several that need not share a scale, such as cosines and BM25."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.types import Float32, Int64

RANK_OFFSET: Final = 60
"""`k` of the formula: how little the first ranks are worth more than those after them."""


def fused(rankings: Sequence[Int64]) -> tuple[Int64, Float32]:
    """Fuse rankings: each row scores the sum of 1 / (60 + its rank in a ranking), over the rankings that have it.

    Of equal scores, the row that comes first in the first ranking is first, then the one in the next; a row that a
    ranking lacks comes after those that it has.

    Args:
        rankings: Rankings of row numbers, each (K,) int64, best first, no row twice.

    Returns:
        Row numbers, (M,) int64, and scores, (M,) float32, of all rows of any ranking, best first.

    Source: Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion outperforms Condorcet and individual Rank
        Learning Methods.
    """
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *rankings]))
    ranks = np.full((len(rankings), len(rows)), np.inf)
    for at, ranking in enumerate(rankings):
        ranks[at, np.searchsorted(rows, ranking)] = np.arange(1, len(ranking) + 1)
    scores = (1 / (RANK_OFFSET + ranks)).sum(axis=0)
    order = np.lexsort((rows, *ranks[::-1], -scores))
    return rows[order], scores[order].astype(np.float32)
