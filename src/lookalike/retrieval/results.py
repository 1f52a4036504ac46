"""From neighbours, which are numbers of rows, to matches, which are items."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

from lookalike.errors import GalleryReplacedError, UsageError
from lookalike.types import Match, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery

T = TypeVar("T")

TRIES: Final = 5


def matches_of(gallery: Gallery, neighbours: Neighbours, *, k: int, offset: int, without: Sequence[str]) -> list[Match]:
    """The matches of the first query.

    Args:
        gallery: Where the neighbours are.
        neighbours: Enough of them, best first.
        k: How many matches.
        offset: So many of the best are left out.
        without: Items that are left out, by id.

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
    """An answer of several steps; asked again when the gallery is replaced between two of them.

    Raises:
        GalleryReplacedError: It is replaced all the time.
    """
    for _ in range(TRIES - 1):
        with suppress(GalleryReplacedError):
            return ask()
    return ask()


def _rounded(score: float) -> float:
    """A float32's digits and no more."""
    return round(float(score), 6)


def check_page(k: int, offset: int | None, *, probes: int | None, reach: int) -> None:
    """Refuse a page that makes no sense.

    Args:
        k: How many matches.
        offset: How many of the best are left out; None where no pages are asked for.
        probes: How many lists are looked into; None where the index decides.
        reach: How many matches there are to page through.

    Raises:
        UsageError: A number is out of its range.
    """
    if k < 1:
        raise UsageError(f"k must be at least 1, got {k}")
    if offset is not None and not 0 <= offset <= reach - k:
        raise UsageError(f"offset and k must be at least 0 and at most {reach:,} together, got {offset} and {k}")
    if probes is not None and probes < 1:
        raise UsageError(f"probes must be at least 1, got {probes}")
