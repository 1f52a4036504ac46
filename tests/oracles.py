"""Slow measures of retrieval, word by word, that figures are compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lookalike.types import Float32


def slow_hit_rate(
    rows: Float32,
    queries: Sequence[int],
    gallery: Sequence[int],
    *,
    is_right: Callable[[int, int], bool],
    k: int,
    may_answer: Callable[[int, int], bool] = lambda query, answer: True,
) -> float:
    """How many queries have a right answer among their k nearest ones, as a fraction of all.

    Args:
        rows: (n, D) float32 unit vectors.
        queries: Places of the queries.
        gallery: Places of what may answer, in the order that decides between equal scores.
        is_right: Whether an answer is right, by the places of query and answer.
        k: Number of answers.
        may_answer: Whether an answer counts at all, by the places of query and answer.
    """
    hits = 0
    for query in queries:
        allowed = [place for place in gallery if may_answer(query, place)]
        scores = {place: float(np.dot(rows[query], rows[place])) for place in allowed}
        best = sorted(allowed, key=lambda place: -scores[place])[:k]
        hits += any(is_right(query, place) for place in best)
    return hits / len(queries)
