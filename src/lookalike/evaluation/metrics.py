"""Metrics of a ranking: pure functions of what is relevant where, each with its definition and its rival's name.

A ranking is given as relevances in the order of the answers: (Q, K), one row a query.
"""

from __future__ import annotations

import numpy as np

from lookalike.types import Bool, Float32, Int64


def hit_rate_at_k(relevant: Bool, k: int) -> float:
    """Part of the queries with at least one relevant answer among the first k.

    Fashion papers print this as "Recall@k" (Liu et al. 2016, DeepFashion); for the fraction of all relevant
    items that was found, which is also called recall, see information retrieval's definition.

    Args:
        relevant: (Q, K) whether the answer is relevant, K >= k.
        k: From 1.

    Returns:
        In [0, 1]; 0 for no queries.
    """
    return float(relevant[:, :k].any(axis=1).mean()) if len(relevant) else 0.0


def precision_at_k(relevant: Bool, k: int) -> float:
    """Mean part of the first k answers that is relevant; answers that are missing count as irrelevant.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        k: From 1.

    Returns:
        In [0, 1]; 0 for no queries.
    """
    return float(relevant[:, :k].sum(axis=1).mean() / k) if len(relevant) else 0.0


def ndcg_at_k(grades: Int64, ideal: Int64, k: int) -> float:
    """Mean normalised discounted cumulative gain of the first k answers, with the gain 2^grade - 1.

    A query that has nothing relevant counts as 0; it does not vanish from the mean.

    Args:
        grades: (Q, K) relevance of the answers, at least 0; answers that are missing count as 0.
        ideal: (Q, K') the highest grades in the gallery for each query, falling.
        k: From 1.

    Returns:
        In [0, 1]; 0 for no queries.

    Source: Burges et al. 2005, Learning to Rank using Gradient Descent, section 5: gain 2^r - 1, discount
    log2(1 + rank).
    """
    if not len(grades):
        return 0.0
    gained, best = (
        ((2.0**found - 1.0) / np.log2(np.arange(2, found.shape[1] + 2))).sum(axis=1)
        for found in (grades[:, :k], ideal[:, :k])
    )
    return float(np.divide(gained, best, out=np.zeros_like(gained), where=best > 0).mean())


def graded_relevance(query_labels: list[Int64], gallery_labels: list[Int64]) -> Int64:
    """How many leading fields of query and gallery item agree: with type, colour, gender 3, 2, 1 or 0.

    Args:
        query_labels: For each field, the leading one first, (Q,) class numbers; -1 is unknown and agrees with nothing.
        gallery_labels: The same fields, (N,).

    Returns:
        (Q, N) int64.
    """
    agree = np.ones((len(query_labels[0]), len(gallery_labels[0])), dtype=bool)
    grades = np.zeros(agree.shape, dtype=np.int64)
    for query, gallery in zip(query_labels, gallery_labels, strict=True):
        agree &= (query[:, None] == gallery[None, :]) & (query[:, None] >= 0)
        grades += agree
    return grades


def order_by_score(scores: Float32, apart: Bool, k: int) -> tuple[Int64, Bool]:
    """The k best answers of each query, leaving out those that may not answer it.

    Args:
        scores: (Q, N) higher is better.
        apart: (Q, N) pairs that never answer each other.
        k: From 1.

    Returns:
        (Q, min(k, N)) int64 columns, best first, and whether each may answer at all.
    """
    allowed = np.where(apart, -np.inf, scores)
    order = np.argsort(-allowed, axis=1, kind="stable")[:, :k]
    return order, ~np.take_along_axis(apart, order, axis=1)
