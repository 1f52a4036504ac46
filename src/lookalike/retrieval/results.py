"""Results of a query: searches the gallery, refines the neighbours if requested, and reads their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from lookalike.answers import GarmentChoice, Match, Query, QueryText
from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import GalleryReplacedError
from lookalike.retrieval.arrangement import Arrangement
from lookalike.retrieval.examples import Examples, name_of
from lookalike.retrieval.learned_order import FIRST
from lookalike.retrieval.listing import Listing
from lookalike.retrieval.ranking import deep, ranking_of
from lookalike.types import Facet, Float32, FullText, Neighbours

if TYPE_CHECKING:
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest, SearchRequest
    from lookalike.retrieval.learned_order import LearnedOrder
    from lookalike.retrieval.relevance import QueryRelevance
    from lookalike.retrieval.text_query import TextQuery

T = TypeVar("T")

TRIES: Final = 5
"""Largest number of searches while the gallery is replaced."""


@dataclass(frozen=True, slots=True)
class Found:
    """Result of a search.

    Attributes:
        neighbours: Neighbours, best first.
        matches: Matches of the page.
        no_good_match: Whether there are items, but none reaches the least relevance that was asked for.
        full_text: Items that were found by their texts; None if these were not searched.
        relevant: Number of relevant matches; None if nothing is done with them.
        facets: Values of their attributes; None unless they were asked for.
    """

    neighbours: Neighbours
    matches: Sequence[Match]
    no_good_match: bool = False
    full_text: FullText | None = None
    relevant: int | None = None
    facets: Sequence[Facet] | None = None


def search_gallery(
    gallery: Gallery,
    vectors: Mapping[str, Float32],
    request: ResolvedRequest,
    examples: Examples,
    relevance: QueryRelevance | None,
    text: TextQuery | None = None,
    learned: LearnedOrder | None = None,
) -> Found:
    """Search for one query, and read the items of the requested page at one version of the gallery.

    Args:
        gallery: Gallery to search.
        vectors: (1, D) float32 for each space with a weight above 0.
        request: Request, resolved for the gallery's spaces.
        examples: Examples of the query; their items are left out.
        relevance: Relevance of the matches; None if it is unknown.
        text: Words of the query; None without any.
        learned: Learned order of the matches; None is that of their similarity.

    Raises:
        GalleryReplacedError: The gallery was replaced during each of `TRIES` attempts.
        UsageError: Matches are to be sorted or boosted by what is no such attribute of the gallery.
    """
    deeper = deep(request, beside=len(examples.ids), least=0 if learned is None else FIRST)
    arrangement = Arrangement.of(deeper, gallery, learned=learned)

    def found() -> Found:
        ranking = ranking_of(gallery, vectors, deeper, is_item=bool(examples.items), text=text)
        least = request.min_relevance
        listing = Listing(ranking, examples, relevance, arrangement, least=least)
        matches = listing.page(request.offset or 0, request.k)
        is_none_good = False
        if least is not None and not matches:
            every = Listing(ranking, examples, relevance, arrangement, least=None)
            is_none_good = not listing.page(0, 1) and bool(every.page(0, 1))
        return Found(
            ranking.neighbours,
            matches,
            is_none_good,
            ranking.full_text,
            relevant=listing.relevant_count,
            facets=listing.facets() if request.facets else None,
        )

    return retry_if_replaced(found)


def query_of(
    examples: Examples,
    request: SearchRequest,
    resolved: ResolvedRequest,
    *,
    index: str,
    garment: GarmentChoice | None,
    labels: PhotoLabels | None,
    kind: str | None,
    text: QueryText | None,
    relevant: int | None,
    learned: LearnedOrder | None,
) -> Query:
    """Query of an answer.

    Args:
        examples: Query examples.
        request: Request as it came.
        resolved: Request, resolved for the gallery's spaces.
        index: Index that answered.
        garment: Garment that was looked at, if one was asked for.
        labels: What the query photo shows, if the model can tell.
        kind: Kind that was asked for, if it is known.
        text: How the words were read, if there are any.
        relevant: Number of relevant matches, if something is done with them.
        learned: Learned order of the matches, if they have one.
    """
    return Query(
        photo=name_of(examples.photos[0]) if examples.photos else None,
        item=examples.items[0] if examples.items else None,
        box=request.box,
        model="+".join(model_ids_of(resolved.spaces)),
        weights=resolved.weights,
        where=request.where,
        index=index,
        metrics=resolved.metrics,
        offset=request.offset,
        expand=request.expand,
        alpha=request.alpha,
        rerank=request.rerank,
        k1=request.k1,
        k2=request.k2,
        trust=request.trust,
        min_relevance=request.min_relevance,
        same_kind=request.same_kind is True or kind is not None,
        kind=kind,
        examples=examples.names(name_of) if examples.several else None,
        garment=garment,
        labels=None if labels is None else labels.shown,
        no_garment=None if labels is None else labels.no_garment,
        text=text,
        text_weight=request.text_weight,
        group=request.group,
        diversity=request.diversity,
        sort=request.sort,
        boost=request.boost,
        relevant=relevant,
        ranking=None if learned is None else learned.ranking.name,
    )


def retry_if_replaced(ask: Callable[[], T]) -> T:
    """Call a function that reads the gallery several times; call it again if the gallery was replaced meanwhile.

    Raises:
        GalleryReplacedError: The gallery was replaced during each of `TRIES` attempts.
    """
    for _ in range(TRIES - 1):
        with suppress(GalleryReplacedError):
            return ask()
    return ask()
