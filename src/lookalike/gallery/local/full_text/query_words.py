"""Words of a query as FTS5 reads them, and those that they are looked up as."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lookalike.errors import LookalikeError, short_reason
from lookalike.gallery.full_text import check_words
from lookalike.gallery.local.full_text.ranking import Reading
from lookalike.gallery.local.full_text.word_table import TOKENIZER, WordTable
from lookalike.text.spelling import most_errors, nearest

SHORTEST_PREFIX: Final = 2
"""Letters of the shortest word that is read as the beginning of others."""

SCHEMA: Final = f"""
CREATE VIRTUAL TABLE asked USING fts5(text, content='', columnsize=0, tokenize="{TOKENIZER}");
CREATE VIRTUAL TABLE instances USING fts5vocab(asked, instance);
"""


@dataclass(frozen=True, slots=True)
class QueryWords:
    """Words of a query.

    Attributes:
        readings: What each word is looked up as; words that are not found are left out.
        corrected: Words taken for others, see `FullText`.
        unknown: Words that are not found, see `FullText`.
    """

    readings: tuple[Reading, ...]
    corrected: dict[str, str]
    unknown: tuple[str, ...]


class Splitter:
    """Splits texts into words as FTS5 does; for one thread at a time.

    Raises:
        LookalikeError: SQLite was built without FTS5.
    """

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        try:
            self._connection.executescript(SCHEMA)
        except sqlite3.OperationalError as error:
            raise LookalikeError(
                f"words need SQLite with FTS5, and that of this Python, {sqlite3.sqlite_version}, lacks it "
                f"({short_reason(error)}); use a Python with another SQLite"
            ) from error

    def split(self, texts: Sequence[str]) -> list[str]:
        """The distinct words of texts in their order, split and folded as those of items are.

        Raises:
            UsageError: There are too many words, or one is too long or not Unicode.
        """
        check_words(texts)
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT INTO asked (rowid, text) VALUES (?, ?)", [*enumerate(texts)])
        found = self._connection.execute("SELECT term FROM instances ORDER BY doc, offset").fetchall()
        self._connection.execute("ROLLBACK")
        words = [*dict.fromkeys(word for (word,) in found)]
        check_words(words)
        return words


def read(words: Sequence[str], tables: Sequence[WordTable]) -> QueryWords:
    """Decide what each word is looked up as: itself, the words that begin with it, or one that is written like it.

    Args:
        words: Words, as `Splitter.split` returns them.
        tables: Tables of words.
    """
    readings, corrected, unknown = [], {}, []
    for word in words:
        if count(word, tables):
            readings.append(Reading(word))
        elif len(word) >= SHORTEST_PREFIX and count(word, tables, is_prefix=True):
            readings.append(Reading(word, is_prefix=True))
        elif (meant := similar(word, tables)) is not None:
            readings.append(Reading(meant))
            corrected[word] = meant
        else:
            unknown.append(word)
    return QueryWords(tuple(dict.fromkeys(readings)), corrected, tuple(unknown))


def similar(word: str, tables: Sequence[WordTable]) -> str | None:
    """The word of items that a misspelt one is taken for; None if none is near enough."""
    if not most_errors(word):
        return None
    candidates = {candidate for table in tables for candidate in table.similar(word)}
    return nearest(word, candidates, lambda candidate: count(candidate, tables))


def count(word: str, tables: Sequence[WordTable], *, is_prefix: bool = False) -> int:
    """Number of items with a word."""
    return sum(table.count_live(table.occurrences(word, is_prefix=is_prefix).documents) for table in tables)
