"""The tables of a gallery's database."""

from __future__ import annotations

import sqlite3
import uuid
from typing import Final

FORMAT: Final = 1
APPLICATION_ID: Final = 0x4C6F6F6B  # "Look", where `file` finds it

SCHEMA: Final = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;

-- `attributes` is a JSON object whose keys are numbers of `attribute_names`: no name ever becomes part of a statement.
CREATE TABLE items (
    row INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    product TEXT,
    photo TEXT NOT NULL,
    root TEXT NOT NULL,
    box TEXT,
    attributes TEXT NOT NULL,
    source TEXT NOT NULL,
    size INTEGER,
    modified_ns INTEGER,
    sha256 TEXT
) STRICT;
CREATE INDEX items_by_source ON items (source);

-- `kinds` is what kinds of values have ever been stored under the name, see records.Kinds.
CREATE TABLE attribute_names (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kinds INTEGER NOT NULL) STRICT;

-- Concatenated in the order of the spaces, little-endian float32; `raw` only where what was added is not `unit`.
CREATE TABLE vectors (row INTEGER PRIMARY KEY, unit BLOB NOT NULL, raw BLOB) STRICT;

CREATE TABLE removed (number INTEGER PRIMARY KEY AUTOINCREMENT, row INTEGER NOT NULL) STRICT;
"""

PAGE_BYTES: Final = 16384
"""A page holds several rows of vectors; with SQLite's own 4096 nearly half of each would stay empty."""


def write(connection: sqlite3.Connection) -> None:
    """Make an empty file the database of an empty gallery."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    first = [("generation", uuid.uuid4().hex), ("spaces", "[]"), ("change", 0), ("items", 0), ("raw", 0)]
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA.split(";\n")[:-1]:
        connection.execute(statement)
    connection.executemany("INSERT INTO meta VALUES (?, ?)", first)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
