"""Shopify's product CSV: rows of one handle are a product; the first describes it, each may have a variant and a photo.

Rows with only a handle and a photo are further photos. Names of columns are those of the present export and of the one
before, whatever their case.

Source: help.shopify.com/en/manual/products/import-export/using-csv
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import Product, Remarks, feed_catalogue
from lookalike.catalogue.readers.feed_rows import rows_of
from lookalike.catalogue.readers.shopify_products import ShopifyProduct, ShopifyVariant, product_of, stock_of
from lookalike.catalogue.readers.text_lines import TextLines

HANDLES: Final = ("handle", "url handle")
PHOTOS: Final = ("image src", "product image url")

TEXTS: Final = {
    "title": ("title",),
    "description": ("body (html)", "description"),
    "brand": ("vendor",),
    "category": ("type", "product category"),
    "tags": ("tags",),
    "gender": ("google shopping / gender",),
    "age_group": ("google shopping / age group",),
    "condition": ("google shopping / condition",),
    "mpn": ("google shopping / mpn", "google shopping / manufacturer part number (mpn)"),
    **{f"custom_label_{number}": (f"google shopping / custom label {number}",) for number in range(5)},
}
"""Columns of the texts of the vocabulary, the first that is not empty."""

NOT_SOLD: Final = ("draft", "archived", "unlisted")


def is_shopify_table(header: Sequence[str]) -> bool:
    """Whether the names of columns are those of Shopify's product CSV."""
    names = {name.casefold() for name in header}
    return "title" in names and any(names.issuperset(pair) for pair in zip(HANDLES, PHOTOS, strict=True))


def open_shopify_table(path: Path, *, encoding: str | None) -> Catalogue:
    """Open a product CSV.

    Args:
        path: An absolute path.
        encoding: Encoding of a file without a byte order mark; None is UTF-8.

    Raises:
        CatalogueError: It cannot be read to its end, or has no item.
        AnnotationError: A row has too few or too many cells.
    """
    return feed_catalogue("shopify", path, lambda remarks: _products(path, encoding, remarks))


def _products(path: Path, encoding: str | None, remarks: Remarks) -> Iterator[Product]:
    lines = TextLines(path, encoding=encoding, columns=HANDLES)
    rows = ((line, {name.casefold(): cell for name, cell in row.items()}) for line, row in rows_of(lines))
    for handle, group in groupby(rows, key=lambda row: _first(row[1], HANDLES)):
        of_product = list(group)
        found = _product(handle, f"{path.name}:{of_product[0][0]}", [row for _, row in of_product])
        product = product_of(found, remarks)
        if product is not None:
            yield product


def _product(handle: str, place: str, rows: Sequence[Mapping[str, str]]) -> ShopifyProduct:
    first = rows[0]
    columns = [f"option{number} name" for number in (1, 2, 3)]
    names = [next((row[column] for row in rows if row.get(column)), "") for column in columns]
    state = first.get("status", "").casefold()
    is_published = _first(first, ("published", "published on online store")).casefold()
    photos = [(_position(row), photo) for row in rows if (photo := _first(row, PHOTOS))]
    return ShopifyProduct(
        handle=handle,
        place=place,
        texts={name: _first(first, columns) for name, columns in TEXTS.items()},
        option_names=names,
        variants=[variant for row in rows if (variant := _variant(row)) is not None],
        photos=[photo for _, photo in sorted(photos, key=lambda each: each[0])],
        is_sold=state not in NOT_SOLD and is_published != "false",
    )


def _variant(row: Mapping[str, str]) -> ShopifyVariant | None:
    """Variant of a row; None for a row of a further photo."""
    options = [row.get(f"option{number} value", "") for number in (1, 2, 3)]
    price, sku = _first(row, ("variant price", "price")), _first(row, ("variant sku", "sku"))
    if not (any(options) or price or sku):
        return None
    return ShopifyVariant(
        options=options,
        price=price,
        compare_at=_first(row, ("variant compare at price", "compare-at price")),
        in_stock=stock_of(
            tracker=_present(row, ("variant inventory tracker", "inventory tracker")),
            policy=_first(row, ("variant inventory policy", "continue selling when out of stock")),
            quantity=_present(row, ("variant inventory qty", "inventory quantity")),
        ),
        photo=_first(row, ("variant image", "variant image url")),
        sku=sku,
        barcode=_first(row, ("variant barcode", "barcode")),
    )


def _position(row: Mapping[str, str]) -> int:
    """Place of a photo among those of its product; rows without one come last, in their order."""
    text = row.get("image position", "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 10**9


def _first(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """The first cell of some columns that is not empty."""
    return next((row[name] for name in columns if row.get(name)), "")


def _present(row: Mapping[str, str], columns: Sequence[str]) -> str | None:
    """The cell of the first of some columns that the table has; None without any."""
    return next((row[name] for name in columns if name in row), None)
