"""Writes to a collection: adding, updating and removing items.

Rows are written under their ids, so writing one again replaces it: the same command completes what a broken connection
or a killed server has left undone, and no row is duplicated. A successful write is in Milvus's log and survives a kill
at any instant.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.local.writes import Overrides
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.metadata import Metadata
from lookalike.gallery.milvus.reads import MilvusReader, Row, now_us
from lookalike.gallery.milvus.records import KNOWN, LONGEST, Record, partition_of, raw_text, to_record, to_row
from lookalike.gallery.record_batch import PRODUCT, check_product
from lookalike.gallery.records import json_text, read_unit_vectors
from lookalike.gallery.storable_text import check_text
from lookalike.index import RowFormat
from lookalike.types import FileStamp, Item

AT_ONCE_BYTES: Final = 8 << 20
"""Bytes of rows in one request; Milvus accepts 64 MiB."""

ROW_LIMIT: Final = 1 << 62
"""Upper bound of row numbers."""


class MilvusWriter:
    """Writes rows; the caller checks spaces and metadata.

    Args:
        connection: Connection to the server.
        reader: Reader of the same gallery, which is told of writes.
    """

    def __init__(self, connection: Connection, reader: MilvusReader) -> None:
        self._connection = connection
        self._reader = reader
        self._last_us = 0

    def add(
        self,
        items: Sequence[Item],
        blobs: Sequence[tuple[bytes, bytes | None]],
        *,
        sources: Sequence[str],
        file_stamps: Sequence[FileStamp | None] | None,
        known: Metadata,
        overrides: Overrides = None,
    ) -> None:
        """Add checked items, or replace those of the same id.

        Args:
            items: B items.
            blobs: Unit and raw vectors of each item, from `vector_rows`.
            sources: Source of each item.
            file_stamps: File stamps of the photos.
            known: Metadata of the gallery, which tell whether there are overrides to keep.
            overrides: Overrides of each item, replacing earlier ones.
        """
        start = max(now_us(), self._last_us + 1)
        self._last_us = start + len(items)
        records = [
            Record(
                item,
                secrets.randbelow(ROW_LIMIT),
                start + place,
                sources[place],
                file_stamps[place] if file_stamps else None,
            )
            for place, item in enumerate(items)
        ]
        if overrides is not None:
            pairs = zip(records, overrides, strict=True)
            records = [record.with_changes(changes) if changes else record for record, changes in pairs]
        elif known.overridden:
            records = self._with_overrides(records)
        units = read_unit_vectors([unit for unit, _ in blobs], RowFormat.of(known.spaces))
        rows = [
            {**to_row(record), "vector": unit, "_raw": raw_text(raw)}
            for record, unit, (_, raw) in zip(records, units, blobs, strict=True)
        ]
        self.put(rows, known)

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str,
        file_stamps: Sequence[FileStamp | None] | None,
        known: Metadata,
        overrides: Overrides = None,
    ) -> None:
        """Replace the metadata of items; vectors stay.

        Raises:
            UnknownNameError: The gallery has no item of an id.
        """
        found = self._whole([item.id for item in items])
        rows = []
        for place, item in enumerate(items):
            if item.id not in found:
                raise self._reader.unknown(item.id)
            now = to_record(found[item.id])
            record = replace(
                now,
                item=item,
                source=source or now.source,
                file_stamp=file_stamps[place] if file_stamps else now.file_stamp,
                described=None,
                changes=None,
            )
            changes = now.changes if overrides is None else overrides[place] or None
            rows.append(changed(found[item.id], record if changes is None else record.with_changes(changes)))
        self.put(rows, known)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; returns the number removed."""
        there = [row["id"] for row in self._reader.by_id(list(dict.fromkeys(ids)), ["id"], fresh=True)]
        for at in range(0, len(there), 1000):
            with self._connection.client(doing="removing") as client:
                client.delete(
                    self._connection.collection,
                    ids=there[at : at + 1000],
                )
            self._reader.removed = True
        return len(there)

    def _with_overrides(self, records: list[Record]) -> list[Record]:
        """Apply the stored overrides of the same ids to records."""
        found = self._reader.by_id([record.item.id for record in records], KNOWN, fresh=True)
        changes = {row["id"]: to_record(row).changes for row in found if row["_edited"]}
        return [
            record.with_changes(kept) if (kept := changes.get(record.item.id)) is not None else record
            for record in records
        ]

    def _whole(self, ids: Sequence[str]) -> dict[str, Row]:
        fields = [*KNOWN, "_raw", "vector"]
        return {row["id"]: row for row in self._reader.by_id(ids, fields, fresh=True)}

    def put(self, unplaced: Sequence[Row], known: Metadata) -> None:
        """Write whole rows in requests of `AT_ONCE_BYTES`; a large batch becomes durable in parts."""
        rows = [row | partition_of(row, known.partition_by) for row in unplaced]
        at = 0
        while at < len(rows):
            size, end = 0, at
            while end < len(rows) and (end == at or size < AT_ONCE_BYTES):
                size += 4 * len(rows[end]["vector"]) + 3 * len(rows[end]["_item"]) + len(rows[end]["_raw"])
                end += 1
            with self._connection.client(doing="writing") as client:
                client.upsert(self._connection.collection, rows[at:end])
            self._reader.wrote = True
            at = end


def changed(row: Row, record: Record) -> Row:
    """Replace the record of a row; vectors stay."""
    return {**to_row(record), "vector": np.array(row["vector"], dtype=np.float32), "_raw": row["_raw"]}


def check_items(
    items: Sequence[Item], *, sources: Sequence[str], file_stamps: Sequence[FileStamp | None] | None
) -> None:
    """Check items before any is written.

    Raises:
        UsageError: An id occurs twice, a text is not Unicode or too long, an attribute cannot be stored as JSON, or an
            item is embedded by its garments.
    """
    if any(item.finder is not None for item in items):
        raise UsageError("a gallery on Milvus keeps no garments; keep items that have some in a gallery in a folder")
    if len({item.id for item in items}) != len(items):
        [(twice, _)] = Counter(item.id for item in items).most_common(1)
        raise UsageError(f"the id {twice!r} comes twice")
    if file_stamps is not None and len(file_stamps) != len(items):
        raise UsageError(f"{len(items)} items came with {len(file_stamps)} file stamps")
    if len(sources) != len(items):
        raise UsageError(f"{len(items)} items came with {len(sources)} sources")
    for item, source in zip(items, sources, strict=True):
        json_text(item.attributes, item.id)
        check_text(item)
        to_row(Record(item, 0, 0, source))
    if max((len(source.encode()) for source in set(sources)), default=0) > LONGEST:
        raise UsageError(f"the name of the source is longer than {LONGEST:,} bytes")


def with_overrides(items: Sequence[Item], overrides: Overrides) -> list[Item]:
    """Items, followed by copies of them that have only their overrides as attributes.

    Raises:
        UsageError: A product is neither a text nor None.
    """
    changed = []
    for item, changes in zip(items, overrides or (), strict=False):
        check_product(changes.get(PRODUCT), item.id)
        attributes = {name: value for name, value in changes.items() if name != PRODUCT}
        changed.append(replace(item, attributes=attributes))
    return [*items, *changed]
