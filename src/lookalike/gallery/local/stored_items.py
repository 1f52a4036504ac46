"""Reads of items with what was set by hand, their sources and file stamps."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from lookalike.gallery.local import overrides_table
from lookalike.gallery.local.reads import unknown_item
from lookalike.gallery.records import FILE_STAMP_COLUMNS, ITEM_COLUMNS, AttributeNames, read_file_stamp, read_item
from lookalike.gallery.stored_item import StoredItem
from lookalike.storage.json_texts import json_texts
from lookalike.types import FileStamp, Item


def source_items(
    connection: sqlite3.Connection, names: AttributeNames, source: str
) -> dict[str, tuple[Item, FileStamp | None]]:
    """Items of a source without overrides, by id, with their file stamps."""
    described = overrides_table.described(connection)
    rows = connection.execute(f"SELECT {ITEM_COLUMNS}, {FILE_STAMP_COLUMNS} FROM items WHERE source = ?", (source,))
    found = {}
    for *item, size, modified_ns, sha256 in rows:
        row = overrides_table.as_described(item, described[item[1]]) if item[1] in described else item
        found[item[1]] = read_item(row, names), read_file_stamp((size, modified_ns, sha256))
    return found


def stored_items(connection: sqlite3.Connection, names: AttributeNames, ids: Sequence[str]) -> dict[str, StoredItem]:
    """Items by id with their overrides, sources and file stamps; unknown ids are left out."""
    overrides = overrides_table.read_all(connection, ids)
    found = connection.execute(
        f"""SELECT {ITEM_COLUMNS}, source, {FILE_STAMP_COLUMNS} FROM items
            WHERE id IN (SELECT value FROM json_each(?))""",
        (json_texts(ids),),
    )
    stored = {}
    for *item, source, size, modified_ns, sha256 in found:
        described, changes = overrides.get(item[1], (None, "{}"))
        stored[item[1]] = StoredItem(
            read_item(item if described is None else overrides_table.as_described(item, described), names),
            overrides_table.decoded(changes, names),
            source,
            read_file_stamp((size, modified_ns, sha256)),
        )
    return stored


def stored_item(connection: sqlite3.Connection, names: AttributeNames, item_id: str) -> StoredItem:
    """One item with its overrides, source and file stamp.

    Raises:
        UnknownNameError: There is no such item.
    """
    found = stored_items(connection, names, [item_id])
    if item_id not in found:
        raise unknown_item(connection, item_id)
    return found[item_id]
