"""Replacement of all vectors of a gallery by those of another model, in one transaction."""

from __future__ import annotations

import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import MismatchError
from lookalike.gallery import stored_parameters
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.gallery import WAIT_FOR_BUILDER_S
from lookalike.gallery.local.metadata_table import put, write_model, write_spaces
from lookalike.gallery.local.model_paths import as_stored
from lookalike.gallery.local.reads import rows_of_ids
from lookalike.gallery.local.rebuilding import alone, new_generation
from lookalike.gallery.local.row_checksums import vector_sum
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.records import vector_rows

if TYPE_CHECKING:
    from lookalike.gallery.protocol import GalleryReader


class VectorReplacement:
    """Replacement of the vectors of a gallery in a folder; for use by one thread, and closed at the end.

    Args:
        folder: Folder of the gallery.
    """

    def __init__(self, folder: Path) -> None:
        self._database = Database(folder)
        self._segment_files = SegmentFiles(self._database.folder)
        self._text_files = TextFiles(self._database.folder)

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    def locked(self) -> AbstractContextManager[None]:
        """Keep other writers out.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        return self._database.locked()

    def replace(self, source: GalleryReader, *, wait_s: float = WAIT_FOR_BUILDER_S) -> None:
        """Give the gallery the vectors, spaces, model, weights and projections of another one with the same items.

        Readers see either all of the old vectors or all of the new ones, and rows found before are not taken for those
        of the new vectors.

        Args:
            source: Gallery that has each item of this one, with as many parts, and no others.
            wait_s: Seconds to wait for another process that builds a segment.

        Raises:
            MismatchError: The items or their parts are not the same; nothing is changed then.
            GalleryLockedError: Another process is writing, or builds a segment.
            StorageFullError: The disk is full; nothing is changed then.
        """
        database, segment_files = self._database, self._segment_files
        with (
            alone(database, segment_files, wait_s=wait_s),
            new_generation(database, segment_files, self._text_files) as connection,
        ):
            replace_all(connection, source)
            if source.model is not None:
                write_model(connection, as_stored(source.model, database.folder))


def replace_all(connection: sqlite3.Connection, source: GalleryReader) -> None:
    """Replace all vectors and what belongs to them.

    Raises:
        MismatchError: The items or their parts are not those of the source.
    """
    put(connection, "raw", 0)
    replaced = sum(replace_batch(connection, batch, source) for batch in source.records())
    (count,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
    if replaced != count:
        raise MismatchError(f"there are {replaced:,} new vectors, and {count:,} to replace")
    write_spaces(connection, source.spaces)
    stored_parameters.write(connection, source.stored_weights)
    stored_parameters.write_projections(connection, source.projections)


def replace_batch(connection: sqlite3.Connection, batch: RecordBatch, source: GalleryReader) -> int:
    """Replace the vectors of some items. Returns their number.

    Raises:
        MismatchError: The gallery has no such item, or not as many vectors of it.
    """
    blobs = vector_rows(batch.vectors, source.spaces, count=sum(len(rows) for rows in batch.rows))
    present = rows_of_ids(connection, [item.id for item in batch.items])
    changed = []
    for item, places in zip(batch.items, batch.rows, strict=True):
        if item.id not in present:
            raise MismatchError(f"the gallery has no item {item.id!r} any more")
        for row, place in enumerate(places, start=present[item.id]):
            unit, raw = blobs[place]
            changed.append((unit, raw, vector_sum(row, unit, raw), row))
    done = connection.executemany("UPDATE vectors SET unit = ?, raw = ?, checksum = ? WHERE row = ?", changed).rowcount
    if done != len(changed):
        raise MismatchError(f"the gallery has {done:,} of the {len(changed):,} vectors to replace")
    if any(raw is not None for _, raw, _, _ in changed):
        put(connection, "raw", 1)
    return done
