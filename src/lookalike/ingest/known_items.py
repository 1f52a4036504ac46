"""Items that a gallery has already, of the source that is indexed and of others."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from lookalike.gallery.record_batch import PRODUCT
from lookalike.gallery.stored_item import StoredItem
from lookalike.ingest.index_target import IndexTarget
from lookalike.ingest.known_contents import KnownContents
from lookalike.types import JSON, FileStamp, Item

LOOKED_UP: Final = 512
"""Items of a catalogue that are looked up at once."""


@dataclass(frozen=True, slots=True)
class KnownItem:
    """Item of the gallery without overrides, its file stamp, and the source that brought it."""

    item: Item
    file_stamp: FileStamp | None
    source: str


class KnownItems:
    """Items of a source, and those that other sources brought under ids of its catalogue.

    Args:
        gallery: The gallery.
        source: Name of the source in the gallery.
        discard_overrides: Whether overrides of what the catalogue brings are dropped.

    Attributes:
        contents: Contents of all items of the gallery.
    """

    def __init__(self, gallery: IndexTarget, *, source: str, discard_overrides: bool) -> None:
        self._gallery, self._discards = gallery, discard_overrides
        items = gallery.source_items(source)
        self.contents = KnownContents(gallery, source=source, items=items.values())
        self._items = {item_id: KnownItem(*known, source) for item_id, known in items.items()}
        self._of_source = frozenset(items)
        self._has_others = len(gallery) > len(items)
        self._kept: dict[str, Mapping[str, JSON]] = {}
        self._dropped: dict[str, int] = {}

    def __len__(self) -> int:
        """Number of items that earlier runs of the source brought."""
        return len(self._of_source)

    def get(self, item_id: str) -> KnownItem | None:
        """Item of an id, if it is known."""
        return self._items.get(item_id)

    def unmet(self, seen: Container[str]) -> list[Item]:
        """Items of earlier runs of the source whose ids are not among those that were seen in this one."""
        return [self._items[item_id].item for item_id in self._of_source if item_id not in seen]

    def met(self, items: Iterator[Item]) -> Iterator[Item]:
        """Iterate over the items of a catalogue, each once the gallery was asked for its id."""
        while (self._has_others or self._discards) and (some := list(islice(items, LOOKED_UP))):
            asked = dict.fromkeys(item.id for item in some if self._discards or item.id not in self._items)
            stored = self._gallery.stored_items(list(asked)) if asked else {}
            for item_id, known in stored.items():
                self._items.setdefault(item_id, KnownItem(known.described, known.file_stamp, known.source))
            if self._discards:
                self._weigh(some, stored)
            yield from some
        yield from items

    def _weigh(self, items: Iterable[Item], stored: Mapping[str, StoredItem]) -> None:
        """Note which overrides each item keeps, where it is to lose some."""
        for item in items:
            overrides = stored[item.id].overrides if item.id in stored else {}
            brought = {*item.attributes, *([] if item.product is None else [PRODUCT])}
            kept = {name: value for name, value in overrides.items() if name not in brought}
            if len(kept) < len(overrides):
                self._kept[item.id] = kept
                self._dropped[item.id] = len(overrides) - len(kept)

    def loses_overrides(self, item_id: str) -> bool:
        """Whether an item is to lose overrides."""
        return item_id in self._kept

    def drop_overrides(self, written: Sequence[Item]) -> int:
        """Drop the overrides of items that were written; returns their number."""
        losing = [item for item in written if item.id in self._kept]
        if losing:
            self._gallery.update(losing, overrides=[self._kept.pop(item.id) for item in losing])
        return sum(self._dropped[item.id] for item in losing)
