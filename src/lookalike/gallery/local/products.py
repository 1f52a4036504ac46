"""Products of rows, and rows of products."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Sequence

import numpy as np

from lookalike.errors import LookalikeError
from lookalike.gallery.filters.clause import ITEMS_WITH_GARMENTS, Clause
from lookalike.gallery.local import garments_table
from lookalike.gallery.local.attribute_indexes import WORTH_IT
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.metadata_table import meta_number
from lookalike.gallery.local.row_checksums import ITEM_SOUND, damaged
from lookalike.gallery.local.schema import PRODUCT_INDEX, made_later
from lookalike.gallery.product_rows import ProductRows
from lookalike.storage.json_texts import json_texts


def products_by_row(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, str | None]:
    """Products by row number, also by those of further garments; unknown rows are left out.

    Raises:
        GalleryDamagedError: An item's checksum is wrong.
    """
    wanted = [int(row) for row in rows]
    owners = garments_table.owners(connection, wanted)
    statement = f"SELECT row, product, {ITEM_SOUND} FROM items WHERE row IN (SELECT value FROM json_each(?))"
    found = connection.execute(statement, (json.dumps([*{owners.get(row, row) for row in wanted}]),)).fetchall()
    wrong = next((row for row, _, sound in found if not sound), None)
    if wrong is not None:
        raise damaged(f"the item of row {wrong}")
    products = {row: product for row, product, _ in found}
    return {row: products[owner] for row in wanted if (owner := owners.get(row, row)) in products}


def rows_of_products(connection: sqlite3.Connection, products: Sequence[str], clause: Clause) -> ProductRows:
    """Rows of the vectors of products that a filter passes; checksums are left to what reads the items."""
    number, table = "row", "items"
    if garments_table.exists(connection):
        number, table = "coalesce(vector, row)", ITEMS_WITH_GARMENTS
    if is_indexed(connection):  # else an index over an attribute of the filter may seem better to SQLite
        table = table.replace("items", f"items INDEXED BY {PRODUCT_INDEX}", 1)
    found = connection.execute(
        f"""SELECT {number}, row, product FROM {table}
            WHERE product IN (SELECT value FROM json_each(?)) AND {clause.sql} ORDER BY 1""",
        (json_texts(products, ensure_ascii=True), *clause.parameters),
    ).fetchall()
    rows, items = (np.array([record[place] for record in found], dtype=np.int64) for place in (0, 1))
    return ProductRows(rows, items, [record[2] for record in found])


def is_indexed(connection: sqlite3.Connection) -> bool:
    """Whether the items have an index by product."""
    query = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?"
    return connection.execute(query, (PRODUCT_INDEX,)).fetchone() is not None


def make_index(database: Database) -> None:
    """Create the index by product in a large gallery that has none; skipped while another process writes.

    It takes 0.1 s for 140,000 items. Without it the rows of products are found by reading all items.
    """
    if not database.writable:
        return
    with database.reading() as connection:
        if is_indexed(connection) or meta_number(connection, "items") < WORTH_IT:
            return
    with contextlib.suppress(LookalikeError), database.writing(patience_s=0) as connection:
        statement = made_later(PRODUCT_INDEX)
        assert statement is not None
        connection.execute(statement.replace("INDEX", "INDEX IF NOT EXISTS", 1))
