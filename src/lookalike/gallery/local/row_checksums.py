"""The checksum that each row of the database carries, over all of its other columns.

SQLite keeps none over what it stores, so a bit that changed on the disk would be answered with. The checksums are
CRC-32: any change of up to 32 bits in a row is found, and of larger ones all but one in four thousand million. Those of
vectors are made and checked in Python, where the vectors go through anyway; the others in SQL, in the statement that
reads or writes the row, by the function `crc32` that every connection is given.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from lookalike.errors import GalleryDamagedError

WAY_OUT: Final = (
    "`lookalike gallery verify` lists all that is damaged; bring the gallery back from a backup, "
    "or move it away and index its catalogue again"
)


def damaged(what: str) -> GalleryDamagedError:
    """The error for something in the database that is not as it was written.

    Args:
        what: It, such as `the item 'a'`.
    """
    return GalleryDamagedError(f"{what} is damaged in the gallery's database: {WAY_OUT}")


def crc_of(*columns: str) -> str:
    """The SQL that computes the checksum of columns of numbers and text, or of other such expressions."""
    return f"crc32(CAST(printf('{'%Q ' * len(columns)}', {', '.join(columns)}) AS BLOB))"


def crc_of_any(key: str, value: str) -> str:
    """The SQL that computes the checksum of a key and a value that may be bytes, of which `printf` sees only a part."""
    return f"crc32(CAST({key} || char(31) || typeof({value}) || char(31) || {value} AS BLOB))"


ITEM: Final = ("row", "id", "product", "photo", "root", "box", "attributes", "source", "size", "modified_ns", "sha256")
"""The columns of `items`, less the checksum."""

ITEM_SUM: Final = crc_of(*ITEM)
ITEM_SOUND: Final = f"items.checksum IS {ITEM_SUM}"
"""Whether a row of `items` is as it was written: 1 or 0."""

META_SUM: Final = crc_of_any("key", "value")
NAME_SUM: Final = crc_of("number", "name", "kinds")
REMOVED_SUM: Final = crc_of("number", "row")
OVERRIDE_SUM: Final = crc_of("id", "described", "changes")


def numbered(count: int) -> list[str]:
    """Names of a statement's parameters, `?1` first."""
    return [f"?{number}" for number in range(1, count + 1)]


def equip(connection: sqlite3.Connection) -> None:
    """Give a connection what checksums need, and have it refuse pages whose cells reach out of them."""
    connection.create_function("crc32", 1, zlib.crc32, deterministic=True)
    connection.execute("PRAGMA cell_size_check = ON")


def vector_sum(row: int, unit: bytes, raw: bytes | None) -> int:
    """The checksum of a row of `vectors`; that of its number begins it, so that no other row's vectors fit."""
    return zlib.crc32(raw or b"", zlib.crc32(unit, row & 0xFFFFFFFF))


VectorRow: TypeAlias = tuple[int, bytes, bytes | None, int]
"""A row of `vectors`: row, unit, raw, checksum; nothing but the first where there is an item without vectors."""


def checked_vectors(rows: Sequence[VectorRow], *, width: int) -> Sequence[VectorRow]:
    """Rows of `vectors`, if they are as they were written.

    Args:
        rows: Some.
        width: How many numbers each has.

    Raises:
        GalleryDamagedError: One is not.
    """
    size = 4 * width
    for row, unit, raw, checksum in rows:
        if unit is None or checksum != vector_sum(row, unit, raw) or {len(unit), len(raw or unit)} != {size}:
            raise damaged(f"the vector of row {row}")
    return rows


def write_item_checksums(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Write the checksums of items that have just been changed."""
    connection.execute(
        f"UPDATE items SET checksum = {ITEM_SUM} WHERE row IN (SELECT value FROM json_each(?))",
        (json.dumps(list(rows)),),
    )


def check_items(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Make sure that items are as they were written, before a part of them is changed and the checksum written again.

    Raises:
        GalleryDamagedError: One is not.
    """
    found = connection.execute(
        f"SELECT id FROM items WHERE row IN (SELECT value FROM json_each(?)) AND NOT ({ITEM_SOUND})",
        (json.dumps(list(rows)),),
    ).fetchone()
    if found is not None:
        raise damaged(f"the item {found[0]!r}")
