"""What other weights would have been worth, estimated from the answers that were shown and the clicks on them.

Each wanted match counts with the inverse of the probability that it was looked at, so that clicks far down, which few
visitors reach, stand for those who did not get there.

Source: Joachims, Swaminathan and Schnabel 2017, Unbiased Learning-to-Rank with Biased Feedback, for the inverse
propensity weights; Agarwal, Takatsu, Zaitsev and Joachims 2019, A General Framework for Counterfactual
Learning-to-Rank, for the discounted gain in place of the rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.metrics import Float64
from lookalike.usage.clicks import ClickLog


@dataclass(frozen=True, slots=True)
class Worth:
    """Discounted gain of each answer, and what it is divided by.

    Attributes:
        gains: (Q,) float64, sum over the wanted matches of `1 / examination / log2(1 + rank)`.
        wanted: (Q,) float64, sum over the wanted matches of `1 / examination`.
    """

    gains: Float64
    wanted: Float64

    @property
    def value(self) -> float:
        """Mean discount of a wanted match, in [0, 1]: 1 if all were first; 0 without any."""
        whole = float(self.wanted.sum())
        return float(self.gains.sum()) / whole if whole else 0.0

    def gain_over(self, other: Worth) -> tuple[float, tuple[float, float]]:
        """Difference from another ranking of the same answers, with its 95 % bootstrap interval over the answers."""
        counts = self.wanted[:, np.newaxis]
        differences = (self.gains - other.gains)[:, np.newaxis]
        values = np.divide(differences, counts, out=np.zeros_like(counts), where=counts > 0)
        [(low, high)] = bootstrap_intervals(values, counts=counts).tolist()
        return self.value - other.value, (low, high)


def worth(log: ClickLog, weights: Mapping[str, float], examination: Float64) -> Worth:
    """Worth of the answers, each in the order that weights would give its matches.

    Args:
        log: Answers and clicks.
        weights: Weight of each space.
        examination: (K,) probability that a match is looked at, by the position at which it was shown.
    """
    return worth_of_order(log, log.scores @ np.array([weights[name] for name in log.spaces]), examination)


def worth_of_order(log: ClickLog, values: Float64, examination: Float64) -> Worth:
    """Worth of the answers, each in the order of some values.

    Args:
        log: Answers and clicks.
        values: (Q, K) float64, what the matches would be ranked by, the largest first.
        examination: (K,) probability that a match is looked at, by the position at which it was shown.
    """
    order = np.argsort(-np.where(log.shown, values, -np.inf), axis=1, kind="stable")
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(1, log.shown.shape[1] + 1)[np.newaxis], axis=1)
    counts = np.where(log.wanted, 1.0 / examination[np.newaxis, : log.shown.shape[1]], 0.0)
    return Worth((counts / np.log2(1.0 + ranks)).sum(axis=1), counts.sum(axis=1))
