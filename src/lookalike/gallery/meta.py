"""What a gallery's database says of itself: its spaces, its counters, and the signatures of its changes."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Final

from lookalike.spaces import Space


def read_spaces(connection: sqlite3.Connection) -> tuple[Space, ...]:
    """The spaces that the first `add` decided; none before."""
    (text,) = connection.execute("SELECT value FROM meta WHERE key = 'spaces'").fetchone()
    return tuple(Space(name=name, dimension=dimension, maker=maker) for name, dimension, maker in json.loads(text))


def write_spaces(connection: sqlite3.Connection, spaces: Sequence[Space]) -> None:
    """Decide the spaces of a gallery that has none."""
    text = json.dumps([[space.name, space.dimension, space.maker] for space in spaces])
    connection.execute("UPDATE meta SET value = ? WHERE key = 'spaces'", (text,))


SIGNATURES_KEPT: Final = 10_000
"""Rows derived before that many commits are derived anew: it takes less time than those commits took."""


def sign_change(connection: sqlite3.Connection) -> None:
    """Count a change and give it a random signature, so that histories that part from one backup can be told apart."""
    connection.execute("UPDATE meta SET value = value + 1 WHERE key = 'change'")
    change = meta_number(connection, "change")
    connection.execute("INSERT INTO meta VALUES (?, ?)", (signature_key(change), uuid.uuid4().hex))
    connection.execute("DELETE FROM meta WHERE key = ?", (signature_key(change - SIGNATURES_KEPT),))


def signature_of(connection: sqlite3.Connection, change: int) -> str:
    """The signature of a change; empty when the database has had no such change, or long ago."""
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (signature_key(change),)).fetchone()
    return "" if found is None else str(found[0])


def signature_key(change: int | str) -> str:
    """Where the signature of a change stands in `meta`."""
    return f"change {change}"


def meta_number(connection: sqlite3.Connection, key: str) -> int:
    """One of the counters kept in `meta`."""
    (value,) = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(value)


def last_number(connection: sqlite3.Connection, table: str) -> int:
    """The largest number that a table has ever given to a row."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 0 if found is None else int(found[0])


def read_model(connection: sqlite3.Connection) -> str | None:
    """Where the model was that filled the gallery; None when nobody has said."""
    found = connection.execute("SELECT value FROM meta WHERE key = 'model'").fetchone()
    return None if found is None else str(found[0])


def write_model(connection: sqlite3.Connection, model: str) -> None:
    """Remember where the model is that fills the gallery."""
    connection.execute("INSERT OR REPLACE INTO meta VALUES ('model', ?)", (model,))
