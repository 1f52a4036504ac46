"""Popularity: how much more often a product is chosen than others, where it is looked at as often.

Choices are divided by the examinations that are expected at the positions where it was shown, so that what stands first
is not popular for that, and shrunk: with few examinations, a product is as popular as the average.

Source: Zhang and Jones 2007, Comparing Click Logs and Editorial Labels for Training Query Rewriting (clicks over
expected clicks); the prior is that of empirical Bayes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lookalike.evaluation.metrics import Float64
from lookalike.gallery.learned_ranking import MOST_COUNTED
from lookalike.types import Bool

PRIOR: Final = 20.0
"""Examinations of an average product that are added to those of each product."""


@dataclass(slots=True)
class Popularity:
    """Choices and examinations by product, which are added up.

    Attributes:
        rate: Choices for each examination, of all products together, above 0.
    """

    rate: float
    _chosen: dict[str, float] = field(default_factory=dict)
    _looked_at: dict[str, float] = field(default_factory=dict)

    def add(self, keys: Sequence[str], wanted: Bool, examination: Float64) -> None:
        """Count one answer.

        Args:
            keys: K products, in the order that was shown.
            wanted: (K,) bool, which of them were chosen.
            examination: (K,) probability that a match is looked at, by position.
        """
        for key, is_wanted, looked_at in zip(keys, wanted.tolist(), examination.tolist(), strict=True):
            self._chosen[key] = self._chosen.get(key, 0.0) + is_wanted
            self._looked_at[key] = self._looked_at.get(key, 0.0) + looked_at

    def of(self, key: str) -> float:
        """Logarithm of how much more often it is chosen than the average; 0 for an unknown product."""
        chosen, looked_at = self._chosen.get(key, 0.0), self._looked_at.get(key, 0.0)
        return math.log((chosen + PRIOR * self.rate) / ((looked_at + PRIOR) * self.rate))

    def table(self) -> Mapping[str, float]:
        """Popularity of the `MOST_COUNTED` products that differ most from the average."""
        ordered = sorted(self._looked_at, key=lambda key: -abs(self.of(key)))
        return {key: round(self.of(key), 4) for key in ordered[:MOST_COUNTED]}
