"""Results of a query: searches the gallery, refines the neighbours if requested, and reads their items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from lookalike.answers import GarmentChoice, Match, Query, QueryText
from lookalike.embedding.compatibility import model_ids_of
from lookalike.errors import GalleryReplacedError
from lookalike.retrieval.examples import Examples, name_of
from lookalike.retrieval.refinement import search_refined
from lookalike.types import Float32, FullText, Neighbours

if TYPE_CHECKING:
    from lookalike.embedding.calibration import Float64
    from lookalike.embedding.labels import PhotoLabels
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest, SearchRequest
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
    """

    neighbours: Neighbours
    matches: Sequence[Match]
    no_good_match: bool = False
    full_text: FullText | None = None


def search_gallery(
    gallery: Gallery,
    vectors: Mapping[str, Float32],
    request: ResolvedRequest,
    examples: Examples,
    relevance: QueryRelevance | None,
    text: TextQuery | None = None,
) -> Found:
    """Search for one query, and read the items of the requested page at one version of the gallery.

    Args:
        gallery: Gallery to search.
        vectors: (1, D) float32 for each space with a weight above 0.
        request: Request, resolved for the gallery's spaces.
        examples: Examples of the query; their items are left out.
        relevance: Relevance of the matches; None if it is unknown.
        text: Words of the query; None without any.

    Raises:
        GalleryReplacedError: The gallery was replaced during each of `TRIES` attempts.
    """
    deep = request.deep(beside=len(examples.ids))

    def found() -> Found:
        full_text = None
        if text is not None:
            from lookalike.retrieval.text_search import search_by_words

            neighbours, full_text = search_by_words(gallery, text, deep)
        elif request.refines:
            neighbours = search_refined(gallery, vectors, deep, is_item=bool(examples.items))
        else:
            neighbours = gallery.search(vectors, deep)
        values = None if relevance is None else relevance.of(neighbours)
        paged = partial(matches_of, gallery, neighbours, relevance=values, without=examples.ids)
        matches = paged(k=request.k, offset=request.offset or 0, least=request.min_relevance)
        hidden = request.min_relevance is not None and not matches
        is_none_good = hidden and not paged(k=1, offset=0, least=request.min_relevance) and bool(paged(k=1, offset=0))
        return Found(neighbours, matches, is_none_good, full_text)

    return retry_if_replaced(found)


def matches_of(
    gallery: Gallery,
    neighbours: Neighbours,
    *,
    k: int,
    offset: int,
    without: Sequence[str],
    relevance: Float64 | None = None,
    least: float | None = None,
) -> list[Match]:
    """Matches of the first query.

    Args:
        gallery: Gallery of the neighbours.
        neighbours: Neighbours, best first: at least `offset + k + len(without)`, if the gallery has as many.
        k: Number of matches.
        offset: Number of best matches to leave out.
        without: Ids of items to leave out.
        relevance: (K,) relevance of the neighbours; None if it is unknown.
        least: Least relevance of a match; None is any.

    Raises:
        GalleryReplacedError: The gallery was replaced since the search; search again.
    """
    rows = neighbours.rows[0]
    is_good = rows >= 0 if relevance is None or least is None else (rows >= 0) & (relevance >= least)
    places = np.flatnonzero(is_good)[: offset + k + len(without)].tolist()
    known = rows[places].tolist()
    items = gallery.items(known, version=neighbours.version)
    has_garments = any(item.garments for item in items.values())
    garments = gallery.garments(known, version=neighbours.version) if has_garments else {}
    named = ((place, items.get(int(rows[place]))) for place in places)
    found = [(place, item) for place, item in named if item is not None and item.id not in without]
    return [
        Match(
            rank=rank,
            item=item,
            score=_rounded(neighbours.scores[0, place]),
            scores={
                space: _rounded(part[0, place])
                for space, part in neighbours.by_space.items()
                if not np.isnan(part[0, place])
            },
            refined=None if neighbours.refined is None else _rounded(neighbours.refined[0, place]),
            relevance=None if relevance is None else float(relevance[place]),
            garment=garments.get(int(rows[place])),
        )
        for rank, (place, item) in enumerate(found[offset : offset + k], start=offset + 1)
    ]


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
        rerank=request.rerank,
        min_relevance=request.min_relevance,
        same_kind=request.same_kind,
        kind=kind,
        examples=examples.names(name_of) if examples.several else None,
        garment=garment,
        labels=None if labels is None else labels.shown,
        no_garment=None if labels is None else labels.no_garment,
        text=text,
        text_weight=request.text_weight,
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


def _rounded(score: float) -> float:
    """Round to the digits of a float32."""
    return round(float(score), 6)
