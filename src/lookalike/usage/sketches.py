"""Sketches of query vectors, of bounded size, and the drift between two of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.evaluation.metrics import Float64
from lookalike.types import Float32

FEWEST: Final = 30
"""Least number of vectors in a sketch for a drift."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """Sums over n vectors, from which their mean and the variance of each dimension follow.

    Attributes:
        count: n.
        sums: (D,) float64 sums.
        squares: (D,) float64 sums of the squares.
    """

    count: int
    sums: Float64
    squares: Float64

    @classmethod
    def of(cls, rows: Float32) -> Sketch:
        """Sketch of vectors, (n, D)."""
        exact = rows.astype(np.float64)
        return cls(len(rows), exact.sum(axis=0), np.square(exact).sum(axis=0))

    @classmethod
    def from_bytes(cls, count: int, sums: bytes, squares: bytes) -> Sketch:
        """Sketch as it was stored.

        Raises:
            LookalikeError: The two have different lengths.
        """
        if len(sums) != len(squares) or len(sums) % 8:
            raise LookalikeError("a sketch of query vectors is damaged; move the file of events away")
        return cls(count, np.frombuffer(sums, dtype="<f8"), np.frombuffer(squares, dtype="<f8"))

    def added(self, other: Sketch) -> Sketch:
        """Sketch of the vectors of both."""
        return Sketch(self.count + other.count, self.sums + other.sums, self.squares + other.squares)

    @property
    def mean(self) -> Float64:
        """Mean of the vectors, (D,)."""
        return np.asarray(self.sums / self.count)

    @property
    def variance(self) -> Float64:
        """Unbiased variance of each dimension, (D,)."""
        spread = np.maximum(self.squares / self.count - np.square(self.mean), 0.0)
        return np.asarray(spread * (self.count / max(1, self.count - 1)))


def drift(first: Sketch | None, second: Sketch | None) -> float:
    """Squared Fréchet distance between two sets of vectors, as if normally distributed in independent dimensions.

    It is `|mean difference|^2 + sum of (difference of the deviations)^2`, at least 0: 0 is no drift, and unit vectors
    that point the opposite way are at most 4 apart. What two samples of one distribution differ by on average is
    subtracted from the first part.

    Returns:
        The distance; nan if a sketch is missing or has fewer than `FEWEST` vectors.

    Source: Dowson and Landau 1982, The Fréchet Distance between Multivariate Normal Distributions, for diagonal
    covariances.
    """
    if first is None or second is None or min(first.count, second.count) < FEWEST:
        return float("nan")
    chance = float((first.variance / first.count + second.variance / second.count).sum())
    apart = float(np.square(first.mean - second.mean).sum())
    spread = float(np.square(np.sqrt(first.variance) - np.sqrt(second.variance)).sum())
    return max(0.0, apart - chance) + spread
