"""Ranking of items by their words: BM25."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.gallery.local.full_text.word_table import Occurrences, WordTable
from lookalike.types import Bool, Float32, Int64

SATURATION: Final = 1.2
"""`k1`: how soon more occurrences of a word count no more."""

LENGTH_PENALTY: Final = 0.75
"""`b`: how far occurrences in longer texts count less, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a word of the query is looked up.

    Attributes:
        word: Word of items.
        is_prefix: Whether words that begin with it count, too.
    """

    word: str
    is_prefix: bool = False


def ranked(
    tables: Sequence[WordTable], readings: Sequence[Reading], *, passing: Int64 | None, k: int
) -> tuple[Int64, Float32]:
    """The k best items: those with all words before those with some, then by BM25, then by row.

    The weight of a word is ln(1 + (N - n + 0.5) / (n + 0.5)), which is above 0 also for a word that most items have; N
    is the number of all items and n that of those with the word, with or without a filter. Lengths are in characters.

    Args:
        tables: Tables of words, whose live items are different ones.
        readings: Words to look for.
        passing: Row numbers of the vectors that may be found, ascending; None allows all. Of an item, the first that
            passes is returned.
        k: Number of items.

    Returns:
        Row numbers, (K,) int64, and BM25, (K,) float32.

    Source: Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond, eq. 3.15 and the simple
        extension to fields of section 3.6.
    """
    total = sum(int(table.live.sum()) for table in tables)
    characters = sum(float(table.lengths[table.live].sum(dtype=np.float64)) for table in tables)
    found = [[table.occurrences(each.word, is_prefix=each.is_prefix) for table in tables] for each in readings]
    weights = []
    for of_word in found:
        having = sum(int(table.live[each.documents].sum()) for table, each in zip(tables, of_word, strict=True))
        weights.append(np.log1p((total - having + 0.5) / (having + 0.5)))
    rows, scores, hits = [], [], []
    for at, table in enumerate(tables):
        part = scored(table, [of_word[at] for of_word in found], weights, average=characters / max(total, 1))
        of_rows, kept = passing_rows(table, part[0], passing)
        rows.append(of_rows[kept])
        scores.append(part[1][kept])
        hits.append(part[2][kept])
    return best(np.concatenate(rows), np.concatenate(scores), np.concatenate(hits) == len(readings), k=k)


def scored(
    table: WordTable, words: Sequence[Occurrences], weights: Sequence[float], *, average: float
) -> tuple[Int64, Float32, Int64]:
    """Live documents of a table with any of some words, with BM25 and the number of words, each (n,)."""
    scores, hits = np.zeros(len(table), dtype=np.float32), np.zeros(len(table), dtype=np.int64)
    for (documents, counts), weight in zip(words, weights, strict=True):
        lengths = table.lengths[documents] / average
        saturated = counts + SATURATION * (1 - LENGTH_PENALTY + LENGTH_PENALTY * lengths)
        scores[documents] += weight * counts * (SATURATION + 1) / saturated
        hits[documents] += 1
    documents = np.flatnonzero((hits > 0) & table.live)
    return documents.astype(np.int64), scores[documents], hits[documents]


def passing_rows(table: WordTable, documents: Int64, passing: Int64 | None) -> tuple[Int64, Bool]:
    """First row of each document that passes, and whether any does, each (n,)."""
    rows = table.rows[documents]
    if passing is None:
        return rows, np.ones(len(rows), dtype=np.bool_)
    after = np.append(passing, np.iinfo(np.int64).max)
    firsts = after[np.searchsorted(passing, rows)]
    return firsts, firsts < rows + table.parts[documents]


def best(rows: Int64, scores: Float32, is_whole: Bool, *, k: int) -> tuple[Int64, Float32]:
    """The k best rows and their scores; see `ranked`."""
    if len(rows) > k:  # sorting all would take longer than finding them
        order = scores + (scores.max() + 1) * is_whole
        kept = order >= np.partition(order, len(order) - k)[len(order) - k]
        rows, scores, is_whole = rows[kept], scores[kept], is_whole[kept]
    places = np.lexsort((rows, -scores, ~is_whole))[:k]
    return rows[places], scores[places]
