"""Rows of products, as `Gallery.product_rows` gives them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lookalike.types import Int64


@dataclass(frozen=True, slots=True)
class ProductRows:
    """Rows of the photos of some products.

    Attributes:
        rows: (N,) int64, row numbers, ascending; an item that is embedded by its garments has a row for each.
        items: (N,) int64, the row of the item that each belongs to.
        products: Product of each row.
    """

    rows: Int64
    items: Int64
    products: Sequence[str]
