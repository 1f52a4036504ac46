"""Uncertainty of means over queries: bootstrap intervals, and the significance of a difference between two runs.

Without groups both assume independent queries. Where many queries show one product, those intervals are too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from lookalike.evaluation.metrics import Float64
from lookalike.types import Int64

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 1000
PERMUTATIONS: Final = 10_000
BLOCK: Final = 1 << 22
"""Random numbers per block."""


def bootstrap_intervals(
    values: Float64, *, counts: Float64 | None = None, groups: Sequence[str] = (), seed: int = 0
) -> Float64:
    """Compute percentile bootstrap intervals of means over queries.

    Args:
        values: (Q, M) float64 values of M metrics.
        counts: (Q, M) float64 weights of the values in the mean; None weighs them equally.
        groups: Name of the group of each query, such as its product: groups are resampled instead of queries. Empty
            resamples queries.
        seed: Seed of the resampling.

    Returns:
        (M, 2) float64 bounds of 95 % of the resampled means, without resamples that have no weight; zeros for no
        queries, or where none has a weight.

    Source: Efron and Tibshirani 1993, An Introduction to the Bootstrap, chapter 13; for groups, Davison and Hinkley
        1997, Bootstrap Methods and their Application, section 3.8.
    """
    if len(values) == 0:
        return np.zeros((values.shape[1], 2))
    counts = np.ones_like(values) if counts is None else counts
    sums = values * counts
    if len(groups):
        members = np.unique(np.asarray(groups), return_inverse=True)[1]
        sums, counts = (_sums(one, members) for one in (sums, counts))
    queries = len(sums)
    random = np.random.default_rng(seed)
    means = []
    for draws in _blocks(RESAMPLES, queries):
        times = random.multinomial(queries, np.full(queries, 1.0 / queries), size=draws).astype(np.float64)
        whole = times @ counts
        means.append(np.divide(times @ sums, whole, out=np.full_like(whole, np.nan), where=whole > 0))
    edge = (1.0 - CONFIDENCE) / 2
    drawn = np.concatenate(means)
    drawn[:, np.isnan(drawn).all(axis=0)] = 0.0
    found: Float64 = np.nanquantile(drawn, [edge, 1.0 - edge], axis=0).T
    return found


def paired_significance(first: Float64, second: Float64, *, groups: Sequence[str] = (), seed: int = 0) -> Float64:
    """Compute the p-values of a paired randomisation test between two runs over the same queries.

    Each query's pair of values is exchanged at random; the p-value is the fraction of these exchanges whose means
    differ at least as much as the observed ones, the observed one included.

    Args:
        first: (Q, M) float64 values of one run.
        second: (Q, M) float64 values of the other, for the same queries in the same order.
        groups: Name of the group of each query: the queries of a group are exchanged together. Empty exchanges each.
        seed: Seed of the exchanges.

    Returns:
        (M,) float64 two-sided p-values in (0, 1], not corrected for the number of metrics.

    Source: Smucker, Allan, Carterette 2007, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation: the randomisation test.
    """
    differences = second - first
    if len(groups):
        differences = _sums(differences, np.unique(np.asarray(groups), return_inverse=True)[1])
    count = len(differences)
    if count == 0:
        return np.ones(differences.shape[1])
    observed = np.abs(differences.sum(axis=0))
    random = np.random.default_rng(seed)
    as_far = np.zeros(differences.shape[1])
    for draws in _blocks(PERMUTATIONS, count):
        signs = random.integers(2, size=(draws, count), dtype=np.int8).astype(np.float64) * 2 - 1
        as_far += (np.abs(signs @ differences) >= observed - 1e-9).sum(axis=0)
    p_values: Float64 = (1 + as_far) / (1 + PERMUTATIONS)
    return p_values


def _sums(rows: Float64, members: Int64) -> Float64:
    """Sum the rows of each group: (Q, M) to (G, M)."""
    sums = np.zeros((int(members.max()) + 1, rows.shape[1]))
    np.add.at(sums, members, rows)
    return sums


def _blocks(draws: int, count: int) -> Iterator[int]:
    """Split draws of `count` numbers each into blocks of bounded memory."""
    step = max(1, BLOCK // count)
    for start in range(0, draws, step):
        yield min(step, draws - start)
