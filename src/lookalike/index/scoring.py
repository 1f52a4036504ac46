"""The score of a row, computed one way only, and the best of many.

Matrix products round differently from one block of rows to the next, and compressed indexes only estimate. So both
serve to find candidates, and whatever is answered was scored by `inner_products`: the same row gets the same score in
every index, and equal rows get equal ones.
"""

from __future__ import annotations

import numpy as np

from lookalike.index.rows import Rows
from lookalike.types import Float32, Int64

BLOCK_BYTES = 32 << 20
"""How much is gathered or computed at once, at most: memory stays bounded however large the gallery is."""


def inner_products(rows: Rows, query: Float32, positions: Int64) -> Float32:
    """Score rows: the inner product of each with the query.

    Args:
        rows: N of D numbers.
        query: (D,) float32.
        positions: (K,) int64, which rows.

    Returns:
        (K,) float32; a row's score does not depend on which others are asked for.

    Raises:
        RowFileError: A row is not as it was written.
    """
    block = max(1, BLOCK_BYTES // (4 * rows.shape[1]))
    scores = np.empty(len(positions), dtype=np.float32)
    for at in range(0, len(positions), block):
        np.vecdot(rows.take(positions[at : at + block]), query, out=scores[at : at + block])
    return scores


def best(rows: Rows | Float32, query: Float32, candidates: Int64, *, k: int) -> tuple[Int64, Float32]:
    """Score candidates and keep the k best.

    Args:
        rows: (N, D) float32.
        query: (D,) float32.
        candidates: (C,) int64, positions in rising order, none twice.
        k: How many to keep; fewer come back when there are fewer candidates.

    Returns:
        Positions (k,) int64 and scores (k,) float32, best first, equal scores by position.
    """
    scores = inner_products(Rows.of(rows), query, candidates)
    order = np.argsort(-scores, kind="stable")[:k]
    return candidates[order], scores[order]


def empty_answer(queries: int, k: int) -> tuple[Int64, Float32]:
    """Positions and scores in which nothing has been found yet: (Q, k) of -1 and of -inf."""
    return np.full((queries, k), -1, dtype=np.int64), np.full((queries, k), -np.inf, dtype=np.float32)
