"""Changes after which a gallery begins a new generation: all rows are built into a new segment, none is continued."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from lookalike.errors import GalleryLockedError
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.metadata_table import put, sign_change, signature_key
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.local.snapshot import is_stale
from lookalike.gallery.local.version import Version


@contextmanager
def alone(database: Database, segment_files: SegmentFiles, *, wait_s: float) -> Iterator[None]:
    """Keep out other writers, and other processes that build a segment.

    Args:
        database: The database.
        segment_files: Its segment files.
        wait_s: Seconds to wait for another process that builds a segment.

    Raises:
        GalleryLockedError: Another process is writing, or builds a segment.
    """
    with database.locked(), segment_files.building(wait_s=wait_s) as mine:
        if not mine:
            message = f"another process is building the index of {database.folder}; try again when it has finished"
            raise GalleryLockedError(message, holder={})
        yield


@contextmanager
def new_generation(
    database: Database, segment_files: SegmentFiles, text_files: TextFiles
) -> Iterator[sqlite3.Connection]:
    """Change a gallery in one transaction that begins a new generation; within `alone`.

    The new segment is built before the transaction is committed, so that a full disk changes nothing, and old segments
    are deleted afterwards: searches in other processes continue throughout, with rows of one generation.

    Args:
        database: The database.
        segment_files: Its segment files.
        text_files: Its files of full text, which are deleted; the next search by words makes a new one.

    Yields:
        Connection for the changes.

    Raises:
        StorageFullError: The disk is full.
    """
    with database.writing() as connection:
        yield connection
        connection.execute("DELETE FROM removed")
        connection.execute("DELETE FROM meta WHERE key GLOB ?", (signature_key("*"),))
        put(connection, "generation", uuid.uuid4().hex)
        sign_change(connection)
        many = is_stale(None, Version.now(connection))
        segment = segment_files.build(connection, keep=True) if many else None
    segment_files.keep_only(segment)
    text_files.keep_only(None)
