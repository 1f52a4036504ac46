"""The part of a gallery in a folder that reads and changes what was set by hand or decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lookalike.gallery.local import metadata_table, stored_items, writes
from lookalike.gallery.local.metadata import LocalMetadata
from lookalike.gallery.records import AttributeNames
from lookalike.gallery.reviews import KEY, Review, key_of, read_review, review_text
from lookalike.gallery.stored_item import StoredItem
from lookalike.types import JSON, FileStamp, Item


class LocalEditing(LocalMetadata):
    """Methods of `lookalike.gallery.local.gallery.LocalGallery` for sources and overrides."""

    def source_items(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items of a source without overrides, by id, with their file stamps."""
        with self._database.scanning() as reader:
            return stored_items.source_items(reader.connection, AttributeNames.read(reader.connection), source)

    def stored_items(self, ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id with their overrides, sources and file stamps; unknown ids are left out."""
        with self._database.reading() as connection:
            return stored_items.stored_items(connection, AttributeNames.read(connection), ids)

    def override(self, item_id: str, attributes: Mapping[str, JSON]) -> Item:
        """Set attributes of an item, or its product, by hand; these stay when its catalogue is indexed again.

        Raises:
            UnknownNameError: There is no such item.
            UsageError: A value cannot be stored as JSON, or a product is not a text.
        """
        with self._database.writing() as connection:
            return writes.override_item(connection, item_id, attributes)

    def unset(self, item_id: str, names: Sequence[str] | None = None) -> Item:
        """Drop overrides of an item, so that it has the values of its catalogue again.

        Raises:
            UnknownNameError: There is no such item, or the gallery has no attribute of a name.
        """
        with self._database.writing() as connection:
            return writes.unset_item(connection, item_id, names)

    def reviews(self) -> Sequence[Review]:
        """What was decided of duplicates."""
        with self._database.reading() as connection:
            return [read_review(text) for text in metadata_table.values(connection, KEY).values()]

    def remember_reviews(self, reviews: Sequence[Review]) -> None:
        """Add what was decided of duplicates; reviews that are there already stay once."""
        texts = {key_of(text): text for text in map(review_text, reviews)}
        with self._database.reading() as connection:
            new = texts.keys() - metadata_table.values(connection, KEY).keys()
        if new:
            with self._database.writing() as connection:
                for key in sorted(new):
                    metadata_table.put(connection, key, texts[key])
