"""Matches of a query: the gallery's neighbours, refined where that is asked for, as items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from lookalike.errors import GalleryReplacedError
from lookalike.retrieval.refinement import search_refined
from lookalike.types import Float32, Match, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.retrieval.examples import Examples

T = TypeVar("T")

TRIES: Final = 5


def search_gallery(
    gallery: Gallery, vectors: Mapping[str, Float32], request: ResolvedRequest, examples: Examples
) -> tuple[Neighbours, list[Match]]:
    """Search for one query, and read the items of the page that is asked for, in one state of the gallery.

    Args:
        gallery: Gallery to search.
        vectors: (1, D) float32 for each space that is weighted.
        request: Request, for this gallery's spaces.
        examples: What the vectors are of; its items are left out.

    Raises:
        GalleryReplacedError: It was replaced during each of `TRIES` attempts.
    """
    deep = request.deep(beside=len(examples.ids))

    def found() -> tuple[Neighbours, list[Match]]:
        if request.refines:
            neighbours = search_refined(gallery, vectors, deep, is_item=bool(examples.items))
        else:
            neighbours = gallery.search(vectors, deep)
        offset = request.offset or 0
        return neighbours, matches_of(gallery, neighbours, k=request.k, offset=offset, without=examples.ids)

    return of_one_state(found)


def matches_of(gallery: Gallery, neighbours: Neighbours, *, k: int, offset: int, without: Sequence[str]) -> list[Match]:
    """The matches of the first query.

    Args:
        gallery: Gallery of the neighbours.
        neighbours: At least `offset + k + len(without)` of them, where there are as many; best first.
        k: Number of matches.
        offset: Number of best matches to leave out.
        without: Ids of items to leave out.

    Raises:
        GalleryReplacedError: The gallery was replaced since the search, which must be done again.
    """
    rows = neighbours.rows[0, : offset + k + len(without)].tolist()
    items = gallery.items([row for row in rows if row >= 0], version=neighbours.version)
    found = [(place, items[row]) for place, row in enumerate(rows) if row in items and items[row].id not in without]
    return [
        Match(
            rank=rank,
            item=item,
            score=_rounded(neighbours.scores[0, place]),
            scores={space: _rounded(part[0, place]) for space, part in neighbours.by_space.items()},
            refined=None if neighbours.refined is None else _rounded(neighbours.refined[0, place]),
        )
        for rank, (place, item) in enumerate(found[offset : offset + k], start=offset + 1)
    ]


def of_one_state(ask: Callable[[], T]) -> T:
    """Take several steps on one state of the gallery: start again when it is replaced between two of them.

    Raises:
        GalleryReplacedError: It was replaced during each of `TRIES` attempts.
    """
    for _ in range(TRIES - 1):
        with suppress(GalleryReplacedError):
            return ask()
    return ask()


def _rounded(score: float) -> float:
    """Round to the digits of a float32."""
    return round(float(score), 6)
