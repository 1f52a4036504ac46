"""Variants of matches: the other photos of their products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.types import Float32, Int64, Neighbours

if TYPE_CHECKING:
    from lookalike.retrieval.candidates import Good
    from lookalike.retrieval.ranking import Ranking

LISTED: Final = 20
"""Largest number of variants that a match lists."""

AT_ONCE: Final = 4096
"""Number of rows that are scored at once."""


@dataclass(frozen=True, slots=True)
class Folded:
    """Other photos of a product.

    Attributes:
        rows: (V,) int64, rows of the best ones, best first, at most `LISTED`.
        scores: (V,) float32.
        count: Number of all.
    """

    rows: Int64
    scores: Float32
    count: int


NOTHING: Final = Folded(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32), 0)


def folded(ranking: Ranking, matches: Mapping[str, int], good: Good) -> dict[str, Folded]:
    """Other photos of products: those that the filter passes and that are good, equal scores by row.

    Of the garments of a photo the best one counts.

    Args:
        ranking: Ranking of the query.
        matches: Row of the match of each product.
        good: Rows that count.

    Raises:
        GalleryReplacedError: The gallery was replaced since the search; search again.
    """
    gallery, request = ranking.gallery, ranking.request
    found = gallery.product_rows([*matches], where=request.where, version=ranking.neighbours.version)
    rows, items = found.rows, found.items
    numbers = {product: number for number, product in enumerate(matches)}
    owners = np.array([numbers[product] for product in found.products], dtype=np.int64)
    shown = items[np.isin(rows, np.fromiter(matches.values(), dtype=np.int64))]
    is_other = ~np.isin(items, shown)
    rows, owners, items = rows[is_other], owners[is_other], items[is_other]
    if not len(rows):
        return {}
    scores = good_scores(ranking, rows, good)
    order = np.lexsort((rows, -scores, owners))
    _, firsts = np.unique(items[order], return_index=True)
    order = order[np.sort(firsts)]
    order = order[np.isfinite(scores[order])]
    bounds = np.searchsorted(owners[order], np.arange(len(matches) + 1))
    parts = {product: order[bounds[number] : bounds[number + 1]] for product, number in numbers.items()}
    return {product: Folded(rows[part[:LISTED]], scores[part[:LISTED]], len(part)) for product, part in parts.items()}


def good_scores(ranking: Ranking, rows: Int64, good: Good) -> Float32:
    """Scores of rows, (N,) float32; -inf for those that do not count."""
    scores = np.empty(len(rows), dtype=np.float32)
    for at in range(0, len(rows), AT_ONCE):
        part = rows[np.newaxis, at : at + AT_ONCE]
        values, by_space = ranking.scores_of(part[0])
        neighbours = Neighbours(
            part, values[np.newaxis], {name: each[np.newaxis] for name, each in by_space.items()}, index=""
        )
        scores[at : at + AT_ONCE] = np.where(np.isnan(values) | ~good(neighbours), -np.inf, values)
    return scores
