"""Verification of a gallery in a folder: checks of the database and its segment files.

The data may be damaged in any way, so each check is independent: one that fails is reported as a problem, and the
others continue.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any, Final

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.gallery import stored_parameters
from lookalike.gallery.filters.clause import ITEMS_WITH_GARMENTS
from lookalike.gallery.health import Health
from lookalike.gallery.local import garments_table, schema
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.metadata_table import read_model, read_spaces
from lookalike.gallery.local.row_checksums import (
    GARMENT_SUM,
    ITEM_SUM,
    META_SUM,
    NAME_SUM,
    OVERRIDE_SUM,
    REMOVED_SUM,
    vector_sum,
)
from lookalike.gallery.local.segment import Segment
from lookalike.gallery.local.segment_files import SegmentFiles
from lookalike.gallery.records import UNIT_TOLERANCE, read_parts, read_raw_vectors, read_unit_vectors
from lookalike.index import RowFormat
from lookalike.spaces import Space, slices
from lookalike.types import Float32, Int64, Item

BATCH: Final = 4096
MOST_NAMED: Final = 5
"""Number of items that a problem names; further ones are counted."""

Check = Callable[[sqlite3.Connection], Iterator[str]]
"""Yields one message for each problem."""

CHECKSUMMED: Final = (
    ("items", "id", ITEM_SUM, "the items {}"),
    ("meta", "key", META_SUM, "the metadata {}"),
    ("attribute_names", "name", NAME_SUM, "the attributes {}"),
    ("removed", "row", REMOVED_SUM, "the removed rows {}"),
    ("edits", "id", OVERRIDE_SUM, "the overrides of {}"),
    ("garments", "vector", GARMENT_SUM, "the garments of rows {}"),
)
"""Each table but `vectors`: name, key column, SQL of the checksum, and the rows as a message calls them. Only a gallery
with garments has the last."""


def verify(database: Database, segment_files: SegmentFiles, text_files: TextFiles, *, photos: bool) -> Health:
    """Check the database, and its segment files and full text against it.

    Args:
        database: The database.
        segment_files: Its segment files.
        text_files: Its files of full text.
        photos: Check that the files of photos exist; photos at URLs are not checked.
    """
    problems: list[str] = []
    items = 0
    with database.examining() as connection:
        with_garments = garments_table.exists(connection)
    tables = CHECKSUMMED if with_garments else CHECKSUMMED[:-1]
    checks: list[tuple[str, Check]] = [
        ("the database's pages", pages),
        ("the database's tables", lambda connection: iter(schema.problems(connection))),
        *((f"the table {table}", wrong_checksums(table, *about)) for table, *about in tables),
        ("the metadata", unreadable_metadata),
        ("the tables' agreement", contradictions),
        *([("the garments", contradicting_garments)] if with_garments else []),
        ("the attributes", unreadable_attributes),
        ("the vectors", lambda connection: wrong_vectors(connection, None)),
        ("the segment files", lambda connection: wrong_segment_files(connection, segment_files)),
        ("the full text", lambda connection: wrong_words(connection, text_files)),
    ]
    checks += [("photos", missing_photos)] if photos else []
    with database.examining() as connection:
        for what, check in checks:
            try:
                problems += check(connection)
            except (
                sqlite3.Error,
                LookalikeError,
                OSError,
                ValueError,
                TypeError,
                LookupError,
                AttributeError,
            ) as error:
                problems.append(f"{what} cannot be checked: {one_line(error)}")
            except (MemoryError, OverflowError, RecursionError) as error:
                problems.append(f"{what} cannot be checked: {type(error).__name__}")
        try:
            (items,) = connection.execute("SELECT count(*) FROM items").fetchone()
        except sqlite3.Error as error:
            problems.append(f"the items cannot be counted: {one_line(error)}")
    return Health(items, tuple(dict.fromkeys(problems)))


def one_line(error: Exception) -> str:
    """Message of an error without line breaks."""
    return " ".join(str(error).split()) or type(error).__name__


def pages(connection: sqlite3.Connection) -> Iterator[str]:
    """Problems that SQLite's own integrity check finds."""
    for (line,) in connection.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield f"the database: {one_line(line)}"


def wrong_checksums(table: str, name: str, checksum: str, words: str) -> Check:
    """Make the check of the checksums in a table."""

    def check(connection: sqlite3.Connection) -> Iterator[str]:
        statement = f"SELECT {name} FROM {table} WHERE checksum IS NOT {checksum}"
        wrong = [str(found) for (found,) in connection.execute(statement)]
        if wrong:
            yield f"{words.format(named(wrong))}: not as written"

    return check


def unreadable_metadata(connection: sqlite3.Connection) -> Iterator[str]:
    """Metadata that cannot be read."""
    for what, read in (
        ("its spaces", read_spaces),
        ("its model", read_model),
        ("its weights", stored_parameters.read),
        ("its projections", stored_parameters.read_projections),
    ):
        try:
            read(connection)
        except (sqlite3.Error, LookalikeError, ValueError, TypeError, LookupError, AttributeError) as error:
            yield f"{what} cannot be read: {one_line(error)}"


def contradictions(connection: sqlite3.Connection) -> Iterator[str]:
    """Contradictions between tables."""
    for table, key, what in (("items", "items", "items"), ("attribute_names", "names", "attributes")):
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        told = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if told is None or told[0] != count:
            yield f"there are {count} {what}, and the metadata count {told[0] if told else 'none'}"
    (bare,) = connection.execute("SELECT count(*) FROM items WHERE row NOT IN (SELECT row FROM vectors)").fetchone()
    if bare:
        yield f"{bare} items have no vectors"
    described = "SELECT row FROM items"
    if garments_table.exists(connection):
        described += " UNION SELECT vector FROM garments"
    (orphans,) = connection.execute(f"SELECT count(*) FROM vectors WHERE row NOT IN ({described})").fetchone()
    if orphans:
        yield f"{orphans} vectors belong to no item"


def contradicting_garments(connection: sqlite3.Connection) -> Iterator[str]:
    """Contradictions between garments and the other tables."""
    for key, table in (("garments", "garments"), ("vectors", "vectors")):
        (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
        told = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if told is None or told[0] != count:
            yield f"there are {count} rows in {table}, and the metadata count {told[0] if told else 'none'}"
    for what, condition in (
        ("have no vectors", "vector NOT IN (SELECT row FROM vectors)"),
        ("belong to no item", "item NOT IN (SELECT row FROM items)"),
    ):
        (wrong,) = connection.execute(f"SELECT count(*) FROM garments WHERE {condition}").fetchone()
        if wrong:
            yield f"{wrong} garments {what}"
    joined = connection.execute(f"SELECT row, id, box, vector, garment FROM {ITEMS_WITH_GARMENTS} ORDER BY row, vector")
    for (row, item_id, parts), records in groupby(joined, key=lambda record: record[:3]):
        _, garments, _ = read_parts(parts)
        listed = [(vector, kind) for *_, vector, kind in records if vector is not None]
        if listed != [(row + number, garment.kind) for number, garment in enumerate(garments)]:
            yield f"the garments of {item_id!r} are not those of its rows"


def unreadable_attributes(connection: sqlite3.Connection) -> Iterator[str]:
    """Attributes that are not JSON, or have no name."""
    unreadable = connection.execute("SELECT id FROM items WHERE NOT json_valid(attributes)").fetchall()
    if unreadable:
        yield f"the attributes of {named([item_id for (item_id,) in unreadable])} cannot be read"
        return
    (unknown,) = connection.execute(
        """SELECT count(DISTINCT value.key) FROM items, json_each(items.attributes) AS value
           WHERE CAST(value.key AS INTEGER) NOT IN (SELECT number FROM attribute_names)"""
    ).fetchone()
    if unknown:
        yield f"{unknown} attributes have no name"


def plain_spaces(connection: sqlite3.Connection) -> tuple[Space, ...]:
    """Spaces of the gallery, read without checking their checksum."""
    (text,) = connection.execute("SELECT value FROM meta WHERE key = 'spaces'").fetchone()
    return tuple(Space(*values) for values in json.loads(text))


def wrong_vectors(connection: sqlite3.Connection, kept: Segment | None) -> Iterator[str]:
    """Damaged vectors, and rows of a segment that differ from the database.

    Args:
        connection: Connection in a transaction.
        kept: Segment to compare with; None checks the vectors only.
    """
    spaces = plain_spaces(connection)
    row_format = RowFormat.of(spaces)
    sizes = "length(unit) IS NOT ?1 OR coalesce(length(raw), ?2) IS NOT ?2"
    of_format = row_format.row_bytes, 4 * row_format.width
    wrong = connection.execute(f"SELECT row FROM vectors WHERE {sizes}", of_format).fetchall()
    if wrong:
        yield f"the vectors of {named(ids_of(connection, [row for (row,) in wrong]))} have a wrong size"
        return
    found: dict[str, list[int]] = {"not as written": [], "not of unit length": [], "not finite": []}
    differing = 0
    cursor = connection.execute("SELECT row, unit, raw, checksum FROM vectors ORDER BY row")
    while batch := cursor.fetchmany(BATCH):
        numbers = np.array([row for row, *_ in batch], dtype=np.int64)
        unit = read_unit_vectors([unit for _, unit, _, _ in batch], row_format)
        raw = read_raw_vectors([(unit, raw) for _, unit, raw, _ in batch], row_format)
        found["not as written"] += [row for row, *about, checksum in batch if vector_sum(row, *about) != checksum]
        found["not of unit length"] += numbers[~are_unit(unit, spaces)].tolist()
        found["not finite"] += numbers[~(np.isfinite(unit) & np.isfinite(raw)).all(axis=1)].tolist()
        differing += 0 if kept is None else differences(kept, numbers, unit)
    for what, rows in found.items():
        if rows:
            yield f"the vectors of {named(ids_of(connection, rows))} are {what}"
    if differing:
        yield f"{differing} derived rows differ from the database; delete {kept and kept.folder}, and it is built again"


def are_unit(rows: Float32, spaces: tuple[Space, ...]) -> Any:  # noqa: ANN401 - (B,) bool
    """Whether each of the rows, (B, sum of D) float32, is of unit length or zero in every space: (B,) bool."""
    right = np.ones(len(rows), dtype=np.bool_)
    with np.errstate(all="ignore"):
        for place in slices(spaces).values():
            squares = np.vecdot(rows[:, place], rows[:, place])
            right &= (np.abs(squares - 1) <= 4 * UNIT_TOLERANCE) | (squares == 0)
    return right


def wrong_segment_files(connection: sqlite3.Connection, segment_files: SegmentFiles) -> Iterator[str]:
    """Segment files that are damaged, or differ from the database."""
    yield from segment_files.damage()
    kept = segment_files.open(connection)
    if kept is not None:
        for problem in wrong_vectors(connection, kept):
            if "derived" in problem:
                yield problem
        yield from kept.damaged_indexes()


def wrong_words(connection: sqlite3.Connection, text_files: TextFiles) -> Iterator[str]:
    """Files of full text that are damaged, or differ from the items."""
    yield from text_files.damage()
    kept = text_files.open(connection)
    if kept is not None:
        try:
            if kept.is_advanced(connection):
                yield from kept.differences(connection)
        finally:
            kept.close()


def differences(kept: Segment, rows: Int64, unit: Float32) -> int:
    """Number of rows of a segment that differ from the database."""
    ours = rows[np.isin(rows, kept.numbers)]
    theirs = kept.unit[kept.positions(ours)]
    return int((theirs != unit[np.isin(rows, ours)]).any(axis=1).sum())


def missing_photos(connection: sqlite3.Connection) -> Iterator[str]:
    """Items whose photos are missing."""
    gone = []
    for item_id, photo, root in connection.execute("SELECT id, photo, root FROM items ORDER BY row"):
        location = Item(id=item_id, photo=photo, root=root).location
        if "://" not in location and not os.path.exists(location):  # noqa: PTH110 - Path may raise
            gone.append(item_id)
    if gone:
        yield f"the photos of {named(gone)} are missing"


def ids_of(connection: sqlite3.Connection, rows: list[int]) -> list[str]:
    """Ids of the items in rows; `row N` for a row without an item."""
    owner = "value"
    if garments_table.exists(connection):
        owner = "coalesce((SELECT item FROM garments WHERE vector = value), value)"
    statement = f"""SELECT coalesce(items.id, 'row ' || value) FROM json_each(?) LEFT JOIN items ON row = {owner}
                    ORDER BY value"""
    return [item_id for (item_id,) in connection.execute(statement, (json.dumps(rows),))]


def named(ids: list[str]) -> str:
    """List of ids for a message, cut to `MOST_NAMED`."""
    shown = ", ".join(repr(item_id) for item_id in ids[:MOST_NAMED])
    return shown if len(ids) <= MOST_NAMED else f"{shown} and {len(ids) - MOST_NAMED} other items"
