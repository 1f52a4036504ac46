"""Learned weights of spaces: coordinate search on one half of labelled queries, figures on the held-out half."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.metrics import Float64
from lookalike.evaluation.ranking import evaluate_rows
from lookalike.evaluation.task import Task, numbers
from lookalike.types import JSON, Bool, Float32, Int64

LADDER: Final = (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.3, 5.0, 7.0, 10.0)
"""Trial weights of a space, as multiples of the largest weight of the others."""

ROUNDS: Final = 4
"""Largest number of rounds; further rounds changed nothing with two to four spaces."""

WORTH: Final = 0.0005
"""Smallest improvement of the metric for a step, so that noise changes no weight."""

MOST_QUERIES: Final = 2000
"""Largest number of queries per half; more hardly improve the figures, and every trial evaluates all of them."""


@dataclass(frozen=True, slots=True)
class HeldOutFigure:
    """Weights with their figure on the held-out queries and its 95 % interval, in [0, 1]."""

    weights: Mapping[str, float]
    value: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike fuse --json` shows it."""
        return {"weights": dict(self.weights), "value": self.value, "interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class Fusion:
    """Learned weights, and their figures on held-out queries.

    Attributes:
        protocol: Protocol of the task.
        metric: Metric that was maximised.
        learned_on: Number of queries in the weight search.
        judged_by: Number of held-out queries.
        gallery: Number of items in the task's gallery.
        tried: Number of weightings that were evaluated.
        before: Weights before learning.
        after: Learned weights.
        alone: Each space alone.
        gain: Mean difference of `after` and `before` over the held-out queries, in [-1, 1].
        gain_interval: 95 % interval of the gain.
        kept: Whether the learned weights were stored in the gallery.
        ranking_deleted: Name of the learned ranking of the gallery that other weights deleted; None if none was.
        skipped: Photos without vectors, a line each; as queries they count as 0, and they match no query.
    """

    protocol: str
    metric: str
    learned_on: int
    judged_by: int
    gallery: int
    tried: int
    before: HeldOutFigure
    after: HeldOutFigure
    alone: Mapping[str, HeldOutFigure]
    gain: float
    gain_interval: tuple[float, float]
    kept: bool = False
    ranking_deleted: str | None = None
    skipped: Sequence[str] = ()

    @property
    def holds(self) -> bool:
        """Whether the gain is significant: its whole interval is above 0."""
        return self.gain_interval[0] > 0

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike fuse --json` shows it."""
        return {
            "protocol": self.protocol,
            "metric": self.metric,
            "learned_on": self.learned_on,
            "judged_by": self.judged_by,
            "gallery": self.gallery,
            "tried": self.tried,
            "before": self.before.to_json(),
            "after": self.after.to_json(),
            "alone": {name: measured.to_json() for name, measured in self.alone.items()},
            "gain": {"value": self.gain, "interval": list(self.gain_interval)},
            "kept": self.kept,
            "ranking_deleted": self.ranking_deleted,
            "absent": len(self.skipped),
        }


def fuse(
    rows: Mapping[str, Float32],
    *,
    task: Task,
    start: Mapping[str, float],
    metric: Metric | None = None,
    absent: Bool | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Fusion:
    """Learn the weights of spaces.

    The queries are split into halves; photos of one product, or of another group that the task keeps apart, are in the
    same half. Both halves search the task's whole gallery.

    Args:
        rows: (n, D) float32 rows of the task's items, by space.
        task: Labelled task.
        start: Initial weights, one for each space.
        metric: Metric to maximise; None takes the task's first.
        absent: (n,) bool, photos without rows.
        seed: Seed of the split.
        progress: Called with the number of weightings tried, and the largest number to try.

    Raises:
        UsageError: There is only one space, or the queries cannot be split.
    """
    if len(rows) < 2:
        raise UsageError(f"there is only one space, {next(iter(rows))!r}, and nothing to weigh it against")
    chosen = metric or task.metrics[0]
    first, second = halves(task, seed=seed)
    learning, judging = (replace(task, queries=queries, metrics=(chosen,)) for queries in (first, second))

    def values(asked: Task, weights: Mapping[str, float]) -> Float64:
        return evaluate_rows(rows, weights=weights, task=asked, absent=absent).metric_values.values

    def measured(weights: Mapping[str, float], found: Float64) -> HeldOutFigure:
        return HeldOutFigure(weights, float(found.mean()), interval_of(found))

    found = search_weights(lambda weights: float(values(learning, weights).mean()), start, progress=progress)
    before, after = values(judging, start), values(judging, found.weights)
    alone = {name: {other: float(other == name) for other in rows} for name in rows}
    gain = after - before
    return Fusion(
        protocol=task.protocol,
        metric=str(chosen),
        learned_on=len(first),
        judged_by=len(second),
        gallery=len(task.gallery),
        tried=found.tried,
        before=measured(start, before),
        after=measured(found.weights, after),
        alone={name: measured(weights, values(judging, weights)) for name, weights in alone.items()},
        gain=float(gain.mean()),
        gain_interval=interval_of(gain),
    )


def halves(task: Task, *, seed: int) -> tuple[Int64, Int64]:
    """Split a task's queries into halves without common groups: places in its items, at most `MOST_QUERIES` each.

    Raises:
        UsageError: All queries belong to one group.
    """
    groups = together(task)[task.queries]
    random = np.random.default_rng(seed)
    shuffled = random.permutation(np.unique(groups))
    sizes = {int(group): int(count) for group, count in zip(*np.unique(groups, return_counts=True), strict=True)}
    if len(shuffled) < 2:
        raise UsageError("all queries belong to one item; weights cannot be learned on some and judged by others")
    running = np.cumsum([sizes[int(group)] for group in shuffled])
    border = min(int(np.searchsorted(running, len(groups) / 2)) + 1, len(shuffled) - 1)
    is_first = np.isin(groups, shuffled[:border])
    first, second = (random.permutation(task.queries[part])[:MOST_QUERIES] for part in (is_first, ~is_first))
    return np.sort(first), np.sort(second)


def together(task: Task) -> Int64:
    """Number the task's items by group, (n,) int64; items of one group belong to the same half.

    The groups are products, or those that the task keeps apart, whichever are coarser.
    """
    reasons = [numbers([item.product for item in task.items]), *task.apart]
    coarsest = min(reasons, key=lambda known: len(np.unique(known[known >= 0])) + int((known < 0).sum()))
    own = np.arange(len(coarsest)) + coarsest.max(initial=0) + 1
    return np.where(coarsest >= 0, coarsest, own)


def interval_of(values: Float64) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the mean of values, (Q, 1)."""
    [(low, high)] = bootstrap_intervals(values).tolist()
    return low, high


@dataclass(frozen=True, slots=True)
class WeightSearch:
    """Result of a weight search.

    Attributes:
        weights: Weight of each space, to two digits; the largest is 1.
        value: Value of the metric.
        tried: Number of weightings that were evaluated.
    """

    weights: Mapping[str, float]
    value: float
    tried: int


def search_weights(
    measure: Callable[[Mapping[str, float]], float],
    start: Mapping[str, float],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> WeightSearch:
    """Search weights by coordinates: each space in turn takes the step of `LADDER` with the highest metric.

    Args:
        measure: Metric of weights, larger is better; it depends on their ratios only.
        start: Initial weight of each space, at least 0, not all 0.
        progress: Called with the number of weightings tried, and the largest number to try.
    """
    measured: dict[tuple[float, ...], float] = {}

    def value_of(weights: Mapping[str, float]) -> float:
        key = tuple(weights.values())
        if key not in measured:
            measured[key] = measure(weights)
            if progress is not None:
                progress(len(measured), max(len(measured), len(start) * len(LADDER) * 2))
        return measured[key]

    best = scaled(start)
    value = value_of(best)
    for _ in range(ROUNDS if len(start) > 1 else 0):
        before = best
        for name in start:
            others = max(weight for other, weight in best.items() if other != name)
            if others == 0:  # the only space with a weight: its value has no effect
                continue
            for step in LADDER:
                tried = scaled({**best, name: others * step})
                if value_of(tried) > value + WORTH:
                    best, value = tried, value_of(tried)
        if best == before:
            break
    return WeightSearch(best, value, len(measured))


def scaled(weights: Mapping[str, float]) -> dict[str, float]:
    """Scale weights so that the largest is 1, to two digits."""
    largest = max(weights.values())
    return {name: float(f"{weight / largest:.2g}") for name, weight in weights.items()}
