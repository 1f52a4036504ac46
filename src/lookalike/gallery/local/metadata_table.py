"""The table `meta` of a gallery's database: spaces, counters, model, index settings, signatures of commits."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from lookalike.gallery.local.row_checksums import META_SUM, crc_of_any, damaged
from lookalike.index.settings import IndexSettings
from lookalike.spaces import Space

SIGNATURES_KEPT: Final = 10_000
"""Commits whose signatures are kept; an older segment is built again, which takes less time than those commits took."""

ALTERED: Final = ":"
"""What separates, in the record of a commit, its signature from the rows that it altered, as `3,7-12`."""

MOST_RANGES: Final = 10_000
"""Ranges of altered rows in the record of a commit; a commit that altered more does not say which, and the words of
all items are read again."""


def get(connection: sqlite3.Connection, key: str) -> Any:  # noqa: ANN401 - text, a number or bytes
    """Read the value of a key; None without one.

    Raises:
        GalleryDamagedError: Its checksum is wrong.
    """
    found = connection.execute(f"SELECT value, checksum IS {META_SUM} FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        return None
    value, sound = found
    if not sound:
        raise damaged(f"the metadata {key!r}")
    return value


def must_get(connection: sqlite3.Connection, key: str) -> Any:  # noqa: ANN401 - text, a number or bytes
    """Read the value of a key that every gallery has.

    Raises:
        GalleryDamagedError: It is missing, or its checksum is wrong.
    """
    value = get(connection, key)
    if value is None:
        raise damaged(f"the metadata {key!r}")
    return value


def values(connection: sqlite3.Connection, prefix: str) -> dict[str, Any]:
    """Read the values of all keys with a prefix, by key.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    statement = f"SELECT key, value, checksum IS {META_SUM} FROM meta WHERE substr(key, 1, ?) = ?"
    found = connection.execute(statement, (len(prefix), prefix)).fetchall()
    for key, _, sound in found:
        if not sound:
            raise damaged(f"the metadata {key!r}")
    return {key: value for key, value, _ in found}


def put(connection: sqlite3.Connection, key: str, value: str | int | bytes) -> None:
    """Write the value of a key, replacing the old one."""
    checksum = crc_of_any("?1", "?2")
    connection.execute(f"INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?1, ?2, {checksum})", (key, value))


def increase(connection: sqlite3.Connection, key: str, by: int) -> None:
    """Increase a counter."""
    put(connection, key, meta_number(connection, key) + by)


def read_spaces(connection: sqlite3.Connection) -> tuple[Space, ...]:
    """Read the spaces; empty before the first `add`."""
    text = must_get(connection, "spaces")
    return tuple(Space(*values) for values in json.loads(text))


def write_spaces(connection: sqlite3.Connection, spaces: Sequence[Space]) -> None:
    """Write the spaces of a gallery that has none."""
    put(connection, "spaces", json.dumps([space.to_list() for space in spaces]))


def sign_change(connection: sqlite3.Connection) -> None:
    """Count a commit and write its record: a random signature, and the rows that it altered.

    Histories that start from one backup are told apart by their signatures.
    """
    change = meta_number(connection, "change") + 1
    altered = get(connection, signature_key(change))
    put(connection, "change", change)
    put(connection, signature_key(change), f"{uuid.uuid4().hex}{ALTERED if altered is None else altered}")
    connection.execute("DELETE FROM meta WHERE key = ?", (signature_key(change - SIGNATURES_KEPT),))


def note_altered(connection: sqlite3.Connection, rows: Iterable[int]) -> None:
    """Write the record of the commit to come: items changed their attributes and kept their rows. Once in a commit."""
    ranges = ranges_of(rows)
    text = ALTERED + ",".join(ranges) if len(ranges) <= MOST_RANGES else ""
    put(connection, signature_key(meta_number(connection, "change") + 1), text)


def ranges_of(rows: Iterable[int]) -> list[str]:
    """Ranges of consecutive numbers.

    >>> ranges_of([7, 3, 9, 8])
    ['3', '7-9']
    """
    ranges: list[tuple[int, int]] = []
    for row in sorted(set(rows)):
        if ranges and ranges[-1][1] == row - 1:
            ranges[-1] = ranges[-1][0], row
        else:
            ranges.append((row, row))
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def rows_of(ranges: str) -> Iterator[int]:
    """The numbers of `ranges_of`, which are joined by commas."""
    for part in filter(None, ranges.split(",")):
        first, _, last = part.partition("-")
        yield from range(int(first), int(last or first) + 1)


def signature_of(connection: sqlite3.Connection, change: int) -> str:
    """Signature of a commit; empty if there was no such commit, or its record is no longer kept."""
    found = get(connection, signature_key(change))
    return "" if found is None else str(found).partition(ALTERED)[0]


def altered_since(connection: sqlite3.Connection, change: int, *, most: int | None = None) -> set[int] | None:
    """Rows whose items changed their attributes after a commit; None if a record does not say, or they are too many.

    Records that were written before there was full text have signatures only, and so have those of too many rows.

    Args:
        connection: Connection to the gallery's database.
        change: Number of the commit.
        most: Largest number of rows, counted once for each commit that altered them; None for no bound.

    Raises:
        GalleryDamagedError: A record's checksum is wrong.
    """
    changes = range(change + 1, meta_number(connection, "change") + 1)
    if len(changes) > SIGNATURES_KEPT:
        return None
    statement = f"SELECT value, checksum IS {META_SUM} FROM meta WHERE key IN (SELECT value FROM json_each(?))"
    found = connection.execute(statement, (json.dumps([signature_key(each) for each in changes]),)).fetchall()
    if not all(sound for _, sound in found):
        raise damaged("the records of commits")
    told = [str(value).partition(ALTERED) for value, _ in found]
    if len(told) != len(changes) or not all(mark for _, mark, _ in told):
        return None
    every = chain.from_iterable(rows_of(rows) for _, _, rows in told)
    altered = set(islice(every, most))
    return altered if next(every, None) is None else None


def signature_key(change: int | str) -> str:
    """Key of a commit's signature."""
    return f"change {change}"


def meta_number(connection: sqlite3.Connection, key: str) -> int:
    """Read a counter."""
    return int(must_get(connection, key))


def count_items(connection: sqlite3.Connection) -> int:
    """Number of items."""
    return meta_number(connection, "items")


def last_number(connection: sqlite3.Connection, table: str) -> int:
    """Largest number that a table, `items` or `removed`, has ever given to a row."""
    return meta_number(connection, f"last {table}")


def write_last_number(connection: sqlite3.Connection, table: str, number: int) -> None:
    """Write the largest number that a table has given to a row."""
    put(connection, f"last {table}", number)


def read_model(connection: sqlite3.Connection) -> str | None:
    """Read the model that filled the gallery; None if unknown."""
    found = get(connection, "model")
    return None if found is None else str(found)


def write_model(connection: sqlite3.Connection, model: str) -> None:
    """Write the model that fills the gallery."""
    put(connection, "model", model)


def read_index_settings(connection: sqlite3.Connection) -> IndexSettings:
    """Read the index settings; all unset before `set_index`."""
    found = get(connection, "index settings")
    return IndexSettings() if found is None else IndexSettings(**json.loads(found))


def write_index_settings(connection: sqlite3.Connection, settings: IndexSettings) -> None:
    """Write the index settings."""
    put(connection, "index settings", json.dumps(settings.to_json()))
