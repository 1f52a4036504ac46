"""Ranking metrics: pure functions of relevance, each with its definition and the metric it is often confused with.

A ranking is given as relevances in the order of the answers: (Q, K), one row per query. Every function returns one
value per query, (Q,) float64 in [0, 1], and `mean_of` averages them. Queries without answers or without relevant items
count as 0; they stay in the mean.

Where K is smaller than the number of candidates, answers after the K-th count as irrelevant.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.types import Bool, Float32, Int64

Float64: TypeAlias = npt.NDArray[np.float64]

RECALL_TENTHS: Int64 = np.arange(11)
"""Recall levels of `interpolated_precision`, in tenths."""


def mean_of(values: Float64) -> float:
    """Return the mean over queries, (Q,); 0 for no queries."""
    return float(values.mean()) if len(values) else 0.0


def hit_rate_at_k(relevant: Bool, k: int) -> Float64:
    """Return 1 for each query with at least one relevant answer among the first k, else 0.

    Fashion papers print its mean as "Recall@k" (Liu et al. 2016, DeepFashion, section 4); `recall_at_k` is the fraction
    of all relevant items that was found.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        k: From 1.
    """
    hits: Float64 = (relevant[:, :k].sum(axis=1) > 0).astype(np.float64)
    return hits


def recall_at_k(relevant: Bool, total: Int64, k: int) -> Float64:
    """Return the fraction of a query's relevant items among its first k answers.

    Its rival is `hit_rate_at_k`, which fashion and metric-learning papers call Recall@k. With more than k relevant
    items it stays below 1; `r_precision` does not.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        total: (Q,) how many items are relevant.
        k: From 1.

    Source: Manning, Raghavan, Schütze 2008, Introduction to Information Retrieval, section 8.3.
    """
    return _divided(relevant[:, :k].sum(axis=1), total)


def precision_at_k(relevant: Bool, k: int) -> Float64:
    """Return the fraction of relevant answers among the first k; missing answers count as irrelevant.

    Its rival divides by the number of answers where that is less than k.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        k: From 1.

    Source: Manning, Raghavan, Schütze 2008, section 8.4.
    """
    parts: Float64 = relevant[:, :k].sum(axis=1) / k
    return parts


def r_precision(relevant: Bool, total: Int64) -> Float64:
    """Return the fraction of relevant answers among the first R, the number of relevant items of the query.

    Its rival is `map_at_r`, which also depends on the order of the first R.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        total: (Q,) how many items are relevant, R.

    Source: Manning, Raghavan, Schütze 2008, section 8.4.
    """
    return _divided((relevant & _first(relevant, total)).sum(axis=1), total)


def average_precision(relevant: Bool, total: Int64, k: int | None = None) -> Float64:
    """Return the sum of precisions at the ranks of relevant answers over the number of relevant items; its mean is mAP.

    With k, answers after the k-th count as not found, and the sum is still divided by the number of all relevant
    items, as trec_eval's map_cut does. Rivals divide by min(R, k), or by the number of relevant answers among the first
    k; their figures are higher. `map_at_r` looks at the first R answers of each query.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        total: (Q,) how many items are relevant.
        k: From 1; None looks at all answers.

    Source: Buckley and Voorhees 2000, Evaluating Evaluation Measure Stability.
    """
    return _divided(_precisions_at_hits(relevant[:, :k]).sum(axis=1), total)


def map_at_r(relevant: Bool, total: Int64) -> Float64:
    """Return the average precision of the first R answers, R being the number of relevant items of the query.

    Its rivals: `average_precision` also counts answers after the R-th; `r_precision` ignores the order.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        total: (Q,) how many items are relevant, R.

    Source: Musgrave, Belongie, Lim 2020, A Metric Learning Reality Check, section 3.2.
    """
    return _divided((_precisions_at_hits(relevant) * _first(relevant, total)).sum(axis=1), total)


def reciprocal_rank(relevant: Bool) -> Float64:
    """Return the reciprocal rank of the first relevant answer, 0 without one; its mean is MRR.

    Args:
        relevant: (Q, K) whether the answer is relevant.

    Source: Voorhees 1999, The TREC-8 Question Answering Track Report.
    """
    ranks = rank_of_first(relevant)
    return _divided(ranks > 0, ranks)


def rank_of_first(relevant: Bool) -> Int64:
    """Return the rank, from 1, of the first relevant answer of each query, (Q,) int64; 0 without one."""
    if relevant.shape[1] == 0:
        return np.zeros(len(relevant), dtype=np.int64)
    ranks: Int64 = np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1, 0).astype(np.int64)
    return ranks


def ndcg_at_k(grades: Int64, ideal: Int64, k: int) -> Float64:
    """Return the normalised discounted cumulative gain of the first k answers, with the gain 2^grade - 1.

    Its rival has the gain `grade` (Järvelin and Kekäläinen 2002; trec_eval's ndcg_cut, scikit-learn's ndcg_score): the
    same for grades 0 and 1.

    Args:
        grades: (Q, K) grades of the answers, at least 0; missing answers count as 0.
        ideal: (Q, K') highest grades in the gallery for each query, descending.
        k: From 1.

    Source: Burges et al. 2005, Learning to Rank using Gradient Descent, section 5: gain 2^r - 1, discount
    log2(1 + rank).
    """
    gained, best = (
        ((2.0**found - 1.0) / np.log2(np.arange(2, found.shape[1] + 2))).sum(axis=1)
        for found in (grades[:, :k], ideal[:, :k])
    )
    return _divided(gained, best)


def interpolated_precision(relevant: Bool, total: Int64) -> Float64:
    """Return the interpolated recall-precision curve of each query: the highest precision at or beyond each recall.

    Args:
        relevant: (Q, K) whether the answer is relevant.
        total: (Q,) how many items are relevant.

    Returns:
        (Q, 11) float64, at recall 0, 0.1, ... 1; 0 where the recall is never reached.

    Source: Manning, Raghavan, Schütze 2008, section 8.4: eleven-point interpolated average precision.
    """
    rows, ranks = np.nonzero(relevant)
    found = relevant.sum(axis=1)
    place = np.arange(len(rows)) - np.repeat(np.cumsum(found) - found, found)
    precision = np.zeros((len(relevant), max(1, int(found.max(initial=0)))))
    precision[rows, place] = (place + 1) / (ranks + 1)  # of the first, second, ... relevant answer
    best_onwards = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    wanted = np.maximum(1, -(-RECALL_TENTHS * total[:, None] // 10))  # integer arithmetic: no rounding errors
    at = np.minimum(wanted, best_onwards.shape[1]) - 1
    curves: Float64 = np.where(wanted <= found[:, None], np.take_along_axis(best_onwards, at, axis=1), 0.0)
    return curves


def graded_relevance(query_labels: list[Int64], gallery_labels: list[Int64]) -> Int64:
    """Return the number of leading fields in which query and gallery item agree: with type, colour, gender 3 to 0.

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
    """Rank the k best answers of each query without excluded pairs; ties are ranked by column.

    Args:
        scores: (Q, N) float32, higher is better; nan is ranked last.
        apart: (Q, N) bool, excluded pairs.
        k: From 1.

    Returns:
        (Q, min(k, N)) int64 columns, best first, and whether each is allowed.
    """
    falling = np.where(apart, np.inf, -scores)
    order = np.argsort(falling, axis=1, kind="stable")[:, :k]
    return order, ~np.take_along_axis(apart, order, axis=1)


def _precisions_at_hits(relevant: Bool) -> Float64:
    """Return the precision at each rank with a relevant answer, 0 at the others: (Q, K)."""
    precisions: Float64 = np.cumsum(relevant, axis=1) * relevant / np.arange(1, relevant.shape[1] + 1)
    return precisions


def _first(relevant: Bool, counts: Int64) -> Bool:
    """Return a mask of the first `counts` answers of each query: (Q, K)."""
    marks: Bool = np.arange(relevant.shape[1])[None, :] < counts[:, None]
    return marks


def _divided(above: Float64 | Int64 | Bool, below: Float64 | Int64) -> Float64:
    """Divide for each query; 0 where the divisor is 0."""
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
