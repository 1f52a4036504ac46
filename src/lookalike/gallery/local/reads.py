"""Reads of items, pages, facets, vectors and filtered row numbers from the database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Final

import numpy as np

from lookalike.errors import UnknownNameError
from lookalike.gallery.filters.clause import GARMENT, ITEMS_WITH_GARMENTS, Clause
from lookalike.gallery.filters.shapes import CompiledShapes
from lookalike.gallery.local import garments_table
from lookalike.gallery.local.integrity import CHECKED, check_all
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.row_checksums import VectorRow, checked_vectors, damaged
from lookalike.gallery.records import (
    ITEM_COLUMNS,
    AttributeNames,
    Kinds,
    read_item,
    read_raw_vectors,
    read_unit_vectors,
)
from lookalike.index import RowFormat
from lookalike.spaces import Space
from lookalike.storage.json_texts import json_texts
from lookalike.types import Facet, Float32, Garment, Int64, Item

LARGEST: Final = 2**63 - 1
"""SQLite's largest integer."""

LONGEST_NAMED: Final = 80
"""Characters of the longest id that an error suggests."""

PRODUCT: Final = "CASE WHEN coalesce(product, '') = '' THEN row ELSE product END"
"""SQL expression of what a product is told apart by; an item without one is a product by itself."""

ITEMS_OF_ROWS: Final = f"SELECT row, {ITEM_COLUMNS} FROM items WHERE row IN (SELECT value FROM json_each(?))"

EVERYTHING: Final = Clause("1", (), frozenset())


def compile_filter(where: str | None, names: AttributeNames, *, with_garments: bool) -> Clause:
    """Compile a `where` expression to SQL.

    Args:
        where: Expression; None passes everything.
        names: Names of attributes.
        with_garments: Whether the gallery has the table of garments.

    Raises:
        FilterError: The expression is invalid.
    """
    if where is None:
        return EVERYTHING
    from lookalike.gallery.filters import expression
    from lookalike.gallery.filters.sqlite import FIELDS_WITH_GARMENTS, SqliteCompiler

    fields = FIELDS_WITH_GARMENTS if with_garments else expression.FIELDS
    return SqliteCompiler(names.number, names.kinds, fields=fields).clause(
        expression.parse(where, names.kinds, fields=fields)
    )


def filters_of(names: AttributeNames, *, with_garments: bool) -> CompiledShapes:
    """Compiler of filters for the attributes of a gallery, which keeps them; see `compile_filter`."""
    return CompiledShapes(partial(compile_filter, names=names, with_garments=with_garments))


def filter_of(connection: sqlite3.Connection, where: str | None) -> tuple[AttributeNames, Clause]:
    """Names of attributes, and a `where` expression compiled with them; see `compile_filter`."""
    names = AttributeNames.read(connection)
    return names, compile_filter(where, names, with_garments=garments_table.exists(connection))


def kinds_of_attributes(connection: sqlite3.Connection) -> dict[str, Kinds]:
    """Kinds of values ever stored, by attribute, and by `garment` in a gallery with garments."""
    kinds = dict(AttributeNames.read(connection).kinds)
    if not garments_table.exists(connection):
        return kinds
    return {GARMENT: Kinds.TEXT, **{name: each for name, each in kinds.items() if name != GARMENT}}


def matching_rows(
    connection: sqlite3.Connection, clause: Clause, *, after: int | None = None, among: Iterable[int] | None = None
) -> Int64:
    """Numbers of the rows that a filter passes, in any order: (N,) int64.

    Args:
        connection: Connection in a transaction.
        clause: The compiled filter.
        after: Row number; only rows of items with larger ones. None takes all.
        among: Rows of items; only their rows. None takes all.
    """
    row, table, condition, parameters = "row", "items", clause.sql, clause.parameters
    if garments_table.exists(connection):
        row, table = "coalesce(vector, row)", ITEMS_WITH_GARMENTS
    # Without `NOT INDEXED`, all rows that the filter passes are looked up in the index of an attribute.
    if after is not None:
        table, condition = table.replace("items", "items NOT INDEXED", 1), f"row > ? AND {condition}"
        parameters = (after, *parameters)
    if among is not None:
        table = table.replace("items", "items NOT INDEXED", 1)
        condition = f"row IN (SELECT value FROM json_each(?)) AND {condition}"
        parameters = (json.dumps(list(among)), *parameters)
    # One text takes a quarter of the time, and a tenth of the memory, of a tuple for each row.
    (text,) = connection.execute(f"SELECT group_concat({row}) FROM {table} WHERE {condition}", parameters).fetchone()
    return np.fromstring(text or "", dtype=np.int64, sep=",")


def page(
    connection: sqlite3.Connection,
    names: AttributeNames,
    clause: Clause,
    *,
    offset: int,
    limit: int | None,
    group: str | None = None,
) -> tuple[int, list[Item]]:
    """Number of items that a filter passes, and a page of them in the order of their rows; of products with `group`."""
    passing = clause.on_items
    if group is not None:
        passing = f"row IN (SELECT min(row) FROM items WHERE {passing} GROUP BY {PRODUCT})"
    count = f"SELECT count(*) FROM items WHERE {passing}"
    select = f"SELECT {ITEM_COLUMNS} FROM items WHERE {passing} ORDER BY row LIMIT ? OFFSET ?"
    (total,) = connection.execute(count, clause.parameters).fetchone()
    shown = -1 if limit is None else min(limit, total)
    rows = connection.execute(select, (*clause.parameters, shown, min(offset, total)))
    return total, [read_item(row, names) for row in rows]


def facets(
    connection: sqlite3.Connection, names: AttributeNames, clause: Clause, *, limit: int, group: str | None = None
) -> list[Facet]:
    """Most frequent values of each attribute, with their counts; of products with `group`."""
    counted = connection.execute(
        f"""
        WITH passed AS (SELECT attributes, {PRODUCT} AS owner FROM items WHERE {clause.on_items}),
        counted AS (
            SELECT value.key AS number, CASE value.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false'
                ELSE CAST(value.atom AS TEXT) END AS shown, {"count(*)" if group is None else "count(DISTINCT owner)"}
                AS times, max(CASE WHEN value.type IN ('integer', 'real') THEN value.atom END) AS amount
            FROM passed, json_each(passed.attributes) AS value
            WHERE value.type NOT IN ('null', 'array', 'object')
            GROUP BY 1, 2
        ),
        ranked AS (
            SELECT *, row_number() OVER (PARTITION BY number ORDER BY times DESC, shown) AS place,
                min(amount) OVER (PARTITION BY number) AS low, max(amount) OVER (PARTITION BY number) AS high
            FROM counted
        )
        SELECT number, shown, times, low, high FROM ranked WHERE place <= ? ORDER BY CAST(number AS INTEGER), place
        """,
        (*clause.parameters, min(limit, LARGEST)),
    )
    by_name: dict[str, dict[str, int]] = {}
    ranges: dict[str, tuple[float, float] | None] = {}
    for number, shown, times, low, high in counted:
        name = names.name(number)
        by_name.setdefault(name, {})[shown] = times
        ranges[name] = None if low is None else (low, high)
    found = [Facet(name, counts, ranges[name]) for name, counts in by_name.items()]
    if not garments_table.exists(connection):
        return found
    counted = connection.execute(
        f"""SELECT garment, count(DISTINCT {"item" if group is None else PRODUCT}) AS times
            FROM garments JOIN items ON items.row = item
            WHERE item IN (SELECT row FROM items WHERE {clause.on_items})
            GROUP BY garment ORDER BY times DESC, garment LIMIT ?""",
        (*clause.parameters, min(limit, LARGEST)),
    )
    return [Facet(GARMENT, dict(counted)), *(facet for facet in found if facet.name != GARMENT)]


def items_by_row(connection: sqlite3.Connection, names: AttributeNames, rows: Sequence[int]) -> dict[int, Item]:
    """Items by row number, also by those of their further garments; unknown rows are left out.

    Raises:
        GalleryDamagedError: A row has vectors but no item, or an item's checksum is wrong.
    """
    wanted = {int(row) for row in rows}
    owners = garments_table.owners(connection, wanted)
    found = connection.execute(ITEMS_OF_ROWS, (str([*wanted, *owners.values()]),))
    of_items = {row: read_item(record, names) for row, *record in found}
    items = (
        {row: of_items[owner] for row in wanted if (owner := owners.get(row, row)) in of_items} if owners else of_items
    )
    missing = wanted - items.keys()
    if missing:
        statement = "SELECT row FROM vectors WHERE row IN (SELECT value FROM json_each(?))"
        lost = connection.execute(statement, (json.dumps(list(missing)),)).fetchone()
        if lost is not None:
            raise damaged(f"the item of row {lost[0]}")
    return items


def garments_by_row(connection: sqlite3.Connection, names: AttributeNames, rows: Sequence[int]) -> dict[int, Garment]:
    """Garments by row number; rows of whole photos or boxes, and unknown rows, are left out.

    Raises:
        GalleryDamagedError: As `items_by_row`.
    """
    owners = garments_table.owners(connection, rows)
    items = items_by_row(connection, names, rows)
    return {row: item.garments[row - owners.get(row, row)] for row, item in items.items() if item.garments}


def item_by_id(connection: sqlite3.Connection, names: AttributeNames, item_id: str) -> Item:
    """Read one item.

    Raises:
        UnknownNameError: There is no such item.
    """
    record = connection.execute(f"SELECT {ITEM_COLUMNS} FROM items WHERE id = ?", (item_id,)).fetchone()
    if record is None:
        raise unknown_item(connection, item_id)
    return read_item(record, names)


def vectors_by_id(connection: sqlite3.Connection, item_id: str, *, spaces: Sequence[Space]) -> Float32:
    """Raw vectors of one item: (1, sum of D) float32.

    Raises:
        UnknownNameError: There is no such item.
    """
    statement = "SELECT row, unit, raw, vectors.checksum FROM items LEFT JOIN vectors USING (row) WHERE id = ?"
    record = connection.execute(statement, (item_id,)).fetchone()
    if record is None:
        raise unknown_item(connection, item_id)
    return raw_vectors([record], spaces=spaces)


def raw_vectors(rows: Sequence[VectorRow], *, spaces: Sequence[Space]) -> Float32:
    """Raw vectors of rows (row, unit, raw, checksum): (B, sum of D) float32.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    row_format = RowFormat.of(spaces)
    checked = checked_vectors(rows, row_format)
    return read_raw_vectors([(unit, raw) for _, unit, raw, _ in checked], row_format)


def units_by_row(connection: sqlite3.Connection, rows: Sequence[int], *, spaces: Sequence[Space]) -> Float32:
    """Unit vectors of rows, (B, sum of D) float32; zeros for an unknown row.

    Raises:
        GalleryDamagedError: A checksum is wrong.
    """
    statement = """SELECT value, unit, raw, vectors.checksum FROM json_each(?) AS wanted
                   CROSS JOIN {} ON {} = wanted.value LEFT JOIN vectors ON vectors.row = wanted.value"""
    wanted = [int(row) for row in rows]
    described = [("items", "items.row")]
    if garments_table.exists(connection):
        described.append(("garments", "vector"))
    records = [
        record for by in described for record in connection.execute(statement.format(*by), (json.dumps(wanted),))
    ]
    row_format = RowFormat.of(spaces)
    units = {row: unit for row, unit, _, _ in checked_vectors(records, row_format)}
    nothing = bytes(row_format.row_bytes)
    return read_unit_vectors([units.get(row, nothing) for row in wanted], row_format)


def unknown_item(connection: sqlite3.Connection, item_id: str) -> UnknownNameError:
    """The error for an unknown id, with a few near ids for a mistyped one.

    Raises:
        GalleryDamagedError: The items, or their index by id, are damaged, so that the id may exist.
    """
    if meta_number(connection, "items") <= CHECKED:
        check_all(connection)
    near = connection.execute("SELECT id FROM items WHERE id >= ? ORDER BY id LIMIT 3", (item_id,)).fetchall()
    first = connection.execute("SELECT id FROM items WHERE id < ? ORDER BY id DESC LIMIT 3", (item_id,)).fetchall()
    return UnknownNameError("item", item_id, [known for (known,) in first + near if len(known) <= LONGEST_NAMED])


def sources(connection: sqlite3.Connection) -> dict[str, int]:
    """Number of items of each source."""
    return dict(connection.execute("SELECT source, count(*) FROM items GROUP BY source ORDER BY source"))


def rows_of_ids(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    """Row numbers by id; unknown ids are left out."""
    statement = "SELECT id, row FROM items WHERE id IN (SELECT value FROM json_each(?))"
    return dict(connection.execute(statement, (json_texts(ids),)))
