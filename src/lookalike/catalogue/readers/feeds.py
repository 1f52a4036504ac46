"""Feeds of shops, recognised by their content."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.merchant_table import COLUMNS, is_merchant_table, open_merchant_table
from lookalike.catalogue.readers.merchant_xml import is_merchant_xml, open_merchant_xml
from lookalike.catalogue.readers.product_search import is_product_search, open_product_search
from lookalike.catalogue.readers.shopify_json import STARTS, open_shopify_json
from lookalike.catalogue.readers.shopify_table import is_shopify_table, open_shopify_table
from lookalike.catalogue.readers.text_lines import TextLines
from lookalike.catalogue.readers.woocommerce import is_woocommerce, open_woocommerce

TABLES: Final[tuple[tuple[Callable[[list[str]], bool], Callable[..., Catalogue]], ...]] = (
    (is_shopify_table, open_shopify_table),
    (is_woocommerce, open_woocommerce),
    (is_merchant_table, open_merchant_table),
)
"""Tests of the names of columns, and what opens such a table."""

XML_STARTS: Final = (b"<", codecs.BOM_UTF8 + b"<", codecs.BOM_UTF16_LE + b"<\0", codecs.BOM_UTF16_BE + b"\0<")


def open_document(path: Path, start: bytes, *, encoding: str | None) -> Catalogue | None:
    """Open a feed in XML or JSON; None if it is another file.

    Args:
        path: An absolute path.
        start: Its first bytes.
        encoding: Encoding of the file, see `lookalike.catalogue.open_catalogue`.

    Raises:
        CatalogueError: It is a feed, and cannot be read.
    """
    if STARTS.match(start):
        return open_shopify_json(path, encoding=encoding)
    if start.lstrip().startswith(XML_STARTS) and is_merchant_xml(path, encoding=encoding):
        return open_merchant_xml(path, encoding=encoding)
    return None


def open_feed_table(path: Path, *, encoding: str | None) -> Catalogue | None:
    """Open a feed that is a text table; None if the names of its columns are of none, or include `image`.

    Raises:
        CatalogueError: It is not text, or is a feed and cannot be read.
    """
    lines = TextLines(path, encoding=encoding, columns=("image", *COLUMNS, "Handle", "SKU"))
    if "image" in lines.header:
        return None
    if is_product_search(lines.header):
        return open_product_search(path, encoding=encoding)
    known = next((open_table for is_one, open_table in TABLES if is_one(lines.header)), None)
    return None if known is None else known(path, encoding=encoding)
