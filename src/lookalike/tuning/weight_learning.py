"""Learning the weights of spaces on photos with labels: on one half of the queries, judged by the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.metrics import Float64
from lookalike.evaluation.ranking import evaluate_rows
from lookalike.evaluation.task import Task, numbers
from lookalike.tuning.weight_search import search_weights
from lookalike.types import JSON, Bool, Float32, Int64

MOST_QUERIES: Final = 2000
"""Of a half; more make the figures hardly more certain, and every weighting that is tried measures all of them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A weighting and its figure on the queries held back, with a 95 % interval, in [0, 1]."""

    weights: Mapping[str, float]
    value: float
    interval: tuple[float, float]

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike fuse --json` shows it."""
        return {"weights": dict(self.weights), "value": self.value, "interval": list(self.interval)}


@dataclass(frozen=True, slots=True)
class Fusion:
    """What was learned, and what it is worth on the queries that it was not learned on.

    Attributes:
        protocol: Of the task.
        metric: What was made as large as it gets.
        learned_on: How many queries.
        judged_by: How many other queries.
        gallery: Among how many items they asked.
        tried: How many weightings were measured.
        before: The weights until now.
        after: The learned ones.
        alone: Each space by itself.
        gain: Mean of `after` minus `before`, query by query, in [-1, 1].
        gain_interval: 95 % interval of the gain.
        kept: Whether the gallery's searches take the learned weights from now on.
    """

    protocol: str
    metric: str
    learned_on: int
    judged_by: int
    gallery: int
    tried: int
    before: Judged
    after: Judged
    alone: Mapping[str, Judged]
    gain: float
    gain_interval: tuple[float, float]
    kept: bool = False

    @property
    def holds(self) -> bool:
        """Whether the whole interval of the gain is above 0."""
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
    """Learn weights for spaces.

    The queries are parted into halves such that photos of one item, or what else the task keeps apart, are in the same
    half. Both halves ask the task's whole gallery.

    Args:
        rows: For each space, (n, D) float32, a row for each of the task's items.
        task: What is asked.
        start: The weights until now, one for each space.
        metric: What to make large; None takes the task's first.
        absent: (n,) photos that have no row.
        seed: Of the halves.
        progress: Called with how many weightings were tried, and how many it may take.

    Raises:
        UsageError: There is only one space, or nothing to part into halves.
    """
    if len(rows) < 2:
        raise UsageError(f"there is only one space, {next(iter(rows))!r}, and nothing to weigh it against")
    chosen = metric or task.metrics[0]
    first, second = halves(task, seed=seed)
    learning, judging = (replace(task, queries=queries, metrics=(chosen,)) for queries in (first, second))

    def values(asked: Task, weights: Mapping[str, float]) -> Float64:
        return evaluate_rows(rows, weights=weights, task=asked, absent=absent).measured.values

    def measured(weights: Mapping[str, float], found: Float64) -> Judged:
        return Judged(weights, float(found.mean()), interval_of(found))

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
    """Part a task's queries into two halves that share no item: places in its items, at most `MOST_QUERIES` each.

    Raises:
        UsageError: All queries belong together.
    """
    groups = together(task)[task.queries]
    random = np.random.default_rng(seed)
    shuffled = random.permutation(np.unique(groups))
    sizes = {int(group): int(count) for group, count in zip(*np.unique(groups, return_counts=True), strict=True)}
    running = np.cumsum([sizes[int(group)] for group in shuffled])
    border = int(np.searchsorted(running, len(groups) / 2)) + 1
    is_first = np.isin(groups, shuffled[:border])
    if is_first.all():
        raise UsageError("all queries belong to one item; weights cannot be learned on some and judged by others")
    first, second = (random.permutation(task.queries[part])[:MOST_QUERIES] for part in (is_first, ~is_first))
    return np.sort(first), np.sort(second)


def together(task: Task) -> Int64:
    """A number for each of the task's items, (n,), equal for those that belong into one half.

    These are photos of one product, or those that the task keeps apart, whatever is coarser.
    """
    reasons = [numbers([item.product for item in task.items]), *task.apart]
    coarsest = min(reasons, key=lambda known: len(np.unique(known[known >= 0])) + int((known < 0).sum()))
    own = np.arange(len(coarsest)) + coarsest.max(initial=0) + 1
    return np.where(coarsest >= 0, coarsest, own)


def interval_of(values: Float64) -> tuple[float, float]:
    """The 95 % bootstrap interval of a mean over queries, (Q, 1)."""
    [(low, high)] = bootstrap_intervals(values).tolist()
    return low, high
