"""Adding, describing and removing items of a collection.

Every row is written under its id, so writing it again replaces it: what a broken connection or a killed server left
undone is done by the same command, and nothing is there twice. An answer to a writer means that Milvus has the rows in
its log; they survive a kill at any instant.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from lookalike.errors import MismatchError, UsageError
from lookalike.gallery.local.writes import Overrides, is_unicode
from lookalike.gallery.milvus.connection import Connection
from lookalike.gallery.milvus.metadata import Metadata
from lookalike.gallery.milvus.reads import MilvusReader, Row, now_us
from lookalike.gallery.milvus.records import KNOWN, LONGEST, Record, partition_of, raw_text, to_record, to_row
from lookalike.gallery.records import json_text
from lookalike.spaces import Space, format_spaces
from lookalike.types import FileStamp, Item

AT_ONCE_BYTES: Final = 8 << 20
"""Of rows in one request; Milvus takes 64 MiB."""

NEVER: Final = 1 << 62
"""Row numbers are below that."""


class MilvusWriter:
    """Writes rows; the caller has checked spaces and metadata.

    Args:
        connection: To the server.
        reader: Of the same gallery; it sees from now on what was written here.
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
        """Add items, or replace those of the same id; they have been checked.

        Args:
            items: B items.
            blobs: Their unit rows, and the rows as they came where these are others, as `vector_rows` makes them.
            sources: Source of each item.
            file_stamps: Size and time of their photos' files.
            known: What the gallery remembers: whether something was ever set by hand and may have to stay on top.
            overrides: What is set by hand on each, in place of that.
        """
        start = max(now_us(), self._last_us + 1)
        self._last_us = start + len(items)
        records = [
            Record(
                item,
                secrets.randbelow(NEVER),
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
        rows = [
            {**to_row(record), "vector": np.frombuffer(unit, dtype="<f4"), "_raw": raw_text(raw)}
            for record, (unit, raw) in zip(records, blobs, strict=True)
        ]
        self._upsert(rows, known)

    def update(
        self,
        items: Sequence[Item],
        *,
        source: str,
        file_stamps: Sequence[FileStamp | None] | None,
        known: Metadata,
        overrides: Overrides = None,
    ) -> None:
        """Replace what is known of items whose vectors stay.

        Raises:
            UnknownNameError: An id is not there.
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
        self._upsert(rows, known)

    def put(self, record: Record, *, known: Metadata) -> None:
        """Replace what is known of one item that is there."""
        self._upsert([changed(self._whole([record.item.id])[record.item.id], record)], known)

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; returns how many were there."""
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
        """Records with what was set by hand on the items of the same ids on top."""
        found = self._reader.by_id([record.item.id for record in records], KNOWN, fresh=True)
        changes = {row["id"]: to_record(row).changes for row in found if row["_edited"]}
        return [
            record.with_changes(kept) if (kept := changes.get(record.item.id)) is not None else record
            for record in records
        ]

    def _whole(self, ids: Sequence[str]) -> dict[str, Row]:
        fields = [*KNOWN, "_raw", "vector"]
        return {row["id"]: row for row in self._reader.by_id(ids, fields, fresh=True)}

    def _upsert(self, unplaced: Sequence[Row], known: Metadata) -> None:
        """Write rows, as many at once as fit; a large batch is durable part by part."""
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
    """A row with another record and the same vectors."""
    return {**to_row(record), "vector": np.array(row["vector"], dtype=np.float32), "_raw": row["_raw"]}


def check_items(
    items: Sequence[Item], *, sources: Sequence[str], file_stamps: Sequence[FileStamp | None] | None
) -> None:
    """Refuse what cannot be written, before any of it is.

    Raises:
        UsageError: An id comes twice, a text is not Unicode or too long, an attribute is nothing that JSON can say.
    """
    if len({item.id for item in items}) != len(items):
        [(twice, _)] = Counter(item.id for item in items).most_common(1)
        raise UsageError(f"the id {twice!r} comes twice")
    if file_stamps is not None and len(file_stamps) != len(items):
        raise UsageError(f"{len(items)} items came with {len(file_stamps)} stamps")
    if len(sources) != len(items):
        raise UsageError(f"{len(items)} items came with {len(sources)} sources")
    for item, source in zip(items, sources, strict=True):
        json_text(item.attributes, item.id)
        if not is_unicode(item):
            raise UsageError(f"the item {item.id!r} has text that is not Unicode")
        to_row(Record(item, 0, 0, source))
    if max((len(source.encode()) for source in set(sources)), default=0) > LONGEST:
        raise UsageError(f"the name of the source is longer than {LONGEST:,} bytes")


def with_overrides(items: Sequence[Item], overrides: Overrides) -> list[Item]:
    """Items, followed by those whose attributes are what is set on them by hand."""
    changed = [replace(item, attributes=changes) for item, changes in zip(items, overrides or (), strict=False)]
    return [*items, *changed]


def agree(known: Sequence[Space], spaces: Sequence[Space]) -> None:
    """Refuse spaces that are not the gallery's, or that no gallery can have.

    Raises:
        MismatchError: The gallery has others.
        UsageError: There are none, or two of one name.
    """
    if known and tuple(known) != tuple(spaces):
        raise MismatchError(
            f"the gallery has the spaces {format_spaces(known)}, and these vectors are of {format_spaces(spaces)}"
        )
    if not spaces or len({space.name for space in spaces}) != len(spaces):
        raise UsageError(f"a gallery needs spaces with distinct names, got {format_spaces(spaces)}")
