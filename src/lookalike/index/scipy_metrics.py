"""Exact scan by the metrics of SciPy's cdist, as in the original: the score is minus the weighted sum of distances.

SciPy computes the distances, one block of rows at a time. The result for each query is that of `cdist(query, rows)`:
values that a metric estimates from the data (the variances of `seuclidean`, the covariance of `mahalanobis`) come from
that query and all allowed rows, and not from a block or other queries.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np

from lookalike import deadline
from lookalike.errors import UnknownNameError
from lookalike.index.covariance import Float64, Moments
from lookalike.index.exact_scores import empty_answer
from lookalike.index.rows import Rows
from lookalike.types import Bool, Float32, Int64

Parameters: TypeAlias = Mapping[str, Float64]

Part: TypeAlias = Mapping[str, Float32] | Mapping[str, Rows]
"""Rows by space, (N, D) each."""

METRICS: Final = (
    "braycurtis",
    "canberra",
    "chebyshev",
    "cityblock",
    "correlation",
    "cosine",
    "dice",
    "euclidean",
    "hamming",
    "jaccard",
    "jensenshannon",
    "mahalanobis",
    "minkowski",
    "rogerstanimoto",
    "russellrao",
    "seuclidean",
    "sokalsneath",
    "sqeuclidean",
    "yule",
)
"""Metrics of all supported versions of SciPy; other names that cdist accepts, such as `matching`, work too."""

DEFAULT_METRIC: Final = "euclidean"

ESTIMATED: Final = ("seuclidean", "mahalanobis")
"""Metrics with parameters that cdist estimates from the data."""

SPELLINGS: Final = {"se": "seuclidean", "s": "seuclidean", "mahal": "mahalanobis", "mah": "mahalanobis"}
"""Aliases of these metrics, resolved here since cdist would estimate from one block alone."""

BLOCK_BYTES: Final = 8 << 20
"""Bytes of a block of float64 rows, which stays in the processor's cache while all queries are compared with it."""


def metric_scan(
    queries: Mapping[str, Float32],
    rows: Part | Sequence[Part],
    *,
    metrics: Mapping[str, str],
    weights: Mapping[str, float],
    k: int,
    allowed: Bool | None = None,
) -> tuple[Int64, Float32, dict[str, Float32]]:
    """Find the k rows with the smallest weighted sum of distances.

    A row whose distance is nan, such as the cosine distance of a row of zeros, is never returned.

    Args:
        queries: (Q, D) float32 for each space with a weight above 0.
        rows: (N, D) float32 for each of these spaces; or several such parts, with consecutive positions.
        metrics: Metric of cdist by space; spaces without one use euclidean.
        weights: Weight by space, at least 0, at least one above; spaces of weight 0 are not computed.
        k: Number of rows, at least 1.
        allowed: (N,) bool; only rows marked true are returned. None allows all.

    Returns:
        Positions in the rows, (Q, k) int64; scores `-sum(w_s * d_s)`, (Q, k) float32, best first, equal ones by
        position; and minus the distances of each space, (Q, k) float32. If fewer than k rows are found, the rest is -1,
        -inf and nan.

    Raises:
        UnknownNameError: cdist has no such metric.
        UsageError: A metric cannot be estimated from these rows.
    """
    parts = [rows] if isinstance(rows, Mapping) else list(rows)
    spaces = [name for name, weight in weights.items() if weight > 0]
    named = {name: checked_metric(metrics.get(name, DEFAULT_METRIC)) for name in spaces}
    wide = {name: np.asarray(queries[name], dtype=np.float64) for name in spaces}
    count = len(wide[spaces[0]])
    parameters = {name: estimated(named[name], wide[name], name, parts, allowed) for name in spaces}
    best = [Best(k, spaces) for _ in range(count)]
    for positions, block in blocks(parts, spaces, allowed):
        for query in range(count):
            distances = {
                name: distance(wide[name][query], block[name], metric=named[name], parameters=parameters[name][query])
                for name in spaces
            }
            best[query].offer(positions, distances, weights)
    found, scores = empty_answer(count, k)
    by_space = {name: np.full((count, k), np.nan, dtype=np.float32) for name in spaces}
    for query, kept in enumerate(best):
        filled = len(kept.positions)
        found[query, :filled], scores[query, :filled] = kept.positions, kept.scores
        for name in spaces:
            by_space[name][query, :filled] = -kept.distances[name]
    return found, scores, by_space


class Best:
    """Best rows of one query so far.

    Args:
        k: Number of rows to keep.
        spaces: Names of the spaces.
    """

    def __init__(self, k: int, spaces: Sequence[str]) -> None:
        self._k = k
        self.positions: Int64 = np.empty(0, dtype=np.int64)
        self.scores: Float64 = np.empty(0)
        self.distances: dict[str, Float64] = {name: np.empty(0) for name in spaces}

    def offer(self, positions: Int64, distances: Mapping[str, Float64], weights: Mapping[str, float]) -> None:
        """Merge a block of rows with later positions; positions (B,), distances (B,) for each space."""
        scores = -np.sum([weights[name] * distances[name] for name in distances], axis=0)
        full = len(self.scores) == self._k
        better = np.flatnonzero(scores > self.scores[-1] if full else ~np.isnan(scores))
        if not len(better):
            return
        together = np.concatenate([self.scores, scores[better]])
        order = np.argsort(-together, kind="stable")[: self._k]
        self.scores = together[order]
        self.positions = np.concatenate([self.positions, positions[better]])[order]
        for name, values in distances.items():
            self.distances[name] = np.concatenate([self.distances[name], values[better]])[order]


def blocks(
    parts: Sequence[Part], spaces: Sequence[str], allowed: Bool | None
) -> Iterator[tuple[Int64, dict[str, Float64]]]:
    """Iterate over the allowed rows in blocks: positions, (B,), and rows by space, (B, D) float64."""
    start = 0
    for part in parts:
        end = start + len(part[spaces[0]])
        passing = np.arange(end - start) if allowed is None else np.flatnonzero(allowed[start:end])
        step = max(1, BLOCK_BYTES // (8 * sum(part[name].shape[1] for name in spaces)))
        for at in range(0, len(passing), step):
            deadline.check()
            chosen = passing[at : at + step]
            which = chosen if allowed is not None else slice(at, at + step)  # a slice is not gathered row by row
            yield chosen + start, {name: part[name][which].astype(np.float64) for name in spaces}
        start = end


def distance(query: Float64, rows: Float64, *, metric: str, parameters: Parameters) -> Float64:
    """Distances of a query, (D,), to rows, (B, D): (B,) float64."""
    from scipy.spatial.distance import cdist

    with np.errstate(all="ignore"):  # rows with nan distances are left out
        found: Float64 = cdist(query[np.newaxis], rows, metric, **parameters)[0]
    return found


def checked_metric(name: str) -> str:
    """Name of a metric with aliases resolved.

    Raises:
        UnknownNameError: cdist has no such metric.
    """
    plain = SPELLINGS.get(name.lower(), name.lower())
    if plain in METRICS:
        return plain
    try:
        distance(np.ones(2), np.array([[1.0, 2.0], [3.0, 5.0]]), metric=plain, parameters={})
    except ValueError:
        raise UnknownNameError("metric", name, METRICS) from None
    return plain


def estimated(
    metric: str, queries: Float64, space: str, parts: Sequence[Part], allowed: Bool | None
) -> list[Parameters]:
    """Estimate the parameters of a metric for each query, from the query and all allowed rows; empty for most metrics.

    Raises:
        UsageError: The rows are too few, or do not vary as the metric needs.
    """
    if metric not in ESTIMATED:
        return [{} for _ in queries]
    moments = Moments(lambda: (block[space] for _, block in blocks(parts, [space], allowed)))
    if metric == "seuclidean":
        return [{"V": moments.variance(query)} for query in queries]
    return [{"VI": moments.inverse_covariance(query)} for query in queries]
