"""Interface of galleries for what is set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lookalike.errors import UnknownNameError
from lookalike.gallery.reviews import Review
from lookalike.gallery.stored_item import StoredItem
from lookalike.types import JSON, Item


class GalleryEditing(Protocol):
    """Methods for overrides."""

    def stored_items(self, ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id with their overrides, sources and file stamps, as they are now; unknown ids are left out."""
        ...

    def override(self, item_id: str, attributes: Mapping[str, JSON]) -> Item:
        """Set attributes of an item, or its product, by hand; these stay when its catalogue is indexed again.

        An item whose photo was uploaded has no catalogue: its own values are changed.

        Args:
            item_id: Id of the item.
            attributes: Values by name, that of `product` is the product; None removes one.

        Returns:
            The item with its overrides.

        Raises:
            UnknownNameError: There is no such item.
            UsageError: A value cannot be stored as JSON, or a product is not a text.
        """
        ...

    def unset(self, item_id: str, names: Sequence[str] | None = None) -> Item:
        """Drop overrides of an item, so that it has the values of its catalogue again.

        Args:
            item_id: Id of the item.
            names: Attributes, and `product`; None is all that are set by hand.

        Returns:
            The item without these overrides.

        Raises:
            UnknownNameError: There is no such item, or the gallery has no attribute of a name.
        """
        ...

    def reviews(self) -> Sequence[Review]:
        """What was decided of duplicates."""
        ...

    def remember_reviews(self, reviews: Sequence[Review]) -> None:
        """Add what was decided of duplicates; reviews that are there already stay once."""
        ...


class StoredItems(Protocol):
    """Methods of a gallery that `stored_item` calls."""

    def get(self, item_id: str) -> Item:
        """Read one item."""
        ...

    def stored_items(self, ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id with their overrides."""
        ...


def stored_item(gallery: StoredItems, item_id: str) -> StoredItem:
    """One item with its overrides.

    Raises:
        UnknownNameError: There is no such item.
    """
    found = gallery.stored_items([item_id]).get(item_id)
    if found is None:
        gallery.get(item_id)  # whose error names similar ids
        raise UnknownNameError("item", item_id, [])
    return found
