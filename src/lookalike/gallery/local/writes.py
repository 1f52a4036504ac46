"""Writes of items and vectors, within one transaction of the caller."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import TypeAlias

from lookalike.errors import UsageError
from lookalike.gallery.local import garments_table, overrides_table
from lookalike.gallery.local.metadata_table import (
    increase,
    last_number,
    note_altered,
    put,
    read_spaces,
    write_last_number,
    write_spaces,
)
from lookalike.gallery.local.reads import items_by_row, rows_of_ids, unknown_item
from lookalike.gallery.local.row_checksums import ITEM, check_items, crc_of, numbered, vector_sum, write_item_checksums
from lookalike.gallery.local.stored_items import stored_item
from lookalike.gallery.record_batch import PRODUCT, check_product
from lookalike.gallery.records import AttributeNames, file_stamp_row, item_row, vector_rows
from lookalike.gallery.storable_text import check_text
from lookalike.gallery.stored_item import StoredItem
from lookalike.spaces import Space, agree_on_spaces, with_one_dtype
from lookalike.types import JSON, FileStamp, Float32, Item

Overrides: TypeAlias = Sequence[Mapping[str, JSON]] | None
"""Overrides for each of some items, replacing earlier ones; None keeps these."""


def add(
    connection: sqlite3.Connection,
    items: Sequence[Item],
    vectors: Mapping[str, Float32],
    *,
    spaces: Sequence[Space],
    source: str | Sequence[str],
    file_stamps: Sequence[FileStamp | None] | None,
    overrides: Overrides = None,
) -> None:
    """Add items, or replace those of the same id; see `Gallery.add`."""
    known = read_spaces(connection)
    agree_on_spaces(known, spaces)
    if not known:
        known = with_one_dtype(spaces)
        write_spaces(connection, known)
    records = item_records(connection, items, source=source, file_stamps=file_stamps)
    if any(item.finder is not None for item in items):
        garments_table.make(connection)
    counts = [len(item.parts) for item in items]
    blobs = vector_rows(vectors, known, count=sum(counts))
    ids = [item.id for item in items]
    delete_rows(connection, ids)
    first = last_number(connection, "items") + 1
    numbers = range(first, first + len(blobs))
    item_rows = list(accumulate(counts[:-1], initial=first)) if items else []
    connection.executemany(
        f"INSERT INTO items ({', '.join(ITEM)}, checksum) VALUES ({', '.join(numbered(11))}, {crc_of(*numbered(11))})",
        [(row, *record) for row, record in zip(item_rows, records, strict=True)],
    )
    connection.executemany(
        "INSERT INTO vectors (row, unit, raw, checksum) VALUES (?, ?, ?, ?)",
        [(row, unit, raw, vector_sum(row, unit, raw)) for row, (unit, raw) in zip(numbers, blobs, strict=True)],
    )
    apply_overrides(connection, items, overrides)
    increase(connection, "items", len(items))
    if garments_table.exists(connection):
        garments_table.add(connection, items, item_rows)
        increase(connection, "vectors", len(blobs))
    write_last_number(connection, "items", first + len(blobs) - 1)
    if any(raw is not None for _, raw in blobs):
        put(connection, "raw", 1)


def update(
    connection: sqlite3.Connection,
    items: Sequence[Item],
    *,
    source: str,
    file_stamps: Sequence[FileStamp | None] | None,
    overrides: Overrides = None,
) -> None:
    """Replace the metadata of items; vectors and garments stay. See `Gallery.update`."""
    rows = rows_of_ids(connection, [item.id for item in items])
    for item in items:
        if item.id not in rows:
            raise unknown_item(connection, item.id)
    check_items(connection, rows.values())
    if garments_table.exists(connection):
        items = with_present_garments(connection, items, rows)
    records = item_records(connection, items, source=source, file_stamps=file_stamps)
    connection.executemany(
        "UPDATE items SET id = ?, product = ?, photo = ?, root = ?, box = ?, attributes = ? WHERE row = ?",
        [(*record[:6], rows[item.id]) for item, record in zip(items, records, strict=True)],
    )
    apply_overrides(connection, items, overrides)
    if source:
        connection.executemany("UPDATE items SET source = ? WHERE row = ?", [(source, row) for row in rows.values()])
    if file_stamps is not None:
        connection.executemany(
            "UPDATE items SET size = ?, modified_ns = ?, sha256 = ? WHERE row = ?",
            [(*record[7:], rows[item.id]) for item, record in zip(items, records, strict=True)],
        )
    write_item_checksums(connection, rows.values())
    note_altered(connection, rows.values())


def with_present_garments(connection: sqlite3.Connection, items: Sequence[Item], rows: Mapping[str, int]) -> list[Item]:
    """Items with the garments that those of the same rows have."""
    known = items_by_row(connection, AttributeNames.read(connection), [*rows.values()])
    present = [known[rows[item.id]] for item in items]
    return [replace(item, garments=old.garments, finder=old.finder) for item, old in zip(items, present, strict=True)]


def override_item(connection: sqlite3.Connection, item_id: str, changes: Mapping[str, JSON]) -> Item:
    """Set attributes of an item by hand; see `LocalGallery.override`."""
    names = AttributeNames.read(connection)
    stored = stored_item(connection, names, item_id)
    check_changes(stored.described, changes)
    return put_attributes(connection, stored.with_attributes(changes, known=names.kinds))


def unset_item(connection: sqlite3.Connection, item_id: str, dropped: Sequence[str] | None) -> Item:
    """Drop overrides of an item; see `LocalGallery.unset`."""
    names = AttributeNames.read(connection)
    stored = stored_item(connection, names, item_id)
    return put_attributes(connection, stored.without_overrides(dropped, known=names.kinds))


def put_attributes(connection: sqlite3.Connection, stored: StoredItem) -> Item:
    """Write the attributes and overrides of an item; returns the item with these applied."""
    update(connection, [stored.described], source="", file_stamps=None, overrides=[stored.overrides])
    return stored.item


def check_changes(item: Item, changes: Mapping[str, JSON]) -> None:
    """Check overrides.

    Raises:
        UsageError: A value cannot be stored as JSON, or is not Unicode, or a product is not a text.
    """
    check_product(changes.get(PRODUCT), item.id)
    changed = replace(item, attributes=dict(changes))
    AttributeNames([]).encode(changed)
    check_text(changed)


def apply_overrides(connection: sqlite3.Connection, items: Sequence[Item], overrides: Overrides) -> None:
    """Replace the overrides of items that were just written, or apply the stored ones to them."""
    if overrides is None:
        overrides_table.reapply(connection, [item.id for item in items])
        return
    for item, changes in zip(items, overrides, strict=True):
        check_changes(item, changes)
    overrides_table.put(connection, items, overrides)


def remove(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Remove items and their overrides; unknown ids are ignored. Returns the number removed."""
    overrides_table.delete(connection, ids)
    return delete_rows(connection, ids)


def delete_rows(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Delete the rows of items, and of their garments, and record them in `removed`. Returns the number of items."""
    of_items = list(rows_of_ids(connection, ids).values())
    connection.executemany("DELETE FROM items WHERE row = ?", [(row,) for row in of_items])
    rows = [(row,) for row in of_items]
    if garments_table.exists(connection):
        rows += [(row,) for row in garments_table.delete(connection, of_items)]
        increase(connection, "vectors", -len(rows))
    connection.executemany("DELETE FROM vectors WHERE row = ?", rows)
    last = last_number(connection, "removed")
    connection.executemany(
        f"INSERT INTO removed (number, row, checksum) VALUES (?1, ?2, {crc_of(*numbered(2))})",
        [(number, row) for number, (row,) in enumerate(rows, start=last + 1)],
    )
    write_last_number(connection, "removed", last + len(rows))
    increase(connection, "items", -len(of_items))
    return len(of_items)


def item_records(
    connection: sqlite3.Connection,
    items: Sequence[Item],
    *,
    source: str | Sequence[str],
    file_stamps: Sequence[FileStamp | None] | None,
) -> list[tuple[str | int | None, ...]]:
    """Rows of the table `items`, without their numbers; new attributes are numbered.

    Raises:
        UsageError: An id occurs twice, a text is not Unicode, an attribute cannot be stored as JSON, or an item has
            garments without a finder.
    """
    if len({item.id for item in items}) != len(items):
        [(twice, _)] = Counter(item.id for item in items).most_common(1)
        raise UsageError(f"the id {twice!r} comes twice")
    nowhere = next((item.id for item in items if item.garments and item.finder is None), None)
    if nowhere is not None:
        raise UsageError(f"the item {nowhere!r} has garments, and no finder that found them")
    sources = [source] * len(items) if isinstance(source, str) else source
    if len(sources) != len(items):
        raise UsageError(f"{len(items)} items came with {len(sources)} sources")
    if file_stamps is not None and len(file_stamps) != len(items):
        raise UsageError(f"{len(items)} items came with {len(file_stamps)} file stamps")
    names = AttributeNames.read(connection)
    records = [
        (*item_row(item, names), sources[at], *file_stamp_row(file_stamps[at] if file_stamps else None))
        for at, item in enumerate(items)
    ]
    texts = "".join(text for record in records for text in record if isinstance(text, str))
    try:
        texts.encode()
        names.save(connection)
        is_plain = "\0" not in texts and "\\u0000" not in texts
    except UnicodeEncodeError:
        is_plain = False
    if not is_plain or any("\0" in name for name in names.kinds):
        for item in items:
            check_text(item)
    return records
