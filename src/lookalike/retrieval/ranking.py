"""Ranking of one query: rows of the gallery, best first, as deep as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.gallery.request import PAGED_DEPTH
from lookalike.retrieval.refinement import search_refined
from lookalike.retrieval.scoring import unit_query
from lookalike.spaces import concatenate, scaled_query
from lookalike.types import Bool, Float32, FullText, Int64, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.retrieval.text_query import TextQuery

DEEPER: Final = 4
"""How many times as many rows a deeper ranking has."""

PHOTOS_OF_A_PRODUCT: Final = 3
"""Photos that are ranked for each product of an answer at first; more are when there are too few products."""

Ask = Callable[["ResolvedRequest"], tuple[Neighbours, FullText | None]]
"""Searches for the k best rows of one query."""


def deep(request: ResolvedRequest, *, beside: int, least: int = 0) -> ResolvedRequest:
    """The request with a k that covers the page: `PAGED_DEPTH` for pages, and where it matters what is relevant.

    For an answer of products it is larger, since they have several photos.

    Args:
        request: Request.
        beside: Number of items that will be left out of the answer.
        least: Least number of matches to rank.
    """
    whole = request.offset is not None or request.min_relevance is not None or request.arranges
    many = max(request.k, least)
    wanted = many if request.group is None else PHOTOS_OF_A_PRODUCT * many
    return replace(request, k=(max(wanted, PAGED_DEPTH) if whole else wanted) + beside)


@dataclass(slots=True)
class Ranking:
    """Rows of one query, best first. A row keeps its place when the ranking becomes deeper.

    Approximate indexes, the fusion of rankings and re-ranking order rows differently if they are asked for more. So
    the rows of a deeper search follow those that are ranked already.

    Attributes:
        gallery: Gallery that is searched.
        request: Request; its `k` is the number of rows that have been asked for.
        ask: Searches for the k best rows.
        query: (1, D) float32 unit vectors by space, which any row can be scored with; empty if only a search can.
        neighbours: Rows so far, (1, K), none of them -1.
        full_text: Items that were found by their texts; None if these were not searched.
        is_complete: Whether no row follows.
    """

    gallery: Gallery
    request: ResolvedRequest
    ask: Ask
    query: Mapping[str, Float32]
    neighbours: Neighbours = field(init=False)
    full_text: FullText | None = field(init=False)
    is_complete: bool = field(init=False)

    def __post_init__(self) -> None:
        found, self.full_text = self.ask(self.request)
        self.neighbours = without_gaps(found)
        self.is_complete = len(self) < self.request.k

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def rows(self) -> Int64:
        """Row numbers so far, (K,)."""
        rows: Int64 = self.neighbours.rows[0]
        return rows

    def deepen(self) -> None:
        """Rank more rows."""
        self.request = replace(self.request, k=DEEPER * self.request.k, rerank=0)
        found, _ = self.ask(self.request)
        deeper = without_gaps(found)
        self.is_complete = deeper.rows.shape[1] < self.request.k
        is_new = ~np.isin(self.gallery.item_rows(deeper.rows[0]), self.gallery.item_rows(self.rows))
        self.neighbours = followed(self.neighbours, taken(deeper, is_new))

    def scores_of(self, rows: Int64) -> tuple[Float32, Mapping[str, Float32]]:
        """Scores of rows, (N,) float32, and their parts by space; nan for rows that the ranking lacks and must have."""
        if self.query:
            units = self.gallery.unit_vectors(rows.tolist(), version=self.neighbours.version)
            by_space = {name: np.vecdot(units[name], row) for name, row in self.query.items()}
            spaces = self.request.spaces
            scaled = scaled_query(self.query, self.request.weights, spaces)
            return np.vecdot(concatenate(units, spaces), scaled[0]), by_space
        places = places_of(rows, self.rows)
        known = places >= 0
        return (
            np.where(known, self.neighbours.scores[0, places], np.float32(np.nan)),
            {name: np.where(known, part[0, places], np.nan) for name, part in self.neighbours.by_space.items()},
        )


def ranking_of(
    gallery: Gallery,
    vectors: Mapping[str, Float32],
    request: ResolvedRequest,
    *,
    is_item: bool,
    text: TextQuery | None,
) -> Ranking:
    """Rank the rows of a gallery by a query.

    Args:
        gallery: Gallery to search.
        vectors: (1, D) float32 for each space with a weight above 0.
        request: Request, whose `k` is the number of rows to rank at first.
        is_item: Whether the query is an item of the gallery.
        text: Words of the query; None without any.
    """
    ask: Ask
    if text is not None:
        from lookalike.retrieval.text_search import search_by_words

        ask = partial(search_by_words, gallery, text)
    elif request.refines:

        def ask(request: ResolvedRequest) -> tuple[Neighbours, None]:
            return search_refined(gallery, vectors, request, is_item=is_item), None

    else:

        def ask(request: ResolvedRequest) -> tuple[Neighbours, None]:
            return gallery.search(vectors, request), None

    has_cosines = bool(vectors) and not request.metrics
    if request.group and not has_cosines:  # distances are of all rows in any case, and letters of all items
        request = replace(request, k=max(request.k, len(gallery)))
    return Ranking(gallery, request, ask, unit_query(vectors, request.weights) if has_cosines else {})


def without_gaps(found: Neighbours) -> Neighbours:
    """Neighbours of one query without the places, at the end, where no row was found."""
    return taken(found, found.rows[0] >= 0)


def taken(found: Neighbours, kept: Bool) -> Neighbours:
    """Neighbours of one query at some places, (K,) bool."""
    return replace(
        found,
        rows=found.rows[:, kept],
        scores=found.scores[:, kept],
        by_space={name: part[:, kept] for name, part in found.by_space.items()},
        refined=None if found.refined is None else found.refined[:, kept],
    )


def followed(first: Neighbours, more: Neighbours) -> Neighbours:
    """Neighbours of one query, followed by more of a deeper search, whose refined values cannot be compared.

    Their version is that of the first: where the gallery was replaced between the two, reading their items is refused.
    """
    refined = None
    if first.refined is not None:
        unknown = np.full_like(more.scores, np.nan)
        refined = np.concatenate([first.refined, unknown], axis=1)
    return replace(
        first,
        rows=np.concatenate([first.rows, more.rows], axis=1),
        scores=np.concatenate([first.scores, more.scores], axis=1),
        by_space={name: np.concatenate([part, more.by_space[name]], axis=1) for name, part in first.by_space.items()},
        refined=refined,
    )


def places_of(rows: Int64, ranked: Int64) -> Int64:
    """Places of rows in a ranking, (N,) int64; -1 where it lacks them."""
    order = np.argsort(ranked, kind="stable")
    places = np.searchsorted(ranked, rows, sorter=order)
    found = order[np.minimum(places, len(ranked) - 1)] if len(ranked) else np.zeros(len(rows), dtype=np.int64)
    is_there = (ranked[found] == rows) if len(ranked) else np.zeros(len(rows), dtype=np.bool_)
    return np.where(is_there, found, -1)
