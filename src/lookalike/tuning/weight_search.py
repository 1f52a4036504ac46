"""Weights of spaces that make a measure largest, found by going through one space after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

LADDER = (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 2.5, 3.3, 5.0, 7.0, 10.0)
"""What is tried for a space: so many times the largest weight of the others."""

ROUNDS = 4
"""More have never changed anything with two to four spaces."""

WORTH = 0.0005
"""A step is taken only if the measure grows by more than this, so that noise moves no weight."""


@dataclass(frozen=True, slots=True)
class Weighing:
    """What was found.

    Attributes:
        weights: One for each space, the largest 1, to two digits.
        value: Of the measure.
        tried: How many weightings were measured.
    """

    weights: Mapping[str, float]
    value: float
    tried: int


def search_weights(
    measure: Callable[[Mapping[str, float]], float],
    start: Mapping[str, float],
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Weighing:
    """Find weights by coordinate search: each space in turn gets the step of the ladder that serves best.

    Args:
        measure: Of weights; larger is better. Only the ratios of the weights can matter to it.
        start: One weight for each space, at least 0, not all 0.
        progress: Called with how many weightings were tried, and how many it may take.
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
            if others == 0:  # this space stands alone: its weight means nothing before another has one
                continue
            for step in LADDER:
                tried = scaled({**best, name: others * step})
                if value_of(tried) > value + WORTH:
                    best, value = tried, value_of(tried)
        if best == before:
            break
    return Weighing(best, value, len(measured))


def scaled(weights: Mapping[str, float]) -> dict[str, float]:
    """The same ratios, to two digits, with 1 as the largest."""
    largest = max(weights.values())
    return {name: float(f"{weight / largest:.2g}") for name, weight in weights.items()}
