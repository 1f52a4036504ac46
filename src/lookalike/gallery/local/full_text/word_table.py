"""Words of items in an SQLite database of their own: which items have a word, in the title or elsewhere.

FTS5 splits texts into words, folds case and accents, and finds the items of a word. It does not rank them: its `bm25`
reads the length of each item that is found from disk, and with a filter it takes many times as long. `ranking` takes
the lengths, and the items of words that were asked before, from memory; docs/indexes.md has the figures.
"""

from __future__ import annotations

import json
import sqlite3
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.gallery.local.pooled_connection import connect
from lookalike.gallery.local.row_checksums import ITEM_SOUND, damaged
from lookalike.gallery.records import AttributeNames, read_parts
from lookalike.types import NAMING_ATTRIBUTES, Float32, Int64

TOKENIZER: Final = "unicode61 remove_diacritics 2 categories 'L* N* Co Mn Mc'"
"""FTS5's way to split texts into words, and to fold case and accents; vowel signs (Mn, Mc) belong to their word."""

SCHEMA: Final = f"""
-- No texts are kept, only where their words are. A word counts once in the title and once in the rest of an item.
CREATE VIRTUAL TABLE words USING fts5(
    title, rest, content='', columnsize=0, detail=column, tokenize="{TOKENIZER}"
);
CREATE VIRTUAL TABLE vocabulary USING fts5vocab(words, row);

-- Of a finished file one row: for each rowid of `words`, from 1 on, the three numbers of a `Text`, see `NUMBERS`.
CREATE TABLE numbers (content BLOB NOT NULL) STRICT;

-- Words without digits, with two blanks before and after, by their trigrams.
CREATE VIRTUAL TABLE spellings USING fts5(padded, tokenize='trigram');
"""

SPELLED: Final = "length(term) >= 4 AND term NOT GLOB '*[0-9]*'"
"""Words that others may be misspellings of: a wrong digit makes another number."""

TITLE: Final = 2.0
REST: Final = 1.0
"""How often a word counts that is in the title, or elsewhere."""

REMEMBERED: Final = 8
"""Occurrences of words that are kept in memory, for each item: 64 bytes, a small part of its vectors."""

REMEMBERED_AT_LEAST: Final = 2_000_000
"""The same, for a whole small table."""

CANDIDATES: Final = 50
"""Words with the most trigrams of a misspelt one that are compared with it."""

BATCH: Final = 4096


NUMBERS: Final = np.dtype([("row", "<i8"), ("parts", "<i4"), ("length", "<i4")])
"""Numbers of a text; see `Text`."""


class Text(NamedTuple):
    """Text of an item.

    Attributes:
        row: Row of the item, which is that of its first vectors.
        parts: Number of rows of its vectors, which follow one another.
        title: Its title.
        rest: Id, product and all other text, in lines.
    """

    row: int
    parts: int
    title: str
    rest: str

    @property
    def length(self) -> int:
        """Number of characters."""
        return len(self.title) + len(self.rest)


class Occurrences(NamedTuple):
    """Items with a word.

    Attributes:
        documents: (n,) int32, ascending.
        counts: (n,) float32, how often the word counts in each.
    """

    documents: npt.NDArray[np.int32]
    counts: Float32


class WordTable:
    """Words of items, in a database in memory or in a finished file.

    Args:
        path: Finished file; None makes an empty database in memory, to which texts can be added.

    Attributes:
        connection: Connection to the database.
        rows: (N,) int64, row of each text, see `Text`.
        parts: (N,) int32, parts of each text.
        lengths: (N,) float32, characters of each text.
        live: (N,) bool, false for items that have been removed, or have changed, since they were added.
        live_count: Number of live items.
        characters: Sum of their lengths.
    """

    def __init__(self, path: Path | None = None) -> None:
        if path is None:
            self.connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            self.connection.executescript(SCHEMA)
            numbers = np.empty(0, dtype=NUMBERS)
        else:
            self.connection = connect(path, "ro", immutable=True)
            self.connection.execute("PRAGMA query_only = 1")
            numbers = read_numbers(self.connection)
        self.rows, self.parts, self.lengths = numbers["row"].copy(), numbers["parts"].copy(), lengths_of(numbers)
        self.live = np.ones(len(numbers), dtype=np.bool_)
        self._count()
        self._remembered: OrderedDict[tuple[str, bool], Occurrences] = OrderedDict()
        self._remembered_count = 0
        self._spelled = path is not None

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, texts: Iterable[Text]) -> None:
        """Add the texts of items to a database in memory."""
        numbers = write_texts(self.connection, texts, first=len(self) + 1)
        self.rows = np.concatenate([self.rows, numbers["row"]])
        self.parts = np.concatenate([self.parts, numbers["parts"]])
        self.lengths = np.concatenate([self.lengths, lengths_of(numbers)])
        self.live = np.concatenate([self.live, np.ones(len(numbers), dtype=np.bool_)])
        self._count()
        self._remembered.clear()
        self._remembered_count = 0
        self._spelled = False

    def forget(self, rows: Int64) -> None:
        """Take items, by their rows, out of all answers; unknown rows are ignored."""
        if len(rows) and len(self):
            self.live &= ~np.isin(self.rows, rows)
            self._count()

    def count_live(self, documents: npt.NDArray[np.int32]) -> int:
        """Number of live ones among documents, (n,) int32."""
        return len(documents) if self.live_count == len(self) else int(self.live[documents].sum())

    def first_rows(self, passing: Int64) -> Int64:
        """Of each item the first row that passes, (N,) int64; -1 if none does.

        Args:
            passing: Row numbers that pass, ascending.
        """
        firsts = np.full(len(self), -1, dtype=np.int64)
        if not len(self):
            return firsts
        order = np.argsort(self.rows, kind="stable")  # texts of changed items are out of order
        places = order[np.searchsorted(self.rows[order], passing, side="right") - 1]
        own = (passing >= self.rows[places]) & (passing < self.rows[places] + self.parts[places])
        firsts[places[own][::-1]] = passing[own][::-1]  # of several values for one place, the last stays
        return firsts

    def occurrences(self, word: str, *, is_prefix: bool = False) -> Occurrences:
        """Items that have a word, or a word that begins with it."""
        key = word, is_prefix
        found = self._remembered.get(key)
        if found is not None:
            self._remembered.move_to_end(key)
            return found
        counts = np.zeros(len(self) + 1, dtype=np.float32)
        for field, weight in (("title", TITLE), ("rest", REST)):
            counts[self._documents(field, word, is_prefix=is_prefix)] += weight
        documents = np.flatnonzero(counts).astype(np.int32)
        found = self._remembered[key] = Occurrences(documents - 1, counts[documents])
        self._remembered_count += len(documents)
        most = max(REMEMBERED_AT_LEAST, REMEMBERED * len(self))
        while self._remembered_count > most and len(self._remembered) > 1:
            _, oldest = self._remembered.popitem(last=False)
            self._remembered_count -= len(oldest.documents)
        return found

    def similar(self, word: str) -> list[str]:
        """Words that share the most trigrams with one."""
        if not self._spelled:
            self.connection.execute("DELETE FROM spellings")
            write_spellings(self.connection)
            self._spelled = True
        padded = f"  {word}  "
        trigrams = {padded[at : at + 3] for at in range(len(padded) - 2)}
        found = self.connection.execute(
            "SELECT padded FROM spellings WHERE spellings MATCH ? ORDER BY rank LIMIT ?",
            (" OR ".join(map(quoted, sorted(trigrams))), CANDIDATES),
        )
        return [spelled.strip(" ") for (spelled,) in found]

    def _count(self) -> None:
        self.live_count = int(self.live.sum())
        self.characters = float(self.lengths[self.live].sum(dtype=np.float64))

    def _documents(self, field: str, word: str, *, is_prefix: bool) -> Int64:
        expression = f"{field} : {quoted(word)}{' *' if is_prefix else ''}"
        found = self.connection.execute("SELECT group_concat(rowid) FROM words WHERE words MATCH ?", (expression,))
        (text,) = found.fetchone()
        return np.fromstring(text or "", dtype=np.int64, sep=",")


def quoted(word: str) -> str:
    """A word as a string of FTS5's query language, which leaves no part of it to be an operator."""
    return '"' + word.replace('"', '""') + '"'


def write_texts(connection: sqlite3.Connection, texts: Iterable[Text], *, first: int) -> npt.NDArray[np.void]:
    """Write the words of texts with rowids from `first` on. Returns their numbers, (n,) of `NUMBERS`."""
    texts = list(texts)
    connection.executemany(
        "INSERT INTO words (rowid, title, rest) VALUES (?, ?, ?)",
        [(number, text.title, text.rest) for number, text in enumerate(texts, start=first)],
    )
    return np.array([(text.row, text.parts, text.length) for text in texts], dtype=NUMBERS)


def write_numbers(connection: sqlite3.Connection, numbers: npt.NDArray[np.void]) -> None:
    """Write the numbers of all texts, (N,) of `NUMBERS`, to a file that is then finished."""
    connection.execute("INSERT INTO numbers VALUES (?)", (numbers.tobytes(),))


def read_numbers(connection: sqlite3.Connection) -> npt.NDArray[np.void]:
    """Read the numbers of all texts, (N,) of `NUMBERS`, from a finished file.

    Raises:
        ValueError: They are not whole.
    """
    (content,) = connection.execute("SELECT content FROM numbers").fetchone()
    return np.frombuffer(content, dtype=NUMBERS)


def lengths_of(numbers: npt.NDArray[np.void]) -> Float32:
    """Lengths of texts, (n,) float32."""
    lengths: Float32 = numbers["length"].astype(np.float32)
    return lengths


def write_spellings(connection: sqlite3.Connection) -> None:
    """Write the words of all texts into the table by which misspelt ones are looked up."""
    connection.execute(f"INSERT INTO spellings SELECT '  ' || term || '  ' FROM vocabulary WHERE {SPELLED}")


def texts_of(connection: sqlite3.Connection, condition: str, *parameters: int | str) -> Iterator[list[Text]]:
    """Texts of the items of a gallery that pass a condition, in batches, in the order of rows.

    Args:
        connection: Connection to the gallery's database, in a transaction until the iteration ends.
        condition: SQL on `items`.
        parameters: Its parameters.

    Raises:
        GalleryDamagedError: An item's checksum is wrong.
    """
    titles = title_numbers(AttributeNames.read(connection))
    cursor = connection.execute(
        f"SELECT {ITEM_SOUND}, row, box, id, product, attributes FROM items WHERE {condition} ORDER BY row", parameters
    )
    while batch := cursor.fetchmany(BATCH):
        texts = []
        for sound, row, box, item_id, product, attributes in batch:
            if not sound:
                raise damaged(f"the item {item_id!r}")
            values: Mapping[str, Any] = json.loads(attributes)
            title = "\n".join(each for number in titles if isinstance(each := values.get(number), str))
            rest = [item_id, product or "", *strings([each for key, each in values.items() if key not in titles])]
            parts = len(read_parts(box)[1]) or 1
            texts.append(Text(row, parts, title, "\n".join(rest)))
        yield texts


def title_numbers(names: AttributeNames) -> list[str]:
    """Numbers of the attributes that hold titles, as keys of `items.attributes`."""
    naming = {name.lower() for name in NAMING_ATTRIBUTES}
    return [str(names.number(name)) for name in names.kinds if name.lower() in naming]


def strings(value: object) -> Iterator[str]:
    """All text in a JSON value, also in lists and objects within it."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value if isinstance(value, list) else value.values():
            yield from strings(part)


@cache
def schema() -> frozenset[tuple[str, str | None]]:
    """Names and CREATE statements of a database of words."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        return listed(connection)


def listed(connection: sqlite3.Connection) -> frozenset[tuple[str, str | None]]:
    """Names and CREATE statements of all tables, indexes, views and triggers."""
    return frozenset(connection.execute("SELECT name, sql FROM sqlite_schema"))
