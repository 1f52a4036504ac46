"""What a gallery's database says of itself: its spaces, its counters, and the signatures of its changes."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Any, Final

from lookalike.gallery.local.row_checksums import META_SUM, crc_of_any, damaged
from lookalike.index.settings import IndexSettings
from lookalike.spaces import Space

SIGNATURES_KEPT: Final = 10_000
"""Commits; a segment that is older is made again, which takes less time than those commits took."""


def get(connection: sqlite3.Connection, key: str) -> Any:  # noqa: ANN401 - text, a number or bytes
    """What is kept under a key; None when there is nothing.

    Raises:
        GalleryDamagedError: It is not what was put there.
    """
    found = connection.execute(f"SELECT value, checksum IS {META_SUM} FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        return None
    value, sound = found
    if not sound:
        raise damaged(f"what the gallery keeps as {key!r}")
    return value


def must_get(connection: sqlite3.Connection, key: str) -> Any:  # noqa: ANN401 - text, a number or bytes
    """What is kept under a key that every gallery has.

    Raises:
        GalleryDamagedError: It is not there, or not what was put there.
    """
    value = get(connection, key)
    if value is None:
        raise damaged(f"what the gallery keeps as {key!r}")
    return value


def put(connection: sqlite3.Connection, key: str, value: str | int | bytes) -> None:
    """Keep something under a key, in place of what was there."""
    checksum = crc_of_any("?1", "?2")
    connection.execute(f"INSERT OR REPLACE INTO meta (key, value, checksum) VALUES (?1, ?2, {checksum})", (key, value))


def increase(connection: sqlite3.Connection, key: str, by: int) -> None:
    """Count on."""
    put(connection, key, meta_number(connection, key) + by)


def read_spaces(connection: sqlite3.Connection) -> tuple[Space, ...]:
    """The spaces that the first `add` decided; none before."""
    text = must_get(connection, "spaces")
    return tuple(
        Space(name=name, dimension=dimension, model_id=model_id) for name, dimension, model_id in json.loads(text)
    )


def write_spaces(connection: sqlite3.Connection, spaces: Sequence[Space]) -> None:
    """Decide the spaces of a gallery that has none."""
    put(connection, "spaces", json.dumps([[space.name, space.dimension, space.model_id] for space in spaces]))


def sign_change(connection: sqlite3.Connection) -> None:
    """Count a change and give it a random signature, so that histories that part from one backup can be told apart."""
    increase(connection, "change", 1)
    change = meta_number(connection, "change")
    put(connection, signature_key(change), uuid.uuid4().hex)
    connection.execute("DELETE FROM meta WHERE key = ?", (signature_key(change - SIGNATURES_KEPT),))


def signature_of(connection: sqlite3.Connection, change: int) -> str:
    """The signature of a change; empty when the database has had no such change, or long ago."""
    found = get(connection, signature_key(change))
    return "" if found is None else str(found)


def signature_key(change: int | str) -> str:
    """Where the signature of a change stands in `meta`."""
    return f"change {change}"


def meta_number(connection: sqlite3.Connection, key: str) -> int:
    """One of the counters kept in `meta`."""
    return int(must_get(connection, key))


def count_items(connection: sqlite3.Connection) -> int:
    """How many items there are."""
    return meta_number(connection, "items")


def last_number(connection: sqlite3.Connection, table: str) -> int:
    """The largest number that a table, `items` or `removed`, has ever given to a row."""
    return meta_number(connection, f"last {table}")


def write_last_number(connection: sqlite3.Connection, table: str, number: int) -> None:
    """Remember the largest number that a table has given to a row."""
    put(connection, f"last {table}", number)


def read_model(connection: sqlite3.Connection) -> str | None:
    """Where the model was that filled the gallery; None when it is not known."""
    found = get(connection, "model")
    return None if found is None else str(found)


def write_model(connection: sqlite3.Connection, model: str) -> None:
    """Remember where the model is that fills the gallery."""
    put(connection, "model", model)


def read_index_settings(connection: sqlite3.Connection) -> IndexSettings:
    """What the gallery's indexes are made with; nothing before it was decided."""
    found = get(connection, "index settings")
    return IndexSettings() if found is None else IndexSettings(**json.loads(found))


def write_index_settings(connection: sqlite3.Connection, settings: IndexSettings) -> None:
    """Decide what the gallery's indexes are made with."""
    put(connection, "index settings", json.dumps(settings.to_json()))
