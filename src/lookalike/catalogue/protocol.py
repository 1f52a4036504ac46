"""What the rest of the package needs from a catalogue, wherever its items come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from lookalike.catalogue.benchmark import Benchmark
from lookalike.types import Item

Kind = Literal["folder", "imagefolder", "csv", "parquet", "listing", "drawn", "attributes", "inshop", "consumer2shop"]


@dataclass(frozen=True, slots=True)
class Skip:
    """A photo that is left out, and why, in a few words."""

    photo: str
    reason: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A source of items that has been looked through once: what is malformed in it has been refused already.

    Attributes:
        kind: What it is.
        source: Names it, the same in every run: the absolute path of the folder or table, `drawn` or `-`.
        items: Reads the items, in the same order each time, without holding them all in memory.
        count: How many items there are.
        skipped: Photos that cannot become items, to be reported with those that fail later.
        unlisted: Folders that could not be listed, as paths that the photos' paths begin with; empty text is all.
        notes: What the user may want to know of the reading, a line each.
        benchmark: Of a published benchmark: splits, pairs, totals.
    """

    kind: Kind
    source: str
    items: Callable[[], Iterator[Item]]
    count: int
    skipped: tuple[Skip, ...] = ()
    unlisted: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    benchmark: Benchmark | None = None

    def may_be_there(self, photos: Iterable[str]) -> list[bool]:
        """Tell of photos that are no items whether they may only be out of reach: skipped, or in an unlisted folder."""
        skipped = {skip.photo for skip in self.skipped}
        return [photo in skipped or self._is_unlisted(photo) for photo in photos]

    def _is_unlisted(self, photo: str) -> bool:
        if not self.unlisted:
            return False
        parts = photo.split("/")
        return any("/".join(parts[:depth]) in self.unlisted for depth in range(len(parts) + 1))
