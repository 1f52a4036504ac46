"""WooCommerce's product CSV: a row for each product and each variation, which names its product in `Parent`.

Source: github.com/woocommerce/woocommerce/wiki/Product-CSV-Import-Schema, and the exporter's own sample_products.csv.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import Product, Remarks, Variant, feed_catalogue, link_of, prices_of
from lookalike.catalogue.readers.feed_rows import rows_of
from lookalike.catalogue.readers.feed_values import attribute_name, clean, is_now, plain_text
from lookalike.catalogue.readers.text_lines import TextLines
from lookalike.types import JSON

COLUMNS: Final = ("SKU", "Images")
TEXTS: Final = {
    "title": ("name",),
    "description": ("description", "short description"),
    "brand": ("brands",),
    "category": ("categories",),
    "tags": ("tags",),
    "sku": ("sku",),
    "gtin": ("gtin, upc, ean, or isbn",),
}
"""Columns of the texts of the vocabulary, the first that is not empty."""

MOST_ATTRIBUTES: Final = 100
"""Most `Attribute N name` columns that are read."""

Row = Mapping[str, str]


def is_woocommerce(header: Sequence[str]) -> bool:
    """Whether the names of columns are those of WooCommerce's product CSV."""
    names = {name.casefold() for name in header}
    return {"type", "sku", "name", "images"} <= names and bool({"regular price", "published", "in stock?"} & names)


def open_woocommerce(path: Path, *, encoding: str | None) -> Catalogue:
    """Open a product CSV.

    Args:
        path: An absolute path.
        encoding: Encoding of a file without a byte order mark; None is UTF-8.

    Raises:
        CatalogueError: It cannot be read to its end, or has no item.
        AnnotationError: A row has too few or too many cells.
    """
    return feed_catalogue("woocommerce", path, lambda remarks: _Reading(path, encoding, remarks).products())


class _Reading:
    """One reading of a file: once for the variations of each product, and once for the products."""

    def __init__(self, path: Path, encoding: str | None, remarks: Remarks) -> None:
        self._path, self._remarks = path, remarks
        self._lines = TextLines(path, encoding=encoding, columns=COLUMNS)
        self._variations: dict[str, list[tuple[str, Variant]]] = {}

    def products(self) -> Iterator[Product]:
        """Yield each product with its variations."""
        for place, row in self._rows():
            if _is_variation(row) and self._is_sold(row):
                self._add_variation(place, row)
        for place, row in self._rows():
            if _is_variation(row):
                continue
            if not self._is_sold(row, remark=True):
                self._variations_of(row)  # which are not sold without it
                continue
            product = self._product(place, row)
            if product is not None:
                yield product
        for parent, orphans in self._variations.items():
            for place, variant in orphans:
                self._remarks.skip(place, f"its parent {parent[:80]!r} is not among the products", variant.id)

    def _rows(self) -> Iterator[tuple[str, Row]]:
        for line, row in rows_of(self._lines):
            yield f"{self._path.name}:{line}", {name.casefold(): cell for name, cell in row.items()}

    def _is_sold(self, row: Row, *, remark: bool = False) -> bool:
        """Whether a product is published and not hidden."""
        is_sold = row.get("published", "") in ("", "1") and row.get("visibility in catalog", "").casefold() != "hidden"
        if not is_sold and remark:
            self._remarks.note("products that are not published, or hidden, are left out", row["name"])
        return is_sold

    def _add_variation(self, place: str, row: Row) -> None:
        item_id, parent = _id(row), clean(row.get("parent", ""))
        if not item_id or not parent:
            self._remarks.skip(place, "a variation without an id or a parent", item_id)
            return
        texts = {name: text for name, text in self._attributes(row).items() if name not in ("description", "category")}
        photo = next(iter(_photos(row)), None)
        self._variations.setdefault(parent, []).append((place, Variant(item_id, texts, photo)))

    def _variations_of(self, row: Row) -> list[Variant]:
        """Take the variations of a product, which name it by its id or its SKU."""
        names = [f"id:{row.get('id', '')}", row["sku"]]
        return [variant for name in names if name for _, variant in self._variations.pop(name, [])]

    def _product(self, place: str, row: Row) -> Product | None:
        item_id = _id(row)
        if not item_id:
            self._remarks.skip(place, "no id and no SKU")
            return None
        variations = self._variations_of(row)
        attributes = self._attributes(row)
        if "variable" not in _types(row):
            return Product(item_id, item_id, place, attributes, [Variant(item_id)], _photos(row))
        chosen = {name for variant in variations for name in variant.attributes}
        kept = {name: value for name, value in attributes.items() if name not in chosen or name in TEXTS}
        return Product(item_id, item_id, place, kept, variations, _photos(row))

    def _attributes(self, row: Row) -> dict[str, JSON]:
        """Attributes of a row in the words of the vocabulary."""
        found: dict[str, JSON] = {}
        for number in range(1, MOST_ATTRIBUTES + 1):
            label = row.get(f"attribute {number} name")
            if label is None:
                break
            name, value = attribute_name(label), plain_text(row.get(f"attribute {number} value(s)", ""))
            if name is not None and value:
                found[name] = value
        for name, columns in TEXTS.items():
            text = next((text for column in columns if (text := plain_text(row.get(column, "")))), "")
            if text:
                found[name] = text
        is_reduced = is_now(row.get("date sale price starts", ""), row.get("date sale price ends", ""))
        sale = row.get("sale price", "") if is_reduced else ""
        found |= prices_of(row.get("regular price", ""), sale, self._remarks)
        if link := link_of(row.get("external url", ""), self._remarks):
            found["link"] = link
        if (stock := row.get("in stock?", "").casefold()) in ("0", "1", "backorder"):
            found["in_stock"] = stock == "1"
        return found


def _types(row: Row) -> set[str]:
    """Types of a product, such as `simple, virtual`."""
    return {name.strip().casefold() for name in row["type"].split(",")}


def _is_variation(row: Row) -> bool:
    return "variation" in _types(row)


def _id(row: Row) -> str:
    """Id of a row: its ID, or else its SKU."""
    return clean(row.get("id", "")) or clean(row["sku"])


def _photos(row: Row) -> list[str]:
    return [photo for part in row["images"].split(",") if (photo := part.strip())]
