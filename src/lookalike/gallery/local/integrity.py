"""Whether the items of a gallery can be asked for by what is known of them.

A row's checksum tells whether a row that is read is as it was written. It does not tell which rows a filter should have
passed, or what an index of the database leads to. So where a question goes through all items, all of them are checked
first: once, and again when another state of the database's file is found.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Final, TypeAlias

from lookalike.errors import GalleryDamagedError
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.row_checksums import ITEM_SOUND, WAY_OUT, damaged

CHECKED: Final = 20_000
"""Items; of more, whose check would take longer than most questions, only those that are answered are checked."""

State: TypeAlias = tuple[int, int, int]


class Soundness:
    """Remembers which state of a database's file was checked."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._checked: State | None = None
        self._lock = threading.Lock()

    def check(self, connection: sqlite3.Connection) -> None:
        """Make sure that all items are as they were written; 5 microseconds each when the file has changed.

        Args:
            connection: In a transaction.

        Raises:
            GalleryDamagedError: One is not, or an index leads to other items.
        """
        found = self._path.stat()
        now = (found.st_ino, found.st_size, found.st_mtime_ns)
        if now == self._checked or meta_number(connection, "items") > CHECKED:
            return
        with self._lock:
            if now != self._checked:
                check_all(connection)
                self._checked = now


def check_all(connection: sqlite3.Connection) -> None:
    """Read all items.

    Raises:
        GalleryDamagedError: One is not as it was written, or an index leads to other items.
    """
    wrong = connection.execute(f"SELECT id FROM items NOT INDEXED WHERE NOT coalesce({ITEM_SOUND}, 0)").fetchone()
    if wrong is not None:
        raise damaged(f"the item {wrong[0]!r}")
    (line,) = connection.execute("PRAGMA integrity_check(items)").fetchone()
    if line != "ok":
        raise GalleryDamagedError(f"the gallery's database is damaged ({' '.join(line.split())}): {WAY_OUT}")
    (count,) = connection.execute("SELECT count(*) FROM items NOT INDEXED").fetchone()
    if count != meta_number(connection, "items"):
        raise damaged("the table of items")
