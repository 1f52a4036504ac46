"""Arrangement of the relevant matches of a query: sorted, boosted or diverse, and their facets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.gallery.sort_keys import BoostTerm, boost_term, check_sorted_attributes, sort_keys
from lookalike.retrieval.boosting import boosts
from lookalike.retrieval.diversity import Float64, maximal_marginal_relevance, scaled
from lookalike.retrieval.learned_order import FIRST as FIRST_LEARNED
from lookalike.retrieval.learned_order import LearnedOrder
from lookalike.retrieval.sorting import sorted_places
from lookalike.spaces import concatenate
from lookalike.types import Float32, Item

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest

RELEVANT: Final = 0.5
"""Least relevance of a relevant match, where a request has no `min_relevance`."""

FIRST: Final = 100
"""Largest number of relevant matches where there is no relevance."""

SHARE: Final = 0.5
"""Least share of the best score that a relevant match has where there is no relevance.

Of matches of words with .45 to .5 of the best cosine, every second is of the right type; of those with more, .67, and
these are .88 of all that are right (`bench/relevant_words.py`, 110 phrases, 1,167 catalogue photos, 2026-11-29).
"""

MOST: Final = 500
"""Largest number of relevant matches."""


def relevant_places(
    places: Sequence[int], relevance: Float64 | None, scores: Float32, *, least: float | None
) -> list[int]:
    """Places of the relevant ones among the first matches of a ranking.

    Args:
        places: Places of the first `MOST` matches.
        relevance: (K,) relevance by place; None if it is unknown.
        scores: (K,) scores by place; those of metrics are below 0, and have no share.
        least: Least relevance that was asked for; None is `RELEVANT`.
    """
    if relevance is None:
        first = [*places[:FIRST]]
        best = max(scores[first], default=0)
        return [place for place in first if best <= 0 or scores[place] >= SHARE * best]
    return [place for place in places if relevance[place] >= (RELEVANT if least is None else least)]


@dataclass(frozen=True, slots=True)
class Arranged:
    """Relevant matches in their new order.

    Attributes:
        order: Places in the list of relevant matches, the first match first.
        boosts: What each boost added, by its name and by place in that list.
        contributions: What each feature of a learned ranking added, by its name and by place in that list.
    """

    order: Sequence[int]
    boosts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    contributions: Mapping[str, Sequence[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the relevant matches of a request are arranged, checked against the attributes of a gallery.

    Attributes:
        request: Request.
        terms: Weights of the boosts.
        learned: Learned order of the matches; None is that of the similarity.
    """

    request: ResolvedRequest
    terms: Mapping[BoostTerm, float]
    learned: LearnedOrder | None = None

    @classmethod
    def of(cls, request: ResolvedRequest, gallery: Gallery, *, learned: LearnedOrder | None = None) -> Arrangement:
        """Read the options of a request.

        Args:
            request: Request.
            gallery: Gallery that is searched.
            learned: Learned order of the matches; None is that of the similarity.

        Raises:
            UnknownNameError: The gallery lacks an attribute.
            UsageError: An attribute has no order, or no numbers.
        """
        terms: dict[BoostTerm, float] = {}
        if request.sort is not None or request.boost:
            kinds = gallery.attributes()
            check_sorted_attributes(sort_keys(request.sort) if request.sort is not None else (), kinds)
            terms = {boost_term(name, kinds): weight for name, weight in (request.boost or {}).items()}
        return cls(request, terms, learned)

    @property
    def needs_items(self) -> bool:
        """Whether attributes of items decide."""
        return self.request.sort is not None or bool(self.terms) or self.learned is not None

    @property
    def arranges(self) -> bool:
        """Whether the order changes."""
        return self.needs_items or bool(self.request.diversity)

    @property
    def most(self) -> int:
        """Number of the most similar matches among which the relevant ones are looked for."""
        return MOST if self.learned is None or self.request.arranges else FIRST_LEARNED

    def arranged(
        self,
        items: Sequence[Item],
        values: Float32,
        units: Mapping[str, Float32],
        cosines: Mapping[str, Float32],
        *,
        first: int,
    ) -> Arranged:
        """Arrange relevant matches.

        Args:
            items: N items, in the order of their similarity; none if `needs_items` is not set.
            values: (N,) float32, what the items are ranked by.
            units: (N, D) float32 unit vectors by space; empty without diversity.
            cosines: (N,) float32 by space.
            first: Number of these that a learned order applies to.
        """
        request = self.request
        if not len(values):
            return Arranged([])
        if self.learned is not None:
            part = {name: each[:first] for name, each in cosines.items()}
            order_of_first, contributions = self.learned.ordered(items[:first], part)
            return Arranged([*order_of_first, *range(first, len(items))], contributions=contributions)
        if request.sort is not None:
            return Arranged(sorted_places(items, sort_keys(request.sort)))
        added = boosts(items, self.terms)
        total = scaled(values) + sum(added.values(), np.zeros(len(values)))
        if request.diversity:
            order = maximal_marginal_relevance(total, similarity(units, request), diversity=request.diversity)
        else:
            order = np.argsort(-total, kind="stable")
        named = zip(request.boost or {}, added.values(), strict=True)
        return Arranged(order.tolist(), {name: part.tolist() for name, part in named})


def similarity(units: Mapping[str, Float32], request: ResolvedRequest) -> Float32:
    """Weighted mean of the cosines of rows with each other, (N, N) float32.

    Args:
        units: (N, D) float32 unit vectors by space.
        request: Request with the weights.
    """
    counted = [space for space in request.spaces if request.weights[space.name] > 0]
    total = sum(request.weights.values())
    roots = {space.name: np.float32(np.sqrt(request.weights[space.name] / total)) for space in counted}
    rows = concatenate({name: root * units[name] for name, root in roots.items()}, counted)
    return rows @ rows.T
