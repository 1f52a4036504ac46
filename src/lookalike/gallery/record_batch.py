"""Batches of records: items with their vectors, sources, file stamps and overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final

from lookalike.errors import UsageError
from lookalike.types import JSON, FileStamp, Float32, Item

PRODUCT: Final = "product"
"""Name of the product among overrides; no attribute that is set by hand has this name."""


@dataclass(frozen=True, slots=True)
class RecordBatch:
    """B records, column by column, as `Gallery.records` gives them and `Gallery.add` takes them.

    Attributes:
        items: B items without their overrides.
        vectors: (R, D) float32 by space, as they were added: a row for each of `Item.parts`, R = B without garments.
        sources: Source of each item.
        file_stamps: File stamp of each item; None where there is none.
        overrides: Overrides of each item; None as a value removes an attribute, or the product.
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
    """Apply overrides to an item; None as a value removes an attribute, or the product."""
    if not changes:
        return item
    over = dict(changes)
    product = over.pop(PRODUCT, item.product)
    assert product is None or isinstance(product, str)
    kept = {name: value for name, value in item.attributes.items() if name not in over}
    given = {name: value for name, value in over.items() if value is not None}
    return replace(item, product=product, attributes=kept | given)


def check_product(value: object, item_id: str) -> None:
    """Check a product that is set by hand.

    Raises:
        UsageError: It is neither a text nor None.
    """
    if value is not None and not (isinstance(value, str) and value):
        raise UsageError(f"the product of {item_id!r}: expected a text, or null for none, got {value!r:.200}")
