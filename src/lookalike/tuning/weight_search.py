"""Weight search: coordinate search for the weights of spaces that maximise a metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

LADDER = (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.3, 5.0, 7.0, 10.0)
"""Trial weights of a space, as multiples of the largest weight of the others."""

ROUNDS = 4
"""Largest number of rounds; further rounds changed nothing with two to four spaces."""

WORTH = 0.0005
"""Smallest improvement of the metric for a step, so that noise changes no weight."""


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
