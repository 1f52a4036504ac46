"""Search of a gallery by words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike.errors import StorageFailedError, short_reason
from lookalike.gallery.local import garments_table, reads
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.current_snapshot import CurrentSnapshot
from lookalike.gallery.local.full_text import query_words
from lookalike.gallery.local.full_text.current_words import CurrentWords
from lookalike.gallery.local.full_text.ranking import ranked
from lookalike.gallery.local.full_text.words import Words
from lookalike.gallery.local.snapshot import Snapshot
from lookalike.gallery.records import AttributeNames
from lookalike.types import FullText, Int64

FILE_TRIES: Final = 3
"""Largest number of files of words that a search builds while each turns out to be damaged."""


def search(
    current: CurrentSnapshot, words: CurrentWords, texts: Sequence[str], *, k: int, where: str | None
) -> FullText:
    """Find the items with any of some words; see `GalleryReader.full_text`.

    Args:
        current: Snapshots of the gallery, which remember what a filter passes.
        words: Words of the gallery.
        texts: Words of the query.
        k: Number of items.
        where: Filter.

    Raises:
        UsageError: The gallery is empty, or there are too many words.
        FilterError: The filter is invalid.
        StorageFailedError: The words could not be read from several files.
    """
    asked = words.split(texts)
    filtered = None if where is None else current.for_search(where, index="exact")
    for _ in range(FILE_TRIES):
        with words.present() as (held, connection):
            passing = None if filtered is None else passing_rows(connection, held, where, *filtered)
            try:
                return found(held, asked, k=k, passing=passing)
            except sqlite3.Error as error:
                words.discard(held)
                damage = short_reason(error)
    raise StorageFailedError(
        f"the words of this gallery cannot be read ({damage}), nor could they from {FILE_TRIES - 1} files before; see "
        "the system's log, the disk may be failing"
    )


def found(words: Words, asked: Sequence[str], *, k: int, passing: Int64 | None) -> FullText:
    """The best items for some words.

    Args:
        words: Words of the gallery.
        asked: Words of the query, split.
        k: Number of items.
        passing: Rows that may be found, ascending; None allows all.
    """
    read = query_words.read(asked, words.tables)
    rows, scores = ranked(words.tables, read.readings, passing=passing, k=k)
    return FullText(rows, scores, read.corrected, read.unknown, words.version.id)


def passing_rows(
    connection: sqlite3.Connection, words: Words, where: str | None, state: Snapshot, allowed: AllowedRows
) -> Int64:
    """Row numbers that pass a filter at the version of the words, ascending.

    Args:
        connection: Connection to the gallery's database, in a transaction that sees that version.
        words: Words of the gallery.
        where: Filter.
        state: A snapshot, which is of an earlier version if a commit has come in between.
        allowed: Rows of it that pass.
    """
    if state.version.id == words.version.id:
        together = allowed.together(state.split, len(state.unindexed))
        places = np.arange(state.split + len(state.unindexed)) if together is None else np.flatnonzero(together)
        return state.numbers(places)
    with_garments = garments_table.exists(connection)
    clause = reads.compile_filter(where, AttributeNames.read(connection), with_garments=with_garments)
    return np.sort(reads.matching_rows(connection, clause))
