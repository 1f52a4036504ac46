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
    """A photo that cannot become an item.

    Attributes:
        photo: Its path, or the place of its row.
        reason: Why, in a few words.
        id: Id of the item it would have been; empty where the source does not tell.
    """

    photo: str
    reason: str
    id: str = ""


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

    def out_of_reach(self, items: Iterable[Item]) -> list[bool]:
        """Whether each item of an earlier run may still be in the source: it was skipped, or its folder is unlisted.

        Args:
            items: Items that this catalogue does not hold.
        """
        photos, ids = {skip.photo for skip in self.skipped}, {skip.id for skip in self.skipped if skip.id}
        return [item.id in ids or item.photo in photos or self._is_unlisted(item.photo) for item in items]

    def _is_unlisted(self, photo: str) -> bool:
        if not self.unlisted:
            return False
        parts = photo.split("/")
        return any("/".join(parts[:depth]) in self.unlisted for depth in range(len(parts) + 1))
