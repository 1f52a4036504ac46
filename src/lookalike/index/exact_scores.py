"""Exact scores of rows, and selection of the best.

Matrix products round differently from block to block, and compressed indexes only estimate scores. So both only select
candidates, and every returned row is scored by `inner_products`: a row has the same score in every index, and equal
rows have equal scores.
"""

from __future__ import annotations

import numpy as np

from lookalike.index.rows import Rows
from lookalike.types import Float32, Int64

BLOCK_BYTES = 32 << 20
"""Bytes that are gathered or computed at once, which bounds the memory for a gallery of any size."""


def inner_products(rows: Rows, query: Float32, positions: Int64) -> Float32:
    """Score rows: the inner product of each with the query.

    Args:
        rows: N rows of D numbers.
        query: (D,) float32.
        positions: (K,) int64, positions of the rows.

    Returns:
        (K,) float32; the score of a row does not depend on the other positions.

    Raises:
        RowFileError: A row is damaged.
    """
    block = max(1, BLOCK_BYTES // (4 * rows.shape[1]))
    scores: Float32
    if len(positions) <= block:
        scores = np.vecdot(rows.take(positions), query)
        return scores
    scores = np.empty(len(positions), dtype=np.float32)
    for at in range(0, len(positions), block):
        np.vecdot(rows.take(positions[at : at + block]), query, out=scores[at : at + block])
    return scores


def best(rows: Rows | Float32, query: Float32, candidates: Int64, *, k: int) -> tuple[Int64, Float32]:
    """Score candidates and keep the k best.

    Args:
        rows: (N, D) float32.
        query: (D,) float32.
        candidates: (C,) int64, positions in ascending order, each once.
        k: Number of rows to keep; fewer are returned if there are fewer candidates.

    Returns:
        Positions (k,) int64 and scores (k,) float32, best first, equal scores by position.
    """
    scores = inner_products(Rows.of(rows), query, candidates)
    order = np.argsort(-scores, kind="stable")[:k]
    return candidates[order], scores[order]


def empty_answer(queries: int, k: int) -> tuple[Int64, Float32]:
    """Positions and scores of an empty answer: (Q, k) of -1 and of -inf."""
    return np.full((queries, k), -1, dtype=np.int64), np.full((queries, k), -np.inf, dtype=np.float32)
