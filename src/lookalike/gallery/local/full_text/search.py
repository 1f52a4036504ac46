"""Search of a gallery by words."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

import numpy as np

from lookalike import deadline
from lookalike.errors import LookalikeError, StorageFailedError, short_reason
from lookalike.gallery.local.allowed_rows import AllowedRows
from lookalike.gallery.local.current_snapshot import TRIES, CurrentSnapshot
from lookalike.gallery.local.full_text import query_words
from lookalike.gallery.local.full_text.current_words import CurrentWords, Words
from lookalike.gallery.local.full_text.ranking import ranked
from lookalike.gallery.local.snapshot import Snapshot
from lookalike.types import FullText, Int64

FILE_TRIES: Final = 3
"""Largest number of files of words that a search builds while each turns out to be damaged."""


def search(
    current: CurrentSnapshot, words: CurrentWords, texts: Sequence[str], *, k: int, where: str | None
) -> FullText:
    """Find the items with any of some words; see `GalleryReader.full_text`.

    Args:
        current: Snapshots of the gallery, which know what a filter passes.
        words: Words of the gallery.
        texts: Words of the query.
        k: Number of items.
        where: Filter.

    Raises:
        UsageError: The gallery is empty, or there are too many words.
        FilterError: The filter is invalid.
        StorageFailedError: The words could not be read from several files.
        LookalikeError: The database was written to at each attempt.
    """
    asked = words.split(texts)
    damage = 0
    for _ in range(TRIES):
        state, allowed = current.for_search(where, index="exact")
        with words.at(state.version.id) as present:
            if present is None:  # a commit came in between
                continue
            try:
                return found(present, asked, k=k, passing=None if where is None else passing_rows(state, allowed))
            except sqlite3.Error as error:
                deadline.check()
                words.discard(present)
                damage += 1
                if damage == FILE_TRIES:
                    raise StorageFailedError(
                        f"the words of {present.folder} cannot be read ({short_reason(error)}), nor those of "
                        f"{FILE_TRIES - 1} files before; see the system's log, the disk may be failing"
                    ) from error
    raise LookalikeError("the gallery is written to all the time; try again")


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


def passing_rows(state: Snapshot, allowed: AllowedRows) -> Int64:
    """Row numbers of a snapshot that may be found, ascending."""
    together = allowed.together(state.split, len(state.unindexed))
    places = np.arange(state.split + len(state.unindexed)) if together is None else np.flatnonzero(together)
    return state.numbers(places)
