"""Duplicates of a gallery, in three grades: the same photo, the same product, similar products."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from math import inf
from typing import Any, Final

import numpy as np
from PIL import Image

from lookalike.embedding.model_loading import processors
from lookalike.errors import PhotoError, UsageError
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.reviews import ReviewedPairs, content_of
from lookalike.images import open_image
from lookalike.spaces import unit_rows
from lookalike.tuning.duplicates.near_pairs import NearPairs, near_pairs
from lookalike.tuning.duplicates.photo_difference import (
    GRID_CELLS,
    KEPT,
    difference,
    grid_difference,
    grid_of,
    small_copy,
)
from lookalike.types import Float32, Item, UInt8

SAME_PHOTO: Final = "same photo"
SAME_PRODUCT: Final = "same product"
SIMILAR: Final = "similar"
GRADES: Final = (SAME_PHOTO, SAME_PRODUCT, SIMILAR)
"""Grades, the surest first."""

GRID: Final = 12.0
"""Largest mean difference, 0 to 255, of the mean colours in 8 x 8 cells of two copies; others are not compared."""

DIFFERENCE: Final = 12.0
CANDIDATE: Final = 0.85
"""Largest `difference` of two copies of a photo, 0 to 255, and least cosine of the pairs that are compared.

Measured by `bench/duplicates.py`; see docs/operations.md.
"""

PRODUCT: Final = 0.98
"""Least cosine of two photos that are taken for the same product."""

MOST: Final = 200_000
"""Largest number of pairs that are looked at, the nearest ones."""

COPIES: Final = 4_096
"""Small copies of photos that are in memory at a time, 28 kB each."""

MOST_SIMILAR: Final = 1_000
"""Largest number of similar pairs that are told, the nearest ones."""

Progress = Callable[[str, int, int], None]
"""Called with what is counted, and the number done and of all."""


@dataclass(frozen=True, slots=True)
class Group:
    """Items that duplicate each other.

    Attributes:
        grade: One of `GRADES`.
        items: Two items or more, in the order of the gallery; of similar ones two.
        contents: Digests of their photos, which tell later whether these have changed; None without a file stamp.
        cosine: Least cosine of the pairs that join them, or 1 where only the content of files does.
        difference: Largest pixel difference of these pairs, 0 to 255; None for other grades than `same photo`.
    """

    grade: str
    items: tuple[Item, ...]
    contents: tuple[str | None, ...]
    cosine: float
    difference: float | None = None

    def to_json(self) -> dict[str, Any]:
        """JSON form, as a part of `lookalike gallery duplicates --json`."""
        items = [
            {"id": item.id, "product": item.product, "photo": item.photo, "content": content}
            for item, content in zip(self.items, self.contents, strict=True)
        ]
        return {"grade": self.grade, "items": items, "cosine": self.cosine, "difference": self.difference}


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Result of `find_duplicates`.

    Attributes:
        items: Number of items of the gallery.
        groups: Groups, the surest grade first, and the nearest ones first.
        unreadable: Items whose photos cannot be compared, with the reasons, by id.
        least: Least cosine down to which all pairs were looked at.
    """

    items: int
    groups: tuple[Group, ...]
    unreadable: Mapping[str, str] = field(default_factory=dict)
    least: float = CANDIDATE

    def of(self, grade: str) -> list[Group]:
        """Groups of a grade."""
        return [group for group in self.groups if group.grade == grade]

    def to_json(self) -> dict[str, Any]:
        """JSON of `lookalike gallery duplicates --json`."""
        return {
            "items": self.items,
            "groups": [group.to_json() for group in self.groups],
            "unreadable": dict(self.unreadable),
            "least_cosine": round(self.least, 4),
        }


def find_duplicates(
    gallery: HasGallery | str | os.PathLike[str], *, reviewed: bool = False, progress: Progress | None = None
) -> Duplicates:
    """Find photos that are in a gallery twice, and products that may be one.

    - `same photo`: files of equal content; or photos that agree pixel by pixel when one is a compressed, resized or
      slightly cropped copy of the other.
    - `same product`: other photos of different products, or of none, of a cosine of at least `PRODUCT`.
    - `similar`: pairs of different products below that, of at least `CANDIDATE`.

    All pairs of items are compared by the vectors of the gallery's first space; of items with several garments, those
    of the first one. Pairs that were decided before (`apply_decisions`) are left out as long as their photos stay.

    Args:
        gallery: Address of the gallery, or its retriever; it is not changed.
        reviewed: Find these, too.
        progress: Called from time to time.

    Raises:
        UsageError: The gallery is empty.
    """
    tell = progress or (lambda _what, _done, _total: None)
    with gallery_of(gallery) as shop:
        if not shop.spaces:
            raise UsageError("the gallery is empty: there is nothing to compare")
        items, contents, rows = read_items(shop)
        pairs = near_pairs(rows, least=CANDIDATE, most=MOST, progress=lambda done, total: tell("items", done, total))
        comparing = _Comparing(items, PhotoReader.of(shop), tell)
        same = [*equal_contents(contents), *comparing.same_photos(pairs)]
        known = ReviewedPairs([] if reviewed else shop.reviews(), [item.id for item in items], contents)
        groups = tuple(graded(items, contents, pairs, same, known))
        return Duplicates(len(items), groups, comparing.unreadable, pairs.least)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two items, by their places."""

    first: int
    second: int
    cosine: float
    difference: float = 0.0


def read_items(shop: Gallery) -> tuple[list[Item], list[str | None], Float32]:
    """Items of a gallery, their contents as `content_of` gives them, and their unit vectors, (N, D)."""
    space = shop.spaces[0]
    items: list[Item] = []
    contents: list[str | None] = []
    parts = [np.empty((0, space.dimension), np.float32)]
    for batch in shop.records():
        items += batch.current_items
        contents += map(content_of, batch.items, batch.file_stamps)
        parts.append(unit_rows(batch.vectors[space.name][[rows.start for rows in batch.rows]]))
    return items, contents, np.concatenate(parts)


def equal_contents(contents: Sequence[str | None]) -> Iterator[_Pair]:
    """Pairs of items whose photos have the same bytes: each with the first one."""
    first: dict[str, int] = {}
    for place, content in enumerate(contents):
        if content is not None and first.setdefault(content, place) != place:
            yield _Pair(first[content], place, 1.0)


class _Comparing:
    """Comparison of photos: first of coarse grids of all, then of the small copies of the few that agree in these.

    Attributes:
        unreadable: Items whose photos cannot be read, with the reasons, by id.
    """

    def __init__(self, items: Sequence[Item], reader: PhotoReader, tell: Progress) -> None:
        self.unreadable: dict[str, str] = {}
        self._items, self._reader, self._tell = items, reader, tell
        self._kept = lru_cache(maxsize=COPIES)(self._small)

    def same_photos(self, pairs: NearPairs) -> list[_Pair]:
        """Pairs of one photo."""
        places = np.unique(np.concatenate([pairs.first, pairs.second]))
        grids = np.zeros((len(places), GRID_CELLS), dtype=np.uint8)
        readable = np.zeros(len(places), dtype=np.bool_)
        with ThreadPoolExecutor(processors()) as threads:
            for at, grid in enumerate(threads.map(self._grid, places.tolist())):
                if grid is not None:
                    grids[at], readable[at] = grid, True
                self._tell("photos", at + 1, len(places))
            first, second = (np.searchsorted(places, part) for part in pairs[:2])
            agree = grid_difference(grids, first, second) <= GRID
            wanted = np.flatnonzero(agree & readable[first] & readable[second])
            wanted = wanted[
                np.lexsort((pairs.second[wanted], pairs.first[wanted]))
            ]  # so that few copies are read twice
            ends = zip(pairs.first[wanted].tolist(), pairs.second[wanted].tolist(), strict=True)
            found = []
            for done, (place, much) in enumerate(zip(wanted.tolist(), threads.map(self._compare, ends), strict=True)):
                if much <= DIFFERENCE:
                    pair = pairs.first[place], pairs.second[place], pairs.cosine[place]
                    found.append(_Pair(int(pair[0]), int(pair[1]), float(pair[2]), much))
                self._tell("pairs", done + 1, len(wanted))
        return found

    def _compare(self, ends: tuple[int, int]) -> float:
        """Difference of two photos; infinite where one cannot be read any more."""
        one, other = self._kept(ends[0]), self._kept(ends[1])
        return inf if one is None or other is None else difference(one, other)

    def _grid(self, place: int) -> UInt8 | None:
        photo = self._small(place)
        return None if photo is None else grid_of(photo)

    def _small(self, place: int) -> Image.Image | None:
        item = self._items[place]
        try:
            return small_copy(open_image(self._reader(item), at_least=KEPT, box=item.parts[0], name=item.photo))
        except PhotoError as error:
            self.unreadable[item.id] = f"{item.photo}: {error.reason}"
            return None


def graded(
    items: Sequence[Item], contents: Sequence[str | None], pairs: NearPairs, same: Sequence[_Pair], known: ReviewedPairs
) -> Iterator[Group]:
    """Groups of all grades; pairs that are known join none."""
    photo_of = joined(len(items), same)
    yield from groups_of(SAME_PHOTO, items, contents, [pair for pair in same if not known.has(pair.first, pair.second)])
    others = [
        _Pair(first, second, cosine)
        for first, second, cosine in zip(*(part.tolist() for part in pairs[:3]), strict=True)
        if photo_of[first] != photo_of[second]
        and are_apart(items[first], items[second])
        and not known.has(first, second)
    ]
    products = [pair for pair in others if pair.cosine >= PRODUCT]
    yield from groups_of(SAME_PRODUCT, items, contents, products)
    similar = [pair for pair in others if pair.cosine < PRODUCT][:MOST_SIMILAR]
    for pair in similar:
        ends = pair.first, pair.second
        yield Group(
            SIMILAR, tuple(items[end] for end in ends), tuple(contents[end] for end in ends), round(pair.cosine, 4)
        )


def are_apart(one: Item, other: Item) -> bool:
    """Whether two items are not known to be of one product."""
    return one.product is None or one.product != other.product


def joined(count: int, pairs: Iterable[_Pair]) -> list[int]:
    """For each of some places the first place that it is joined with by pairs, directly or by others."""
    roots = list(range(count))

    def root(place: int) -> int:
        while roots[place] != place:
            roots[place] = roots[roots[place]]
            place = roots[place]
        return place

    for pair in pairs:
        one, other = sorted((root(pair.first), root(pair.second)))
        roots[other] = one
    return [root(place) for place in range(count)]


def groups_of(grade: str, items: Sequence[Item], contents: Sequence[str | None], pairs: Sequence[_Pair]) -> list[Group]:
    """Groups of items that pairs join, the nearest ones first."""
    roots = joined(len(items), pairs)
    members: defaultdict[int, set[int]] = defaultdict(set)
    within: defaultdict[int, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        members[roots[pair.first]] |= {pair.first, pair.second}
        within[roots[pair.first]].append(pair)
    found = [
        Group(
            grade,
            tuple(items[place] for place in sorted(places)),
            tuple(contents[place] for place in sorted(places)),
            round(min(pair.cosine for pair in within[root]), 4),
            max(pair.difference for pair in within[root]) if grade == SAME_PHOTO else None,
        )
        for root, places in members.items()
    ]
    return sorted(found, key=lambda group: -group.cosine)
