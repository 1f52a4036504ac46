"""Exact ranking of the gallery for every query of a task, and its metrics, block by block.

Memory does not grow with queries x gallery: a block of queries is scored, ranked and measured, and only the values and
the first answers of each query are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Ranking
from lookalike.evaluation.metric_values import MetricValues
from lookalike.evaluation.metrics import (
    Float64,
    graded_relevance,
    interpolated_precision,
    order_by_score,
    rank_of_first,
)
from lookalike.evaluation.task import Task
from lookalike.index.scipy_metrics import DEFAULT_METRIC, checked_metric, distance, estimated
from lookalike.spaces import unit_rows
from lookalike.types import Bool, Float32, Int64

Scorer: TypeAlias = Callable[[Int64], Float32]
"""Scores B queries, given by their places in the task's items, against the task's gallery: (B, N), higher is better."""

Ranker: TypeAlias = Callable[[Int64, Bool], tuple[Int64, Bool, Float32]]
"""Ranks the gallery for B queries, given by their places in the task's items.

The second argument, (B, N), marks what is no answer: photos kept apart, and photos without vectors. Returns a
permutation of the gallery's columns, best first, which of them are answers, and their scores: (B, N) each; all answers
come first.
"""

BLOCK_BYTES: Final = 64 << 20
BYTES_A_PAIR: Final = 64
"""Memory per pair of query and item while their block is measured: scores, order, grades, running counts."""

FIRST_ANSWERS: Final = 10
METRIC_BLOCK: Final = 4096


@dataclass(frozen=True, slots=True)
class RetrievalResult:
    """Metrics and answers of a task.

    Attributes:
        task: Task that was evaluated.
        metric_values: Values of the task's metrics by query.
        answers: (Q, 10) int64 places of the first answers in the task's items; -1 for missing answers.
        scores: (Q, 10) float32 scores of the answers; nan for missing answers.
        first_right: (Q,) int64 place of the best-ranked answer of the highest grade; -1 without one.
        first_rank: (Q,) int64 rank of that answer, from 1; 0 without one.
        recall_precision: (11,) float64 mean interpolated precision at recall 0, 0.1, ... 1, for the highest grade.
    """

    task: Task
    metric_values: MetricValues
    answers: Int64
    scores: Float32
    first_right: Int64
    first_rank: Int64
    recall_precision: Float64

    def figures(self) -> dict[str, float]:
        """Return the mean of each metric over all queries, by name."""
        return self.metric_values.figures()

    def hit_rates(self, most: int) -> Float64:
        """Return the hit rate at k = 1, 2, ... most, for the highest grade: (most,) float64."""
        ranks = self.first_rank[(self.first_rank > 0) & (self.first_rank <= most)]
        rates: Float64 = np.cumsum(np.bincount(ranks, minlength=most + 1)[1:]) / len(self.first_rank)
        return rates


def evaluate_rows(
    rows: Mapping[str, Float32], *, weights: Mapping[str, float], task: Task, absent: Bool | None = None, seed: int = 0
) -> RetrievalResult:
    """Evaluate the search score, the weighted mean of cosines, on a task.

    Args:
        rows: (n, D) float32 rows of the task's items, for each space of weight above 0.
        weights: Weights of the spaces; missing spaces have weight 0.
        task: Task to evaluate.
        absent: (n,) bool, photos without rows, such as unreadable ones: they find nothing and are never found.
        seed: Seed of the intervals.

    Raises:
        UsageError: No space has a weight above 0.
    """
    return evaluate_scores(by_cosine(rows, weights=weights, task=task), task=task, absent=absent, seed=seed)


def evaluate_scores(scorer: Scorer, *, task: Task, absent: Bool | None = None, seed: int = 0) -> RetrievalResult:
    """Evaluate any scorer on a task, with exact rankings; see `evaluate_rows`."""
    return evaluate_rankings(by_score(scorer), task=task, absent=absent, seed=seed)


def by_score(scorer: Scorer) -> Ranker:
    """Return the ranker of all scores; equal ones are ranked in the order of the gallery."""

    def rank(queries: Int64, silent: Bool) -> tuple[Int64, Bool, Float32]:
        scores = scorer(queries)
        order, answers = order_by_score(scores, silent, silent.shape[1])
        return order, answers, np.take_along_axis(scores, order, axis=1)

    return rank


def evaluate_rankings(
    ranker: Ranker,
    *,
    task: Task,
    absent: Bool | None = None,
    products: Int64 | None = None,
    seed: int = 0,
) -> RetrievalResult:
    """Evaluate any ranker on a task.

    Args:
        ranker: Ranks the gallery.
        task: Task to evaluate.
        absent: See `evaluate_rows`.
        products: (n,) int64 products of the task's items, where answers are products: the grade of each is that of its
            best photo, and it counts once. None where answers are photos.
        seed: See `evaluate_rows`.
    """
    missing = np.zeros(len(task.items), dtype=np.bool_) if absent is None else absent
    step = max(1, BLOCK_BYTES // (BYTES_A_PAIR * len(task.gallery)))
    blocks = [
        _measured_block(ranker, task.queries[start : start + step], task, missing, products)
        for start in range(0, len(task.queries), step)
    ]
    values, answers, scores, right, rank, curves = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    measured = MetricValues(
        protocol=task.protocol,
        metrics=tuple(str(metric) for metric in task.metrics),
        queries=[task.items[place].id for place in task.queries.tolist()],
        gallery=len(task.gallery) if products is None else len(np.unique(products[task.gallery])),
        by=task.category,
        categories=task.categories(),
        values=values,
        notes=task.notes,
        seed=seed,
    )
    return RetrievalResult(task, measured, answers, scores, right, rank, curves.mean(axis=0))


def by_cosine(rows: Mapping[str, Float32], *, weights: Mapping[str, float], task: Task) -> Scorer:
    """Return a scorer by `sum(w_s * cos_s) / sum(w_s)`, as in a search.

    Raises:
        UsageError: No space has a weight above 0.
    """
    used = {name: weight for name, weight in weights.items() if weight > 0}
    if not used:
        raise UsageError("at least one space needs a weight above 0")
    total = sum(used.values())
    units = {name: unit_rows(rows[name]) for name in used}
    gallery = {name: unit[task.gallery] for name, unit in units.items()}

    def score(queries: Int64) -> Float32:
        scores = np.zeros((len(queries), len(task.gallery)), dtype=np.float32)
        for name, weight in used.items():
            scores += (units[name][queries] * np.float32(weight / total)) @ gallery[name].T
        return scores

    return score


def by_metric(
    rows: Mapping[str, Float32], *, weights: Mapping[str, float], metrics: Mapping[str, str], task: Task
) -> Scorer:
    """Return a scorer by minus the weighted sum of SciPy's distances, as in a search with metrics.

    Raises:
        UnknownNameError: A metric is unknown to cdist.
        UsageError: No space has a weight above 0, or a metric cannot be estimated from these rows.
    """
    used = {name: weight for name, weight in weights.items() if weight > 0}
    if not used:
        raise UsageError("at least one space needs a weight above 0")
    named = {name: checked_metric(metrics.get(name, DEFAULT_METRIC)) for name in used}
    gallery = {name: rows[name][task.gallery] for name in used}

    def score(queries: Int64) -> Float32:
        scores = np.zeros((len(queries), len(task.gallery)))
        for name, weight in used.items():
            asking = rows[name][queries].astype(np.float64)
            parameters = estimated(named[name], asking, name, [gallery], None)
            for start in range(0, len(task.gallery), METRIC_BLOCK):
                block = gallery[name][start : start + METRIC_BLOCK].astype(np.float64)
                for at, query in enumerate(asking):
                    far = distance(query, block, metric=named[name], parameters=parameters[at])
                    scores[at, start : start + METRIC_BLOCK] -= weight * far
        return scores.astype(np.float32)

    return score


_Block: TypeAlias = tuple[Float64, Int64, Float32, Int64, Int64, Float64]


def _measured_block(ranker: Ranker, queries: Int64, task: Task, missing: Bool, products: Int64 | None) -> _Block:
    """Return the values, answers, scores, first right answers, their ranks and curves of a block of queries."""
    gallery = task.gallery
    relevance = graded_relevance([part[queries] for part in task.labels], [part[gallery] for part in task.labels])
    for row, place in enumerate(queries.tolist()):
        if place in task.further:
            relevance[row, np.isin(gallery, task.further[place])] = len(task.labels)
    apart = np.zeros(relevance.shape, dtype=np.bool_)
    if task.within is not None:
        apart = task.within[queries][:, None] != task.within[gallery][None, :]
    for groups in task.apart:
        apart |= (groups[queries][:, None] == groups[gallery][None, :]) & (groups[queries] >= 0)[:, None]
    relevance[apart] = 0
    highest = len(task.labels)
    counted = relevance
    if products is not None:
        relevance, counted = _of_products(relevance, products[gallery])
    totals = np.stack([(counted >= level).sum(axis=1) for level in range(1, highest + 1)], axis=1)
    silent = apart | missing[gallery][None, :] | missing[queries][:, None]
    order, answers, scores = ranker(queries, silent)
    grades = np.where(answers, np.take_along_axis(relevance, order, axis=1), 0)
    ranking = Ranking(grades, totals)
    best, best_total = ranking.relevant(highest)
    rank = rank_of_first(best)
    right = np.where(rank > 0, gallery[order[np.arange(len(queries)), rank - 1]], -1)
    kept = min(FIRST_ANSWERS, len(gallery))
    first, heard = order[:, :kept], answers[:, :kept]
    found = np.full((len(queries), FIRST_ANSWERS), -1, dtype=np.int64)
    found[:, :kept] = np.where(heard, gallery[first], -1)
    found_scores = np.full((len(queries), FIRST_ANSWERS), np.nan, dtype=np.float32)
    found_scores[:, :kept] = np.where(heard, scores[:, :kept], np.nan)
    values = np.stack([metric.values(ranking) for metric in task.metrics], axis=1)
    return values, found, found_scores, right, rank, interpolated_precision(best, best_total)


def _of_products(relevance: Int64, products: Int64) -> tuple[Int64, Int64]:
    """Return the grade of each photo's product, that of its best photo, (B, N); and of each product, (B, P)."""
    order = np.argsort(products, kind="stable")
    ordered = products[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    best: Int64 = np.maximum.reduceat(relevance[:, order], starts, axis=1)
    return best[:, np.unique(products, return_inverse=True)[1]], best
