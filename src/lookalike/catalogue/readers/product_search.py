"""Import CSV of Google Cloud's Vision API Product Search: a line for each photo, without a header.

The columns are image-uri, image-id, product-set-id, product-id, product-category, product-display-name, labels and
bounding-poly. The last one is a list of numbers, and without quotes several cells. Labels are `key=value` pairs
separated by commas; a key may have several values. Corners in whole numbers are pixels, others are fractions of the
photo.

Source: cloud.google.com/vision/product-search/docs/csv-format, and the documentation of ImportProductSetsGcsSource.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import Product, Remarks, Variant, feed_catalogue, prices_of
from lookalike.catalogue.readers.feed_values import attribute_name, clean, plain_text
from lookalike.catalogue.readers.text_lines import TextLines
from lookalike.errors import AnnotationError, UsageError
from lookalike.types import JSON, Box

COLUMNS: Final = (
    *("image-uri", "image-id", "product-set-id", "product-id", "product-category", "product-display-name", "labels"),
    "bounding-poly",
)
REQUIRED: Final = 5
"""Number of columns that every line has at least."""

CATEGORY: Final = re.compile(r"(homegoods|apparel|toys|packagedgoods|general)(-v[0-9]+)?")
NUMBER: Final = re.compile(r"[0-9]+(\.[0-9]+)?")


def is_product_search(first: Sequence[str]) -> bool:
    """Whether the cells of the first line are those of an import CSV, or the names of its columns."""
    if first[:1] == [COLUMNS[0]]:
        return True
    return len(first) >= REQUIRED and first[0].startswith("gs://") and bool(CATEGORY.fullmatch(first[4]))


def open_product_search(path: Path, *, encoding: str | None) -> Catalogue:
    """Open an import CSV.

    Args:
        path: An absolute path.
        encoding: Encoding of a file without a byte order mark; None is UTF-8.

    Raises:
        CatalogueError: It cannot be read to its end, or has no item.
        AnnotationError: A line has fewer than five columns.
    """
    return feed_catalogue("product-search", path, lambda remarks: _products(path, encoding, remarks))


def _products(path: Path, encoding: str | None, remarks: Remarks) -> Iterator[Product]:
    lines = TextLines(path, encoding=encoding, columns=())
    times: Counter[str] = Counter()
    for line, cells in lines.lines():
        if cells[0] == COLUMNS[0] or not any(cells):
            continue
        if len(cells) < REQUIRED:
            expected = "image-uri, image-id, product-set-id, product-id and product-category, separated by commas"
            raise AnnotationError(path, line, lines.delimiter.join(cells)[:200], expected)
        place, (photo, image_id, product_set, product_id, category) = f"{path.name}:{line}", cells[:REQUIRED]
        name, labels = (cells[at] if len(cells) > at else "" for at in (5, 6))
        if not product_id:
            remarks.skip(place, "no product-id", image_id)
            continue
        first_id = clean(image_id) or clean(photo)
        times[first_id] += 1  # a further region of the photo has a line of its own
        item_id = first_id if times[first_id] == 1 else f"{first_id}#{times[first_id]}"
        attributes: dict[str, JSON] = {
            "title": plain_text(name),
            "category": clean(category),
            "product_set": clean(product_set),
            **_labels(labels, remarks),
        }
        variants = [Variant(item_id)] if photo else []
        if not photo:
            remarks.skip(place, "no image-uri", first_id)
        box = _box(",".join(cell for cell in cells[7:] if cell), place, remarks)
        yield Product(item_id, clean(product_id), place, attributes, variants, [photo], box)


def _labels(text: str, remarks: Remarks) -> dict[str, JSON]:
    """Attributes of labels; several values of a key are joined by a comma."""
    values: dict[str, list[str]] = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        key, equals, value = pair.partition("=")
        name = attribute_name(key)
        if name is None or not equals:
            remarks.note("labels that are not key=value are left out", pair)
        elif value.strip():
            values.setdefault(name.removeprefix("option_"), []).append(plain_text(value))
    regular, reduced = (", ".join(values.pop(name, [])) for name in ("price", "sale_price"))
    prices = prices_of(regular, reduced, remarks)
    return {**{name: ", ".join(several) for name, several in values.items()}, **prices}


def _box(text: str, place: str, remarks: Remarks) -> Box | None:
    """Rectangle around a polygon in pixels; None without one."""
    if not text:
        return None
    corners = [corner.strip() for corner in text.split(",")]
    if len(corners) < 4 or len(corners) % 2 or not all(map(NUMBER.fullmatch, corners)):
        remarks.note("polygons that are not pairs of numbers are left out", f"{place}: {text}")
        return None
    if any("." in corner for corner in corners) or all(corner in ("0", "1") for corner in corners):
        remarks.note("polygons in fractions of the photo are left out, and whole photos embedded", place)
        return None
    across, down = [float(corner) for corner in corners[::2]], [float(corner) for corner in corners[1::2]]
    try:
        return Box(min(across), min(down), max(across), max(down))
    except UsageError:
        remarks.note("polygons without an area are left out", f"{place}: {text}")
        return None
