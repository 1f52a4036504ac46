"""Batches of records: items with their vectors, sources, file stamps and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from lookalike.types import JSON, FileStamp, Float32, Item


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """B records, column by column, as `Gallery.records` gives them and `Gallery.add` takes them.

    Attributes:
        items: B items without their overrides.
        vectors: (R, D) float32 by space, as they were added: a row for each of `Item.parts`, R = B without garments.
        sources: Source of each item.
        file_stamps: File stamp of each item; None where there is none.
        overrides: Overrides of each item; None as a value removes an attribute.
    """

    items: Sequence[Item]
    vectors: Mapping[str, Float32]
    sources: Sequence[str]
    file_stamps: Sequence[FileStamp | None]
    overrides: Sequence[Mapping[str, JSON]]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def current_items(self) -> list[Item]:
        """The items with their overrides applied."""
        return [overridden(item, changes) for item, changes in zip(self.items, self.overrides, strict=True)]

    @property
    def rows(self) -> list[range]:
        """Rows of the vectors that each item has."""
        ends = list(accumulate(len(item.parts) for item in self.items))
        return [range(start, end) for start, end in pairwise([0, *ends])]

    def take(self, places: Sequence[int]) -> RecordBatch:
        """Select records by position."""
        rows_of = self.rows
        taken = [row for place in places for row in rows_of[place]]
        return RecordBatch(
            [self.items[place] for place in places],
            {name: rows[taken] for name, rows in self.vectors.items()},
            [self.sources[place] for place in places],
            [self.file_stamps[place] for place in places],
            [self.overrides[place] for place in places],
        )


def overridden(item: Item, changes: Mapping[str, JSON]) -> Item:
    """Apply overrides to an item; None as a value removes an attribute."""
    if not changes:
        return item
    kept = {name: value for name, value in item.attributes.items() if name not in changes}
    return replace(item, attributes=kept | {name: value for name, value in changes.items() if value is not None})
