"""Reciprocal rank fusion: one ranking of several that need not share a scale, such as cosines and BM25."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.types import Float32, Int64

RANK_OFFSET: Final = 60
"""`k` of the formula: how little the first ranks are worth more than those after them."""


def fused(rankings: Sequence[Int64], *, weights: Sequence[float] | None = None) -> tuple[Int64, Float32]:
    """Fuse rankings: each row scores the sum of weight / (60 + its rank in a ranking), over the rankings that have it.

    Of equal scores, the row that comes first in the first ranking is first, then the one in the next; a row that a
    ranking lacks comes after those that it has.

    Args:
        rankings: Rankings of row numbers, each (K,) int64, best first, no row twice.
        weights: Weight of each ranking; None counts each as 1.

    Returns:
        Row numbers, (M,) int64, and scores, (M,) float32, of all rows of any ranking, best first.

    Source: Cormack, Clarke and Buettcher 2009, Reciprocal Rank Fusion outperforms Condorcet and individual Rank
        Learning Methods.
    """
    factors = [1.0] * len(rankings) if weights is None else weights
    rows = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *rankings]))
    ranks = np.full((len(rankings), len(rows)), np.inf)
    for at, ranking in enumerate(rankings):
        ranks[at, np.searchsorted(rows, ranking)] = np.arange(1, len(ranking) + 1)
    scores = np.zeros(len(rows))
    for factor, rank in zip(factors, ranks, strict=True):
        scores += factor / (RANK_OFFSET + rank)
    order = np.lexsort((rows, *ranks[::-1], -scores))
    return rows[order], scores[order].astype(np.float32)
