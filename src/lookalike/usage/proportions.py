"""Shares of counts with their intervals, and tests of counts."""

from __future__ import annotations

import math
from typing import Final

Z: Final = 1.959963984540054
"""Quantile of the normal distribution for 95 % intervals."""


def wilson(count: int, total: int) -> tuple[float, float]:
    """95 % interval of a share; from 0 to 1 of nothing.

    >>> [round(end, 3) for end in wilson(10, 100)]
    [0.055, 0.174]

    Source: Wilson 1927, Probable Inference, the Law of Succession, and Statistical Inference.
    """
    if not total:
        return 0.0, 1.0
    share, square = count / total, Z * Z / total
    middle = (share + square / 2) / (1 + square)
    half = Z * math.sqrt(share * (1 - share) / total + square / total / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)


def difference(count: int, total: int, other: int, other_total: int) -> tuple[float, tuple[float, float]]:
    """Difference of two shares, first less second, with its 95 % interval.

    Source: Newcombe 1998, Interval Estimation for the Difference between Independent Proportions, method 10.
    """
    first = count / total if total else 0.0
    second = other / other_total if other_total else 0.0
    (low, high), (other_low, other_high) = wilson(count, total), wilson(other, other_total)
    gap = first - second
    below = math.hypot(first - low, other_high - second)
    above = math.hypot(high - first, second - other_low)
    return gap, (gap - below, gap + above)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the sign test: that wins and losses are equally probable; 1 without any.

    >>> round(sign_test(9, 1), 4)
    0.0215
    """
    total = wins + losses
    if not total:
        return 1.0
    from scipy.stats import binomtest

    return float(binomtest(wins, total).pvalue)
