"""Reads of whole records from the database, batch by batch: items with their vectors, sources and overrides."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence

from lookalike.gallery.local import overrides_table
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.reads import raw_vectors
from lookalike.gallery.local.row_checksums import VectorRow, damaged
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.records import (
    FILE_STAMP_COLUMNS,
    ITEM_COLUMNS,
    AttributeNames,
    read_file_stamp,
    read_item,
    read_parts,
)
from lookalike.spaces import Space, slices
from lookalike.storage.json_texts import json_texts
from lookalike.types import Content, Float32, Item


def batches(
    connection: sqlite3.Connection, names: AttributeNames, *, spaces: Sequence[Space], size: int
) -> Iterator[tuple[list[Item], Float32]]:
    """Iterate over all items and their raw vectors, of their first garments if they have some, in the order of rows.

    Args:
        connection: Connection in a transaction until the iteration ends.
        names: Names of attributes.
        spaces: Spaces of the gallery.
        size: Batch size.

    Yields:
        B items, and (B, sum of D) float32.
    """
    cursor = connection.execute(
        f"""SELECT {ITEM_COLUMNS}, row, unit, raw, vectors.checksum
            FROM items LEFT JOIN vectors USING (row) ORDER BY row"""
    )
    count = 0
    while rows := cursor.fetchmany(size):
        yield [read_item(row[:-4], names) for row in rows], raw_vectors([row[-4:] for row in rows], spaces=spaces)
        count += len(rows)
    if count != meta_number(connection, "items"):
        raise damaged("the table of items")


def record_batches(
    connection: sqlite3.Connection,
    names: AttributeNames,
    *,
    spaces: Sequence[Space],
    size: int,
    ids: Sequence[str] | None = None,
) -> Iterator[RecordBatch]:
    """Iterate over all records, or those of some ids, in the order of their rows.

    Args:
        connection: Connection in a transaction until the iteration ends.
        names: Names of attributes.
        spaces: Spaces of the gallery.
        size: Batch size.
        ids: Ids; None is all.
    """
    overrides = overrides_table.read_all(connection, ids)
    places = slices(spaces)
    chosen = "" if ids is None else "WHERE id IN (SELECT value FROM json_each(?))"
    cursor = connection.execute(
        f"""SELECT {ITEM_COLUMNS}, source, {FILE_STAMP_COLUMNS}, row, unit, raw, vectors.checksum
            FROM items LEFT JOIN vectors USING (row) {chosen} ORDER BY row""",
        () if ids is None else (json_texts(ids, ensure_ascii=True),),
    )
    count = 0
    while rows := cursor.fetchmany(size):
        kept = [overrides.get(row[1], (row[6], "{}")) for row in rows]
        items = [
            read_item(overrides_table.as_described(row[:7], described), names)
            for row, (described, _) in zip(rows, kept, strict=True)
        ]
        vectors = raw_vectors([*with_further(connection, [row[-4:] for row in rows], items)], spaces=spaces)
        yield RecordBatch(
            items,
            {name: vectors[:, place] for name, place in places.items()},
            [row[7] for row in rows],
            [read_file_stamp(row[8:11]) for row in rows],
            [overrides_table.decoded(changes, names) for _, changes in kept],
        )
        count += len(rows)
    if ids is None and count != meta_number(connection, "items"):
        raise damaged("the table of items")


def with_further(
    connection: sqlite3.Connection, first: Sequence[VectorRow], items: Sequence[Item]
) -> Iterator[VectorRow]:
    """Rows of the vectors of items: of each its own, and those of its further garments, which follow it.

    Raises:
        GalleryDamagedError: One of them is missing.
    """
    wanted = [range(row + 1, row + len(item.parts)) for (row, *_), item in zip(first, items, strict=True)]
    numbers = [number for further in wanted for number in further]
    statement = "SELECT row, unit, raw, checksum FROM vectors WHERE row IN (SELECT value FROM json_each(?))"
    found = connection.execute(statement, (json.dumps(numbers),)) if numbers else ()
    by_row: dict[int, VectorRow] = {record[0]: record for record in found}
    lost = next((number for number in numbers if number not in by_row), None)
    if lost is not None:
        raise damaged(f"the vector of row {lost}")
    for own, further in zip(first, wanted, strict=True):
        yield own
        yield from (by_row[number] for number in further)


def contents(
    connection: sqlite3.Connection, *, without_source: str | None, size: int
) -> Iterator[list[tuple[str, Content]]]:
    """Iterate over the contents of items whose file stamps are known, by id, in batches.

    Checksums of items are not checked: who goes on with an id reads its record.

    Args:
        connection: Connection in a transaction until the iteration ends.
        without_source: Source whose items are left out; None leaves out none.
        size: Batch size.
    """
    statement = "SELECT id, sha256, box FROM items WHERE sha256 IS NOT NULL AND source IS NOT ?"
    cursor = connection.execute(statement, (without_source,))
    while rows := cursor.fetchmany(size):
        parts = [(item_id, sha256, read_parts(text)) for item_id, sha256, text in rows]
        yield [(item_id, Content(sha256, box, finder)) for item_id, sha256, (box, _, finder) in parts]
