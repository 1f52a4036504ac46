"""Integrity check of all items, before queries that scan them.

The checksum of a row covers the rows that are read. It does not show which rows a filter should have passed, or whether
an index of the database leads to the right ones. So before a query that scans the items, all of them are checked: once,
and again when the database's file has changed.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final, TypeAlias

from lookalike.errors import GalleryDamagedError
from lookalike.gallery.local import garments_table
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.pooled_connection import PooledConnection
from lookalike.gallery.local.row_checksums import ITEM_SOUND, WAY_OUT, damaged

CHECKED: Final = 20_000
"""Largest number of items that are checked; in larger galleries the check would take longer than most queries, and only
the rows that are read are checked."""

State: TypeAlias = tuple[int, int, int]


class Soundness:
    """Remembers the state of the database's file that was checked last.

    Args:
        path: Path of the database.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked: State | None = None
        self._lock = threading.Lock()

    def check(self, reader: PooledConnection) -> None:
        """Check all items; takes 5 microseconds per item when the file has changed.

        Args:
            reader: Connection in a transaction.

        Raises:
            GalleryDamagedError: An item's checksum is wrong, or an index leads to other items.
        """
        if reader.known(item_count) > CHECKED:
            return
        found = self._path.stat()
        now = (found.st_ino, found.st_size, found.st_mtime_ns)
        if now == self._checked:
            return
        with self._lock:
            if now != self._checked:
                check_all(reader.connection)
                self._checked = now


def item_count(connection: sqlite3.Connection) -> int:
    """Number of items, as the gallery has counted them."""
    return meta_number(connection, "items")


def check_all(connection: sqlite3.Connection) -> None:
    """Check the checksums of all items and their garments, the indexes over them and their number.

    Raises:
        GalleryDamagedError: A checksum is wrong, an index leads to other items, or items or garments are missing.
    """
    wrong = connection.execute(f"SELECT id FROM items NOT INDEXED WHERE NOT coalesce({ITEM_SOUND}, 0)").fetchone()
    if wrong is not None:
        raise damaged(f"the item {wrong[0]!r}")
    tables = ["items"]
    if garments_table.exists(connection):
        garments_table.check(connection)
        tables.append("garments")
    for table in tables:
        (line,) = connection.execute(f"PRAGMA integrity_check({table})").fetchone()
        if line != "ok":
            raise GalleryDamagedError(f"the gallery's database is damaged ({' '.join(line.split())}): {WAY_OUT}")
        (count,) = connection.execute(f"SELECT count(*) FROM {table} NOT INDEXED").fetchone()
        if count != meta_number(connection, table):
            raise damaged(f"the table of {table}")
