"""What was measured, query by query, and the figures that are made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.metrics import Float64
from lookalike.types import JSON

NO_CATEGORY = "(unknown)"


@dataclass(frozen=True, slots=True)
class Measured:
    """The value of every metric for every query.

    Attributes:
        protocol: Its name, as the user gives it.
        metrics: Names of M metrics, the most telling first.
        queries: Ids of the Q items that asked.
        gallery: How many items could answer.
        by: The attribute that categories are of; empty for none.
        categories: Of each query.
        values: (Q, M) float64 in [0, 1].
        counts: (Q, M) float64 what each value counts for in a mean, such as a photo's number of attributes; None
            counts all queries alike.
        notes: What the user should know, a line each.
        seed: Of the intervals.
    """

    protocol: str
    metrics: tuple[str, ...]
    queries: Sequence[str]
    gallery: int
    by: str
    categories: Sequence[str]
    values: Float64
    counts: Float64 | None = None
    notes: tuple[str, ...] = ()
    seed: int = 0

    def figures(self) -> dict[str, float]:
        """The mean of each metric over all queries, by name."""
        return self._means(np.arange(len(self.queries)))

    def with_intervals(self) -> dict[str, JSON]:
        """The same with 95 % bootstrap intervals, as JSON shows them."""
        intervals = bootstrap_intervals(self.values, counts=self.counts, seed=self.seed).tolist()
        return {
            name: {"value": value, "interval": interval}
            for (name, value), interval in zip(self.figures().items(), intervals, strict=True)
        }

    def per_category(self) -> dict[str, dict[str, float]]:
        """The means in each category, and how many queries it has, the most frequent category first."""
        if not self.by:
            return {}
        names, places = np.unique(np.asarray(self.categories), return_inverse=True)
        falling = np.argsort(-np.bincount(places), kind="stable").tolist()
        chosen = {str(names[at]): np.flatnonzero(places == at) for at in falling}
        return {name: {"queries": len(queries), **self._means(queries)} for name, queries in chosen.items()}

    def to_json(self, *, model: str, weights: dict[str, float]) -> dict[str, JSON]:
        """As `lookalike evaluate --json` shows it."""
        return {
            "protocol": self.protocol,
            "model": model,
            "weights": weights,
            "queries": len(self.queries),
            "gallery": self.gallery,
            "metrics": self.with_intervals(),
            "by": self.by,
            "per_category": self.per_category(),
            "notes": list(self.notes),
        }

    def _means(self, queries: np.ndarray) -> dict[str, float]:
        values = self.values[queries]
        counts = np.ones_like(values) if self.counts is None else self.counts[queries]
        whole = counts.sum(axis=0)
        means = np.divide((values * counts).sum(axis=0), whole, out=np.zeros_like(whole), where=whole > 0)
        return dict(zip(self.metrics, means.tolist(), strict=True))
