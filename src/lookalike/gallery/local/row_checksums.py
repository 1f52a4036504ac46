"""Checksums of the database's rows, each over all other columns of its row.

SQLite has no checksums of its own, so a bit that flips on the disk would appear in answers. The checksums are CRC-32:
they detect any burst of up to 32 changed bits in a row, and miss one in four thousand million larger changes. Those of
vectors are computed and checked in Python, which reads the vectors anyway; the others in SQL, in the statement that
reads or writes the row, by the function `crc32` that `equip` adds to each connection.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from lookalike.errors import GalleryDamagedError
from lookalike.index.row_format import RowFormat

WAY_OUT: Final = (
    "`lookalike gallery verify` lists all damage; restore the gallery from a backup, "
    "or move it away and index its catalogue again"
)


def damaged(what: str) -> GalleryDamagedError:
    """The error for data whose checksum is wrong.

    Args:
        what: The data, such as `the item 'a'`.
    """
    return GalleryDamagedError(f"{what} is damaged in the gallery's database: {WAY_OUT}")


def crc_of(*columns: str) -> str:
    """SQL expression for the checksum of columns, or of other expressions, that are numbers or text."""
    return f"crc32(CAST(printf('{'%Q ' * len(columns)}', {', '.join(columns)}) AS BLOB))"


def crc_of_any(key: str, value: str) -> str:
    """SQL expression for the checksum of a key and a value that may be bytes, which `printf` would truncate."""
    return f"crc32(CAST({key} || char(31) || typeof({value}) || char(31) || {value} AS BLOB))"


ITEM: Final = ("row", "id", "product", "photo", "root", "box", "attributes", "source", "size", "modified_ns", "sha256")
"""Columns of `items` without the checksum."""

ITEM_SUM: Final = crc_of(*ITEM)
ITEM_SOUND: Final = f"items.checksum IS {ITEM_SUM}"
"""SQL expression: 1 if the checksum of a row of `items` is right, else 0."""

META_SUM: Final = crc_of_any("key", "value")
NAME_SUM: Final = crc_of("number", "name", "kinds")
REMOVED_SUM: Final = crc_of("number", "row")
OVERRIDE_SUM: Final = crc_of("id", "described", "changes")
GARMENT_SUM: Final = crc_of("vector", "item", "garment")


def numbered(count: int) -> list[str]:
    """Numbered parameters of a statement: `?1`, `?2`, ..."""
    return [f"?{number}" for number in range(1, count + 1)]


def equip(connection: sqlite3.Connection) -> None:
    """Add the function `crc32` to a connection, and enable SQLite's check of cell sizes."""
    connection.create_function("crc32", 1, zlib.crc32, deterministic=True)
    connection.execute("PRAGMA cell_size_check = ON")


def vector_sum(row: int, unit: bytes, raw: bytes | None) -> int:
    """Checksum of a row of `vectors`, seeded with the row number so that vectors of another row do not fit."""
    return zlib.crc32(raw or b"", zlib.crc32(unit, row & 0xFFFFFFFF))


VectorRow: TypeAlias = tuple[int, bytes, bytes | None, int]
"""Row of `vectors`: row, unit, raw, checksum; all but the first are None for an item without vectors."""


def checked_vectors(rows: Sequence[VectorRow], row_format: RowFormat) -> Sequence[VectorRow]:
    """Check rows of `vectors`, and return them.

    Args:
        rows: Rows to check.
        row_format: Format of the unit vectors.

    Raises:
        GalleryDamagedError: A checksum or length is wrong.
    """
    unit_bytes, raw_bytes = row_format.row_bytes, 4 * row_format.width
    for row, unit, raw, checksum in rows:
        if (
            unit is None
            or checksum != vector_sum(row, unit, raw)
            or len(unit) != unit_bytes
            or (raw is not None and len(raw) != raw_bytes)
        ):
            raise damaged(f"the vector of row {row}")
    return rows


def write_item_checksums(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Write the checksums of changed items."""
    connection.execute(
        f"UPDATE items SET checksum = {ITEM_SUM} WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )


def check_items(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Check the checksums of items, before some of their columns change and the checksums are written again.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    found = connection.execute(
        f"SELECT id FROM items WHERE row IN (SELECT value FROM json_each(?)) AND NOT ({ITEM_SOUND})",
        (json.dumps(list(rows)),),
    ).fetchone()
    if found is not None:
        raise damaged(f"the item {found[0]!r}")
