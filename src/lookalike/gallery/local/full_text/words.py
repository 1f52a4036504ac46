"""Words of a gallery at one version, and how they follow its changes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.gallery.local.full_text.word_table import WordTable, texts_of
from lookalike.gallery.local.metadata_table import altered_since
from lookalike.gallery.local.snapshot import SMALL, removed_since
from lookalike.gallery.local.version import Version


@dataclass(slots=True)
class Words:
    """Words of a gallery at a version.

    Attributes:
        version: Version of the database.
        stored: Words in a file, or of all items in memory.
        later: Words of items that were added or have changed since, in memory.
        folder: Folder of `stored`; None in memory.
    """

    version: Version
    stored: WordTable
    later: WordTable
    folder: Path | None

    @classmethod
    def in_memory(cls, connection: sqlite3.Connection) -> Words:
        """Read the words of all items.

        Args:
            connection: Connection to the gallery's database, in a transaction.

        Raises:
            GalleryDamagedError: A checksum is wrong.
        """
        table = WordTable()
        for texts in texts_of(connection, "1"):
            table.add(texts)
        return cls(Version.now(connection), table, WordTable(), None)

    @property
    def tables(self) -> tuple[WordTable, WordTable]:
        """All tables; an item is live in one of them."""
        return self.stored, self.later

    def has_outgrown(self) -> bool:
        """Whether the changes since the stored words exceed a tenth of these, and `SMALL`."""
        changes = len(self.later) + len(self.stored) - self.stored.live_count
        return changes > max(SMALL, len(self.stored) // 10)

    def is_advanced(self, connection: sqlite3.Connection) -> bool:
        """Bring the words to the version that a connection sees; false if that is not known, or all are to be read.

        Args:
            connection: Connection to the gallery's database, in a transaction; this version is in its history.

        Raises:
            GalleryDamagedError: A checksum is wrong; these words may have some of the changes then.
        """
        then, now = self.version, Version.now(connection)
        if then.change == now.change:
            return True
        altered = altered_since(connection, then.change)
        if altered is None or now.last_row - then.last_row + len(altered) > max(SMALL, len(self.stored)):
            return False
        rows = sorted(altered)
        gone = np.concatenate([removed_since(connection, then.last_removal), np.array(rows, dtype=np.int64)])
        for table in self.tables:
            table.forget(gone)
        condition = "row IN (SELECT row FROM items WHERE row > ? UNION SELECT value FROM json_each(?))"
        for texts in texts_of(connection, condition, then.last_row, json.dumps(rows)):
            self.later.add(texts)
        self.version = now
        return True

    def differences(self, connection: sqlite3.Connection) -> Iterator[str]:
        """Contradictions between these words and the items at the same version, one message each."""
        ours = {
            numbers
            for table in self.tables
            for numbers in zip(
                *(part[table.live].tolist() for part in (table.rows, table.parts, table.lengths)), strict=True
            )
        }
        theirs = {(text.row, text.parts, text.length) for texts in texts_of(connection, "1") for text in texts}
        if ours != theirs:
            yield f"{len(ours ^ theirs)} texts in {self.folder} differ from the items; delete it, and it is built again"

    def close(self) -> None:
        """Close the tables."""
        for table in self.tables:
            table.connection.close()
