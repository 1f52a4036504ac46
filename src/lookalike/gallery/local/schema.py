"""Schema of a gallery's database."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Final

from lookalike.errors import GalleryDamagedError, GalleryNotFoundError, MismatchError
from lookalike.gallery.filters.clause import attribute_expression
from lookalike.gallery.local import metadata_table
from lookalike.gallery.local.row_checksums import WAY_OUT

FORMAT: Final = 2
FORMAT_WITH_GARMENTS: Final = 3
"""Format from the first item on that is described by its garments."""

APPLICATION_ID: Final = 0x4C6F6F6B  # "Look", where `file` finds it

SCHEMA: Final = """
-- Each row of each table has a checksum over all of its other columns; see `row_checksums`.

CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL, checksum INTEGER NOT NULL) STRICT, WITHOUT ROWID;

-- `attributes` is a JSON object whose keys are numbers of `attribute_names`: no name ever becomes part of a statement.
-- `box` is a JSON list of corners, or an object with the garments of the photo, see records.parts_text.
CREATE TABLE items (
    row INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    product TEXT,
    photo TEXT NOT NULL,
    root TEXT NOT NULL,
    box TEXT,
    attributes TEXT NOT NULL,
    source TEXT NOT NULL,
    size INTEGER,
    modified_ns INTEGER,
    sha256 TEXT,
    checksum INTEGER NOT NULL
) STRICT;
CREATE INDEX items_by_source ON items (source);

-- `kinds` are the kinds of values ever stored under the name, see records.Kinds.
CREATE TABLE attribute_names (
    number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, kinds INTEGER NOT NULL, checksum INTEGER NOT NULL
) STRICT;

-- Concatenated in the order of the spaces, little-endian: `unit` in the gallery's row format, see row_format, and `raw`
-- in float32, only where the added vectors are not of unit length.
CREATE TABLE vectors (row INTEGER PRIMARY KEY, unit BLOB NOT NULL, raw BLOB, checksum INTEGER NOT NULL) STRICT;

CREATE TABLE removed (number INTEGER PRIMARY KEY, row INTEGER NOT NULL, checksum INTEGER NOT NULL) STRICT;

-- Overrides, see overrides_table; in `changes`, null removes an attribute.
CREATE TABLE edits (
    id TEXT PRIMARY KEY, described TEXT NOT NULL, changes TEXT NOT NULL, checksum INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""

GARMENTS: Final = (
    # A row of `vectors`, the row of `items` that it belongs to, and the kind of garment; see `garments_table`. Only the
    # checksum has the name of a column of `items`, so that the two tables can be joined.
    """CREATE TABLE garments (
    vector INTEGER PRIMARY KEY, item INTEGER NOT NULL, garment TEXT NOT NULL, checksum INTEGER NOT NULL
) STRICT""",
    "CREATE INDEX garments_by_item ON garments (item)",
)
"""Statements that a gallery of garments is extended by."""

ATTRIBUTE_INDEX: Final = "items_by_attribute_"
"""Prefix of the names of attribute indexes; a number of `attribute_names` follows."""

PRODUCT_INDEX: Final = "items_by_product"
"""Name of the index by product, which a large gallery gets when products are first asked for."""

PAGE_BYTES: Final = 16384
"""A page holds several rows of vectors; with SQLite's own 4096 nearly half of each would stay empty."""


def write(connection: sqlite3.Connection) -> None:
    """Write the schema of an empty gallery to an empty file."""
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    first: dict[str, str | int] = {"generation": uuid.uuid4().hex, "spaces": "[]", "change": 0, "raw": 0}
    first |= dict.fromkeys(("items", "names", "last items", "last removed"), 0)
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA.split(";\n")[:-1]:
        connection.execute(statement)
    for key, value in first.items():
        metadata_table.put(connection, key, value)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")
    connection.execute("PRAGMA journal_mode = WAL")


def problems(connection: sqlite3.Connection) -> list[str]:
    """List missing, changed and foreign tables, indexes, views and triggers, one message each."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    wanted = expected(with_garments=version == FORMAT_WITH_GARMENTS)
    found = {(kind, name): sql for kind, name, sql in connection.execute(LISTED)}
    said = [f"the {kind} {name} is missing" for kind, name in wanted if (kind, name) not in found]
    for (kind, name), sql in found.items():
        made = wanted.get((kind, name)) or (made_later(name) if kind == "index" else None)
        if made is None or made != sql:
            said.append(f"the {kind} {name} differs from the schema")
    return said


def check_tables(connection: sqlite3.Connection, path: Path, *, known: int | None) -> int:
    """Check that the tables, indexes, views and triggers are a gallery's; returns SQLite's number of the schema.

    Args:
        connection: Connection to the database.
        path: Path of the database, for the message.
        known: Number of a schema that has been checked, and is not checked again.

    Raises:
        GalleryDamagedError: Something is missing, changed or foreign.
    """
    number: int = connection.execute("PRAGMA schema_version").fetchone()[0]
    if number != known:
        found = problems(connection)
        if found:
            raise GalleryDamagedError(f"{path} is damaged: {found[0]}; {WAY_OUT}")
    return number


def distrust_foreign(connection: sqlite3.Connection) -> bool:
    """Keep SQLite from calling functions in the SQL of a schema that is not a gallery's. Returns whether it is none."""
    try:
        if not problems(connection):
            return False
    except sqlite3.Error:  # the caller's own statements tell
        pass
    connection.execute("PRAGMA trusted_schema = OFF")
    return True


# A trigger may have the name of a table, and names of triggers and views may begin with `sqlite_` when another program
# has written them. Only the indexes of constraints, and the statistics of ANALYZE, are left out.
LISTED: Final = """
SELECT type, name, sql FROM sqlite_schema
WHERE NOT (type = 'index' AND sql IS NULL) AND NOT (type = 'table' AND name GLOB 'sqlite_stat*')
"""


@cache
def expected(*, with_garments: bool = False) -> dict[tuple[str, str], str]:
    """CREATE statements of the tables and indexes of a gallery, by type and name."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        for statement in GARMENTS if with_garments else ():
            connection.execute(statement)
        return {(kind, name): sql for kind, name, sql in connection.execute(LISTED)}


def made_later(name: str) -> str | None:
    """CREATE statement of an index that galleries get when they need it; None if the name is not that of one."""
    return f"CREATE INDEX {PRODUCT_INDEX} ON items (product)" if name == PRODUCT_INDEX else attribute_index(name)


def attribute_index(name: str) -> str | None:
    """CREATE statement of an attribute index; None if the name is not that of one."""
    number = name.removeprefix(ATTRIBUTE_INDEX)
    if number == name or not (number.isascii() and number.isdecimal()):
        return None
    return f"CREATE INDEX {name} ON items ({attribute_expression(int(number))})"


def check(connection: sqlite3.Connection, path: Path) -> None:
    """Check that a database is a gallery's, in the format of this version.

    Raises:
        GalleryNotFoundError: The database belongs to another program.
        MismatchError: The gallery has another format.
    """
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise GalleryNotFoundError(f"{path} is a database, but not a gallery's")
    if version not in (FORMAT, FORMAT_WITH_GARMENTS):
        raise MismatchError(
            f"{path.parent} has the gallery format {version}, and this version of lookalike reads {FORMAT}; open it "
            "with the version that made it, and use `gallery export --format parquet` to convert it"
        )
