"""Asking a gallery more than once: with the query's neighbours added to it, or with the answers put in a new order.

Only the order changes. What is returned as a score stays the score: the weighted mean of the cosines with the query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lookalike.errors import UsageError
from lookalike.retrieval.expansion import expand
from lookalike.retrieval.k_reciprocal import reciprocal_scores
from lookalike.spaces import Space, concatenate, scaled_query, unit_rows
from lookalike.types import Bool, Float32, Int64, Neighbours

MOST = 1000
"""More candidates are refused: the work grows with their square, and 1,000 take about a second."""


@dataclass(frozen=True, slots=True)
class Refinement:
    """What is done beyond one search.

    Attributes:
        expand: So many nearest neighbours are added to the query, which then asks again; 0 is none.
        rerank: So many best answers are put in order by their k-reciprocal neighbours; 0 is none.
    """

    expand: int = 0
    rerank: int = 0

    def __post_init__(self) -> None:
        for name, number in (("expand", self.expand), ("rerank", self.rerank)):
            if not 0 <= number <= MOST:
                raise UsageError(f"{name} must be between 0 and {MOST:,}, got {number}")

    def __bool__(self) -> bool:
        return bool(self.expand or self.rerank)

    def check(self, metrics: Mapping[str, str] | None) -> None:
        """Refuse what does not go together.

        Raises:
            UsageError: Metrics with a refinement, which stands on cosines.
        """
        if self and metrics:
            raise UsageError("expand and rerank go by the cosine; leave the metrics out")


class Searchable(Protocol):
    """What is needed of a gallery; `lookalike.gallery.protocol.Gallery` says what each method promises."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """The spaces, in the order of the concatenated rows."""
        ...

    def search(
        self,
        queries: Mapping[str, Float32],
        *,
        k: int = 10,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        index: str = "auto",
        probes: int | None = None,
        metrics: Mapping[str, str] | None = None,
    ) -> Neighbours:
        """Find the nearest items."""
        ...

    def unit_vectors(self, rows: Sequence[int], *, version: object = None) -> dict[str, Float32]:
        """Unit rows by space: (B, D) float32, zeros for a row that is no longer there."""
        ...


def search_refined(
    gallery: Searchable,
    query: Mapping[str, Float32],
    *,
    refinement: Refinement,
    k: int,
    weights: Mapping[str, float],
    where: str | None = None,
    index: str = "auto",
    probes: int | None = None,
    metrics: Mapping[str, str] | None = None,
    is_item: bool = False,
) -> Neighbours:
    """Search for one query, and refine the answer if that is asked for.

    Args:
        gallery: Where to search.
        query: (1, D) float32 for each space that is weighted.
        refinement: What to do.
        k: How many answers, at least 1.
        weights: One for each space.
        where: Only items that pass this filter, also as neighbours.
        index: See `Gallery.search`.
        probes: See `Gallery.search`.
        metrics: See `Gallery.search`; none with a refinement.
        is_item: Whether the query is an item of the gallery, which is no neighbour of itself. A photo's own copy in the
            gallery is one: it keeps the copy the first of the answers.

    Returns:
        The answers in their new order, with the scores that they have with the query itself, and `refined`, which
        decided the order.
    """

    def nearest(asked: Mapping[str, Float32], count: int) -> Neighbours:
        return gallery.search(asked, k=count, weights=weights, where=where, index=index, probes=probes, metrics=metrics)

    if not refinement:
        return nearest(query, k)
    weighted = {name: unit_rows(np.asarray(rows, dtype=np.float32)) for name, rows in query.items() if weights[name]}
    asked: Mapping[str, Float32] = weighted
    if refinement.expand:
        first = nearest(weighted, refinement.expand + 1)
        units = gallery.unit_vectors(first.rows[0].tolist(), version=first.version)
        asked = expanded(weighted, first, units, count=refinement.expand, is_item=is_item)
    found = nearest(asked, max(k, refinement.rerank))
    rows = found.rows[0]
    rows = rows[rows >= 0]
    units = gallery.unit_vectors(rows.tolist(), version=found.version)
    refined = found.scores[0, : len(rows)]
    if refinement.rerank and len(rows):
        refined = reranked(asked, units, weights=weights, spaces=gallery.spaces)
    order = np.argsort(-refined, kind="stable")[:k]
    by_space = {name: np.vecdot(units[name][order], row)[np.newaxis] for name, row in weighted.items()}
    total = sum(weights.values())
    scores = sum(part * np.float32(weights[name] / total) for name, part in by_space.items())
    return replace(
        found,
        rows=rows[order][np.newaxis],
        scores=np.asarray(scores, dtype=np.float32),
        by_space=by_space,
        refined=refined[order][np.newaxis],
    )


def expanded(
    query: Mapping[str, Float32], found: Neighbours, units: Mapping[str, Float32], *, count: int, is_item: bool
) -> dict[str, Float32]:
    """A query and its nearest neighbours as one, in each space; every space takes the same neighbours.

    Args:
        query: (1, D) float32 unit rows by space.
        found: Its neighbours.
        units: Their unit rows, (K, D), by space.
        count: How many to take.
        is_item: Whether a neighbour that is the query itself is passed over.
    """
    usable = found.rows[0] >= 0
    if is_item:
        usable &= ~same_as(query, units)
    taken: Int64 = np.flatnonzero(usable)[:count]
    scores = found.scores[0, taken]
    return {name: expand(row[0], units[name][taken], scores)[np.newaxis] for name, row in query.items()}


def same_as(query: Mapping[str, Float32], units: Mapping[str, Float32]) -> Bool:
    """Which rows are the query's own in every space: (K,) bool."""
    alike = [np.abs(units[name] - row).max(axis=1) < 1e-6 for name, row in query.items()]
    return np.asarray(np.all(alike, axis=0))


def reranked(
    query: Mapping[str, Float32],
    units: Mapping[str, Float32],
    *,
    weights: Mapping[str, float],
    spaces: Sequence[Space],
) -> Float32:
    """Scores of candidates by their k-reciprocal neighbours: (N,) float32, higher is better.

    Args:
        query: (1, D) float32 unit rows by space.
        units: (N, D) float32 unit rows of the candidates by space.
        weights: One for each space.
        spaces: Those of the gallery.
    """
    counted = [space for space in spaces if weights[space.name] > 0]
    together = {space.name: np.concatenate([query[space.name], units[space.name]]) for space in counted}
    scaled = scaled_query(together, {space.name: weights[space.name] for space in counted}, counted)
    return reciprocal_scores(scaled @ concatenate(together, counted).T)
