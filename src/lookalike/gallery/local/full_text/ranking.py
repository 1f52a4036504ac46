"""Ranking of items by their words: BM25."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log1p
from typing import Final, NamedTuple

import numpy as np

from lookalike.gallery.local.full_text.word_table import Occurrences, WordTable
from lookalike.types import Bool, Float32, Int64, UInt8

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
    if not readings:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
    total = sum(table.live_count for table in tables)
    average = sum(table.characters for table in tables) / max(total, 1)
    found = [[table.occurrences(each.word, is_prefix=each.is_prefix) for each in readings] for table in tables]
    weights = [rarity(tables, of_word, total=total) for of_word in zip(*found, strict=True)]
    candidates = [Candidates.of(table, words, passing) for table, words in zip(tables, found, strict=True)]
    whole = [np.flatnonzero(each.hits == len(readings)) for each in candidates]
    is_enough = sum(map(len, whole)) >= k  # usual, and leaves fewer items to score
    rows, scores, is_whole = [], [], []
    for table, words, each, with_all in zip(tables, found, candidates, whole, strict=True):
        documents = with_all if is_enough else np.flatnonzero(each.hits)
        rows.append(each.rows[documents])
        scores.append(scored(table, documents, words, weights, average=average))
        is_whole.append(each.hits[documents] == len(readings))
    return best(np.concatenate(rows), np.concatenate(scores), np.concatenate(is_whole), k=k)


def rarity(tables: Sequence[WordTable], of_word: Sequence[Occurrences], *, total: int) -> float:
    """Weight of a word that occurs in some of `total` live items; see `ranked`."""
    having = sum(table.count_live(each.documents) for table, each in zip(tables, of_word, strict=True))
    return log1p((total - having + 0.5) / (having + 0.5))


class Candidates(NamedTuple):
    """Documents of a table that may be found.

    Attributes:
        hits: (N,) uint8, number of words that each has; 0 for one that is not live or does not pass.
        rows: (N,) int64, row of each to return.
    """

    hits: UInt8
    rows: Int64

    @classmethod
    def of(cls, table: WordTable, words: Sequence[Occurrences], passing: Int64 | None) -> Candidates:
        """Look through a table; see `ranked` for `passing`."""
        hits = np.zeros(len(table), dtype=np.uint8)
        for documents, _ in words:
            hits[documents] += 1
        if table.live_count < len(table):
            hits *= table.live
        if passing is None:
            return cls(hits, table.rows)
        rows = table.first_rows(passing)
        hits *= rows >= 0
        return cls(hits, rows)


def scored(
    table: WordTable, documents: Int64, words: Sequence[Occurrences], weights: Sequence[float], *, average: float
) -> Float32:
    """BM25 of documents, (n,) float32."""
    scores = np.zeros(len(documents), dtype=np.float32)
    penalty = SATURATION * (1 - LENGTH_PENALTY + LENGTH_PENALTY * (table.lengths[documents] / average))
    for (having, counted), weight in zip(words, weights, strict=True):
        counts = np.zeros(len(table), dtype=np.float32)
        counts[having] = counted
        counts = counts[documents]
        scores += weight * (SATURATION + 1) * counts / (counts + penalty)
    return scores


def best(rows: Int64, scores: Float32, is_whole: Bool, *, k: int) -> tuple[Int64, Float32]:
    """The k best rows and their scores; see `ranked`."""
    if len(rows) > k:  # sorting all would take longer than finding them
        order = scores + (scores.max() + 1) * is_whole
        kept = order >= np.partition(order, len(order) - k)[len(order) - k]
        rows, scores, is_whole = rows[kept], scores[kept], is_whole[kept]
    places = np.lexsort((rows, -scores, ~is_whole))[:k]
    return rows[places], scores[places]
