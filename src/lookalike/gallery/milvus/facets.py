"""Facets and pattern matching, which Milvus cannot compute.

The items are copied to an SQLite database in memory and queried with the statements of a gallery in a folder, so that
the results are the same.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Final

from lookalike.gallery.filters.expression import FIELDS
from lookalike.gallery.filters.milvus import exists
from lookalike.gallery.local import reads
from lookalike.gallery.milvus.reads import MilvusReader
from lookalike.gallery.milvus.records import KNOWN, to_record
from lookalike.gallery.records import AttributeNames, Kinds
from lookalike.types import Facet, Item

AT_ONCE: Final = 4096
"""Items without vectors that are read at once."""


def items(reader: MilvusReader, where: str) -> Iterator[Item]:
    """Iterate over the items that pass an expression, in the order of adding."""
    for rows in reader.ordered(where, KNOWN, size=AT_ONCE):
        yield from (to_record(row).item for row in rows)


def products(reader: MilvusReader, where: str, *, offset: int, limit: int | None) -> tuple[int, list[Item]]:
    """Number of products that pass an expression, and of a page of them the first item, in the order of adding."""
    firsts: dict[tuple[str, str], Item] = {}
    for item in items(reader, where):
        firsts.setdefault(("product", item.product) if item.product else ("id", item.id), item)
    return len(firsts), [*firsts.values()][offset : None if limit is None else offset + limit]


def facets(
    reader: MilvusReader, where: str, *, kinds: Mapping[str, Kinds], limit: int, group: str | None
) -> list[Facet]:
    """Most frequent values of each attribute, with their counts; of products with `group`."""
    names = AttributeNames((number, name, int(held)) for number, (name, held) in enumerate(kinds.items(), start=1))
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE items (row INTEGER PRIMARY KEY, product TEXT, attributes TEXT NOT NULL)")
        encoded = ((item.product, names.encode(item)) for item in items(reader, where))
        connection.executemany("INSERT INTO items (product, attributes) VALUES (?, ?)", encoded)
        return reads.facets(connection, names, reads.EVERYTHING, limit=limit, group=group)


def matching_texts(reader: MilvusReader, name: str, pattern: str) -> Sequence[str]:
    """Distinct texts of an attribute that match a `like` pattern."""
    found = (
        getattr(item, name) if name in FIELDS else item.attributes.get(name) for item in items(reader, exists(name))
    )
    texts = {value for value in found if isinstance(value, str)}
    with closing(sqlite3.connect(":memory:")) as connection:
        return sorted(
            text for text in texts if connection.execute("SELECT ? LIKE ?", (text, pattern)).fetchone() == (1,)
        )
