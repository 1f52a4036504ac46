"""Products of rows, and rows of products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lookalike.gallery.filters.milvus import column, literal
from lookalike.gallery.milvus.reads import AT_ONCE, MANY_AT_ONCE, MilvusReader
from lookalike.gallery.product_rows import ProductRows

FIELDS = ("_row", "product")


def products_by_row(reader: MilvusReader, rows: Sequence[int]) -> dict[int, str | None]:
    """Products by row number; unknown rows are left out."""
    return {number: row.get("product") for number, row in reader.by_row(rows, FIELDS).items()}


def rows_of_products(reader: MilvusReader, products: Sequence[str], where: str) -> ProductRows:
    """Rows of products that pass an expression."""
    found: dict[int, str] = {}
    for at in range(0, len(products), AT_ONCE):
        named = f"{column('product')} in [{', '.join(map(literal, products[at : at + AT_ONCE]))}]"
        for rows in reader.ordered(f"{named} and ({where})", FIELDS, size=MANY_AT_ONCE):
            found |= {row["_row"]: row["product"] for row in rows}
    numbers = np.array(sorted(found), dtype=np.int64)
    return ProductRows(numbers, numbers, [found[number] for number in numbers.tolist()])
