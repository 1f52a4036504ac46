"""Matches of a ranking: pages of photos, or of products with their variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lookalike.answers import Match, Variant
from lookalike.retrieval.candidates import Candidates, Good, Photos, Products
from lookalike.retrieval.variants import NOTHING, Folded, folded
from lookalike.types import Bool, Garment, Item, Neighbours

if TYPE_CHECKING:
    from lookalike.retrieval.examples import Examples
    from lookalike.retrieval.ranking import Ranking
    from lookalike.retrieval.relevance import QueryRelevance


class Listing:
    """Matches of a ranking, from which pages are cut.

    Args:
        ranking: Ranking of the query.
        examples: Examples of the query, whose items are left out; in an answer of products, with their products.
        relevance: Relevance of the matches; None if it is unknown.
        least: Least relevance of a match; None is any.
    """

    def __init__(
        self, ranking: Ranking, examples: Examples, relevance: QueryRelevance | None, *, least: float | None
    ) -> None:
        self._ranking = ranking
        self._gallery = ranking.gallery
        self._without = {*examples.ids}
        self._relevance = relevance
        self._good = good_of(relevance, least)
        self._candidates: Candidates = Photos(ranking, self._good)
        if ranking.request.group is not None:
            products = {item_id: self._gallery.get(item_id).product for item_id in self._without}
            named = {product for product in products.values() if product}
            self._candidates = Products(ranking, self._good, without=named)
            self._without = {item_id for item_id, product in products.items() if not product}

    def page(self, offset: int, k: int) -> list[Match]:
        """Matches after the first `offset`, at most `k`.

        Raises:
            GalleryReplacedError: The gallery was replaced since the search; search again.
        """
        places = self._candidates.first(offset + k + len(self._without))
        if self._without:
            rows = self._ranking.rows[places].tolist()
            items = self._gallery.items(rows, version=self._ranking.neighbours.version)
            places = [
                place
                for place, row in zip(places, rows, strict=True)
                if row in items and items[row].id not in self._without
            ]
        return self._matches(places[offset : offset + k], first_rank=offset + 1)

    def _matches(self, places: Sequence[int], *, first_rank: int) -> list[Match]:
        """Matches at places of the ranking.

        Args:
            places: Places, in the order of their ranks.
            first_rank: Rank of the first match.
        """
        neighbours, is_grouped = self._ranking.neighbours, self._ranking.request.group is not None
        rows = self._ranking.rows[places].tolist()
        products = [self._candidates.products.get(place) or "" for place in places]
        named = {product: row for product, row in zip(products, rows, strict=True) if product}
        others = folded(self._ranking, named, self._good) if named else {}
        variants = [row for each in others.values() for row in each.rows.tolist()]
        items, garments = self._described([*rows, *variants])
        relevance = None if self._relevance is None else self._relevance.of(neighbours)
        there = [found for found in zip(places, rows, products, strict=True) if found[1] in items]
        return [
            Match(
                rank=rank,
                item=items[row],
                score=rounded(neighbours.scores[0, place]),
                scores={
                    space: rounded(part[0, place])
                    for space, part in neighbours.by_space.items()
                    if not np.isnan(part[0, place])
                },
                refined=refined_of(neighbours, place),
                relevance=None if relevance is None else float(relevance[place]),
                garment=garments.get(row),
                variants=variants_of(others.get(product, NOTHING), items, garments),
                variant_count=others.get(product, NOTHING).count if is_grouped else None,
            )
            for rank, (place, row, product) in enumerate(there, start=first_rank)
        ]

    def _described(self, rows: Sequence[int]) -> tuple[Mapping[int, Item], Mapping[int, Garment]]:
        """Items and garments by row."""
        version = self._ranking.neighbours.version
        items = self._gallery.items(rows, version=version) if rows else {}
        has_garments = any(item.garments for item in items.values())
        return items, self._gallery.garments(rows, version=version) if has_garments else {}


def good_of(relevance: QueryRelevance | None, least: float | None) -> Good:
    """Which neighbours may be matches: those that reach a least relevance, or all."""

    def good(neighbours: Neighbours) -> Bool:
        found: Bool = neighbours.rows[0] >= 0
        if relevance is not None and least is not None:
            found = found & (relevance.of(neighbours) >= least)
        return found

    return good


def variants_of(others: Folded, items: Mapping[int, Item], garments: Mapping[int, Garment]) -> list[Variant]:
    """Variants of a match; a photo that was removed meanwhile is left out.

    Args:
        others: Other photos of its product.
        items: Items by row.
        garments: Garments by row.
    """
    return [
        Variant(items[row], rounded(score), garments.get(row))
        for row, score in zip(others.rows.tolist(), others.scores, strict=True)
        if row in items
    ]


def refined_of(neighbours: Neighbours, place: int) -> float | None:
    """Refined value at a place; None without one."""
    if neighbours.refined is None or np.isnan(neighbours.refined[0, place]):
        return None
    return rounded(neighbours.refined[0, place])


def rounded(score: float) -> float:
    """Round to the digits of a float32."""
    return round(float(score), 6)
