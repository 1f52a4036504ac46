"""Matches of a ranking: pages of photos, or of products with their variants."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from lookalike.answers import Match, Variant
from lookalike.retrieval.arrangement import Arranged, Arrangement, relevant_places
from lookalike.retrieval.candidates import Candidates, Good, Photos, Products
from lookalike.retrieval.learned_order import FIRST
from lookalike.retrieval.match_facets import match_facets
from lookalike.retrieval.variants import NOTHING, Folded, folded
from lookalike.types import Bool, Facet, Garment, Item, Neighbours

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
        arrangement: How the relevant matches are arranged.
        least: Least relevance of a match; None is any.
    """

    def __init__(
        self,
        ranking: Ranking,
        examples: Examples,
        relevance: QueryRelevance | None,
        arrangement: Arrangement,
        *,
        least: float | None,
    ) -> None:
        self._ranking = ranking
        self._gallery = ranking.gallery
        self._without = {*examples.ids}
        self._asked: set[int] = set()
        self._read: dict[int, Item] = {}
        self._relevance = relevance
        self._arrangement = arrangement
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
        return self._matches(self._places(offset + k)[offset:], first_rank=offset + 1)

    @property
    def relevant_count(self) -> int | None:
        """Number of relevant matches; None if nothing is done with them."""
        is_used = self._ranking.request.arranges or self._arrangement.arranges
        return len(self._relevant) if is_used else None

    def facets(self) -> list[Facet]:
        """Values of the attributes of the relevant matches; of a product, those of all its photos that were ranked."""
        members = [self._candidates.members(place) for place in self._relevant]
        rows = [self._ranking.rows[[*places]].tolist() for places in members]
        items = self._items([row for each in rows for row in each])
        return match_facets([[items[row] for row in each if row in items] for each in rows], self._gallery.attributes())

    def _places(self, count: int) -> list[int]:
        """Places of the first matches in the ranking, in the order of the matches."""
        if self._arranged is None:
            return self._shown(count)
        arranged = {*self._relevant}
        others = [place for place in self._shown(count + len(arranged)) if place not in arranged]
        return [*(self._relevant[place] for place in self._arranged.order), *others][:count]

    def _shown(self, count: int, *, deeper: bool = True) -> list[int]:
        """Places of the first candidates without the query items, in the order of their similarity."""
        places = self._candidates.first(count + len(self._without), deeper=deeper)
        if self._without:
            rows = self._ranking.rows[[*places]].tolist()
            items = self._items(rows)
            places = [
                place
                for place, row in zip(places, rows, strict=True)
                if row in items and items[row].id not in self._without
            ]
        return [*places[:count]]

    @cached_property
    def _relevant(self) -> list[int]:
        """Places of the relevant matches, in the order of their similarity."""
        places = self._shown(self._arrangement.most, deeper=False)
        relevance = None if self._relevance is None else self._relevance.of(self._ranking.neighbours)
        scores, least = self._ranking.neighbours.scores[0], self._ranking.request.min_relevance
        found = relevant_places(places, relevance, scores, least=least)
        rows = self._ranking.rows[found].tolist()
        items = self._items(rows) if self._arrangement.needs_items else None
        return [place for place, row in zip(found, rows, strict=True) if items is None or row in items]

    @cached_property
    def _arranged(self) -> Arranged | None:
        """Order of the relevant matches; None if it is that of their similarity."""
        request, neighbours = self._ranking.request, self._ranking.neighbours
        if not self._arrangement.arranges:
            return None
        rows = self._ranking.rows[self._relevant].tolist()
        items = self._items(rows) if self._arrangement.needs_items else {}
        units = self._gallery.unit_vectors(rows, version=neighbours.version) if request.diversity else {}
        values = (neighbours.scores if neighbours.refined is None else neighbours.refined)[0, self._relevant]
        cosines = {name: part[0, self._relevant] for name, part in neighbours.by_space.items()}
        first = len({*self._shown(FIRST, deeper=False)}.intersection(self._relevant))
        named = [items[row] for row in rows if items]
        return self._arrangement.arranged(named, values, units, cosines, first=first)

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
        similarity_ranks, boosts, contributions = self._before(places)
        scores = dict(zip(places, neighbours.scores[0, places].tolist(), strict=True))
        by_space = {
            space: dict(zip(places, part[0, places].tolist(), strict=True))
            for space, part in neighbours.by_space.items()
        }
        there = [found for found in zip(places, rows, products, strict=True) if found[1] in items]
        return [
            Match(
                rank=rank,
                item=items[row],
                score=rounded(scores[place]),
                scores={space: rounded(of[place]) for space, of in by_space.items() if not math.isnan(of[place])},
                refined=refined_of(neighbours, place),
                relevance=None if relevance is None else float(relevance[place]),
                garment=garments.get(row),
                variants=variants_of(product, others.get(product, NOTHING), items, garments),
                variant_count=others.get(product, NOTHING).count if is_grouped else None,
                similarity_rank=similarity_ranks.get(place),
                boost=boosts.get(place, {}),
                contributions=contributions.get(place, {}),
            )
            for rank, (place, row, product) in enumerate(there, start=first_rank)
        ]

    def _before(
        self, places: Sequence[int]
    ) -> tuple[dict[int, int], dict[int, dict[str, float]], dict[int, dict[str, float]]]:
        """Ranks by similarity alone, and what boosts and features added, by place; empty if nothing was arranged."""
        if self._arranged is None:
            return {}, {}, {}
        ranked = self._shown(len(self._relevant) + max(places, default=0) + 1)
        boosts, contributions = (
            {
                place: {name: rounded(part[number]) for name, part in parts.items() if number < len(part)}
                for number, place in enumerate(self._relevant)
            }
            for parts in (self._arranged.boosts, self._arranged.contributions)
        )
        return {place: rank for rank, place in enumerate(ranked, start=1)}, boosts, contributions

    def _items(self, rows: Sequence[int]) -> Mapping[int, Item]:
        """Items by row, of these rows and of those before; each row is read once."""
        if new := [row for row in dict.fromkeys(rows) if row not in self._asked]:
            self._read |= self._gallery.items(new, version=self._ranking.neighbours.version)
            self._asked.update(new)
        return self._read

    def _described(self, rows: Sequence[int]) -> tuple[Mapping[int, Item], Mapping[int, Garment]]:
        """Items and garments by row."""
        version = self._ranking.neighbours.version
        items = self._items(rows)
        has_garments = any(items[row].garments for row in rows if row in items)
        return items, self._gallery.garments(rows, version=version) if has_garments else {}


def good_of(relevance: QueryRelevance | None, least: float | None) -> Good:
    """Which neighbours may be matches: those that reach a least relevance, or all."""

    def good(neighbours: Neighbours) -> Bool:
        found: Bool = neighbours.rows[0] >= 0
        if relevance is not None and least is not None:
            found = found & (relevance.of(neighbours) >= least)
        return found

    return good


def variants_of(
    product: str, others: Folded, items: Mapping[int, Item], garments: Mapping[int, Garment]
) -> list[Variant]:
    """Variants of a match; a photo that was removed, or changed its product, meanwhile is left out.

    Args:
        product: Product of the match.
        others: Other photos of its product.
        items: Items by row.
        garments: Garments by row.
    """
    return [
        Variant(items[row], rounded(score), garments.get(row))
        for row, score in zip(others.rows.tolist(), others.scores, strict=True)
        if row in items and items[row].product == product
    ]


def refined_of(neighbours: Neighbours, place: int) -> float | None:
    """Refined value at a place; None without one."""
    if neighbours.refined is None or np.isnan(neighbours.refined[0, place]):
        return None
    return rounded(neighbours.refined[0, place])


def rounded(score: float) -> float:
    """Round to the digits of a float32."""
    return round(float(score), 6)
