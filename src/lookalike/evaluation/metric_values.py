"""Values of metrics by query, and the figures computed from them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from lookalike.evaluation.intervals import bootstrap_intervals
from lookalike.evaluation.metrics import Float64
from lookalike.types import JSON, Item

NO_CATEGORY = "(unknown)"

OF_PRODUCT: Final = "product "
"""Beginning of the group of a query whose product is known."""

Figures: TypeAlias = Mapping[str, tuple[float, float]]
"""Values of one query by metric, with their weights in the mean."""


@dataclass(frozen=True, slots=True)
class MetricValues:
    """Values of M metrics for Q queries.

    Attributes:
        protocol: Name of the protocol, as given by the user.
        metrics: Names of the metrics, the most important first.
        queries: Ids of the query items.
        gallery: Number of items in the gallery.
        by: Attribute of the categories; empty for none.
        categories: Category of each query.
        values: (Q, M) float64 in [0, 1].
        counts: (Q, M) float64 weights of the values in a mean, such as a photo's number of attributes; None weighs
            all queries equally.
        notes: Notes for the user, a line each.
        seed: Seed of the intervals.
        products: Product of each query, see `products_of`; empty for queries in words.
        resample: What the intervals resample: `query`, or `product`, whose queries stay together.
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
    products: Sequence[str] = ()
    resample: str = "query"

    def figures(self) -> dict[str, float]:
        """Return the mean of each metric over all queries, by name."""
        return self._means(np.arange(len(self.queries)))

    def with_intervals(self) -> dict[str, JSON]:
        """Return the means with 95 % bootstrap intervals, as JSON."""
        groups = self.products if self.resample == "product" else ()
        intervals = bootstrap_intervals(self.values, counts=self.counts, groups=groups, seed=self.seed).tolist()
        return {
            name: {"value": value, "interval": interval}
            for (name, value), interval in zip(self.figures().items(), intervals, strict=True)
        }

    def per_category(self) -> dict[str, dict[str, float]]:
        """Return the means and the number of queries of each category, the most frequent first."""
        if not self.by:
            return {}
        names, places = np.unique(np.asarray(self.categories), return_inverse=True)
        falling = np.argsort(-np.bincount(places), kind="stable").tolist()
        chosen = {str(names[at]): np.flatnonzero(places == at) for at in falling}
        return {name: {"queries": len(queries), **self._means(queries)} for name, queries in chosen.items()}

    def to_json(self, *, model: str, weights: dict[str, float]) -> dict[str, JSON]:
        """Return the JSON of `lookalike evaluate --json`."""
        return {
            "protocol": self.protocol,
            "model": model,
            "weights": weights,
            "queries": len(self.queries),
            "gallery": self.gallery,
            "resample": self.resample,
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


def products_of(queries: Sequence[str], items: Sequence[Item], *, unknown: Collection[str]) -> list[str]:
    """Return the product of each query by its id; one of unknown product is a product by itself."""
    of_item = {
        item.id: f"{OF_PRODUCT}{item.product}" if item.product and item.product not in unknown else f"item {item.id}"
        for item in items
    }
    return [of_item[query] for query in queries]


def table_of(rows: Sequence[Figures], order: Sequence[str]) -> tuple[tuple[str, ...], Float64, Float64]:
    """Table of the figures of Q queries, of which each may have other metrics.

    Args:
        rows: Figures of each query.
        order: Names of all metrics; those that no query has are left out.

    Returns:
        Names of M metrics; values, (Q, M) float64; and their weights, (Q, M) float64, 0 where a query has no value.
    """
    metrics = tuple(name for name in order if any(name in figures for figures in rows))
    cells = np.array([[figures.get(metric, (0.0, 0.0)) for metric in metrics] for figures in rows])
    return metrics, cells[:, :, 0], cells[:, :, 1]


def said(options: Mapping[str, JSON]) -> str:
    """Return options in words, such as `index hnsw, k 10`."""
    return ", ".join(f"{name} {value}" for name, value in options.items())
