"""The part of a gallery on Milvus that reads and changes metadata of items, and what was set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from lookalike.errors import UnknownNameError
from lookalike.gallery.filters.milvus import literal
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.milvus import facets as browsing
from lookalike.gallery.milvus.metadata import MetadataStore
from lookalike.gallery.milvus.reads import MilvusReader, check_unicode
from lookalike.gallery.milvus.record_reads import MilvusRecords
from lookalike.gallery.milvus.records import KNOWN, Record, kinds_of, to_record
from lookalike.gallery.milvus.writes import MilvusWriter, check_items, with_overrides
from lookalike.gallery.record_batch import PRODUCT, check_product
from lookalike.gallery.reviews import Review, key_of, read_review, review_text
from lookalike.gallery.stored_item import StoredItem
from lookalike.types import JSON, FileStamp, Item


class MilvusEditing(MilvusRecords):
    """Methods of `lookalike.gallery.milvus.gallery.MilvusGallery` for metadata, sources and overrides."""

    _reader: MilvusReader
    _writer: MilvusWriter
    _metadata_store: MetadataStore

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str = "",
        file_stamps: Sequence[FileStamp | None] | None = None,
        overrides: Overrides = None,
    ) -> None:
        """Replace the metadata of items, each as a whole; vectors stay. A large batch becomes durable in parts."""
        check_items(items, sources=[source] * len(items), file_stamps=file_stamps)
        self._state.check_open()
        known = self._state.metadata()
        kinds = kinds_of(with_overrides(items, overrides))
        if self._metadata_store.add_new(known, kinds, sources=[source or next(iter(known.sources), "")]):
            self._state.forget_metadata()
        if items and not self._state.has_rows():
            raise UnknownNameError("item", items[0].id, [])
        self._state.note_overrides(known, overrides)
        self._writer.update(items, source=source, file_stamps=file_stamps, known=known, overrides=overrides)

    def override(self, item_id: str, attributes: Mapping[str, JSON]) -> Item:
        """Set attributes of an item, or its product, by hand; these stay when its catalogue is indexed again.

        Raises:
            UnknownNameError: There is no such item.
            UsageError: A value cannot be stored as JSON, or a product is not a text.
        """
        stored = self._record(item_id, fresh=True).stored
        check_product(attributes.get(PRODUCT), item_id)
        check_items([replace(stored.described, attributes=attributes)], sources=[stored.source], file_stamps=None)
        return self._put_attributes(stored.with_attributes(attributes, known=self._state.metadata(fresh=True).kinds))

    def unset(self, item_id: str, names: Sequence[str] | None = None) -> Item:
        """Drop overrides of an item, so that it has the values of its catalogue again.

        Raises:
            UnknownNameError: There is no such item, or the gallery has no attribute of a name.
        """
        stored = self._record(item_id, fresh=True).stored
        return self._put_attributes(stored.without_overrides(names, known=self._state.metadata(fresh=True).kinds))

    def _put_attributes(self, stored: StoredItem) -> Item:
        """Write the attributes and overrides of an item; returns the item with these applied."""
        self.update([stored.described], overrides=[stored.overrides])
        return stored.item

    def reviews(self) -> Sequence[Review]:
        """What was decided of duplicates."""
        if not self._state.metadata(fresh=True).reviewed:
            return []
        return [read_review(text) for text in self._metadata_store.read_reviews().values()]

    def remember_reviews(self, reviews: Sequence[Review]) -> None:
        """Add what was decided of duplicates; reviews that are there already stay once."""
        if texts := {key_of(text): text for text in map(review_text, reviews)}:
            self._metadata_store.write_reviews(texts)
            self._state.forget_metadata()

    def stored_items(self, ids: Sequence[str]) -> dict[str, StoredItem]:
        """Items by id with their overrides, sources and file stamps, as they are now; unknown ids are left out."""
        if not self._state.has_rows():
            return {}
        return {row["id"]: to_record(row).stored for row in self._reader.by_id(ids, KNOWN, fresh=True)}

    def source_items(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items of a source without overrides, by id, with their file stamps."""
        if not self._state.has_rows():
            return {}
        batches = self._reader.ordered(f"_source == {literal(source)}", KNOWN, size=browsing.AT_ONCE)
        records = (to_record(row) for rows in batches for row in rows)
        return {record.item.id: (record.without_overrides, record.file_stamp) for record in records}

    def _record(self, item_id: str, *, fresh: bool = False) -> Record:
        check_unicode(item_id)
        if not self._state.has_rows():
            raise UnknownNameError("item", item_id, [])
        return self._reader.record(item_id, fresh=fresh)
