"""The table `garments`: which row of the vectors is which garment of which item.

An item that is embedded by its garments has as many rows of vectors, one after the other, the first with its own row
number. Its garments are written in the item itself; the table serves filters by kind, and the way from a row to its
item. The table, and with it another format, is made for the first such item: a gallery without garments has neither.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.row_checksums import GARMENT_SUM, crc_of, damaged, numbered
from lookalike.gallery.local.schema import FORMAT_WITH_GARMENTS, GARMENTS
from lookalike.types import Item

SOUND = f"garments.checksum IS {GARMENT_SUM}"


def exists(connection: sqlite3.Connection) -> bool:
    """Whether the gallery has the table."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return bool(version == FORMAT_WITH_GARMENTS)


def count(connection: sqlite3.Connection) -> int:
    """Number of garments."""
    return metadata_table.meta_number(connection, "garments") if exists(connection) else 0


def count_vectors(connection: sqlite3.Connection) -> int:
    """Number of rows of the vectors: of items, and of their further garments."""
    key = "vectors" if exists(connection) else "items"
    return metadata_table.meta_number(connection, key)


def make(connection: sqlite3.Connection) -> None:
    """Make the table if there is none, in a transaction."""
    if exists(connection):
        return
    for statement in GARMENTS:
        connection.execute(statement)
    metadata_table.put(connection, "vectors", metadata_table.count_items(connection))
    metadata_table.put(connection, "garments", 0)
    connection.execute(f"PRAGMA user_version = {FORMAT_WITH_GARMENTS}")


def add(connection: sqlite3.Connection, items: Iterable[Item], rows: Iterable[int]) -> None:
    """Add the garments of new items, whose row numbers are given."""
    records = [
        (row + number, row, garment.kind)
        for item, row in zip(items, rows, strict=True)
        for number, garment in enumerate(item.garments)
    ]
    connection.executemany(
        f"INSERT INTO garments VALUES ({', '.join(numbered(3))}, {crc_of(*numbered(3))})",
        records,
    )
    metadata_table.increase(connection, "garments", len(records))


def delete(connection: sqlite3.Connection, rows: Sequence[int]) -> list[int]:
    """Delete the garments of items, by the items' rows. Returns the rows of their further garments."""
    chosen = "item IN (SELECT value FROM json_each(?))"
    further = further_rows(connection, rows)
    gone = connection.execute(f"DELETE FROM garments WHERE {chosen}", (json.dumps(list(rows)),)).rowcount
    metadata_table.increase(connection, "garments", -gone)
    return further


def owners(connection: sqlite3.Connection, rows: Iterable[int]) -> dict[int, int]:
    """Rows of the items that further rows belong to, by row; rows of items, and unknown ones, are left out.

    Raises:
        GalleryDamagedError: A record's checksum is wrong.
    """
    if not exists(connection):
        return {}
    statement = f"""SELECT vector, item, {SOUND} FROM garments
                    WHERE vector IN (SELECT value FROM json_each(?)) AND vector != item"""
    found = connection.execute(statement, (json.dumps([int(row) for row in rows]),)).fetchall()
    wrong = next((row for row, _, sound in found if not sound), None)
    if wrong is not None:
        raise damaged(f"the garment of row {wrong}")
    return {row: item for row, item, _ in found}


def further_rows(connection: sqlite3.Connection, rows: Iterable[int]) -> list[int]:
    """Rows of the further garments of items, by the items' rows."""
    if not exists(connection):
        return []
    statement = "SELECT vector FROM garments WHERE item IN (SELECT value FROM json_each(?)) AND vector != item"
    return [row for (row,) in connection.execute(statement, (json.dumps(list(rows)),))]


def check(connection: sqlite3.Connection) -> None:
    """Check the checksums of all records.

    Raises:
        GalleryDamagedError: One is wrong.
    """
    wrong = connection.execute(f"SELECT vector FROM garments NOT INDEXED WHERE NOT coalesce({SOUND}, 0)").fetchone()
    if wrong is not None:
        raise damaged(f"the garment of row {wrong[0]}")
