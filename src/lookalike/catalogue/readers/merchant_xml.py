"""Google Merchant feeds in XML: RSS 2.0, and Atom.

Attributes are elements of the namespace `http://base.google.com/ns/1.0`, or of the format itself: title, link,
description or summary, and in Atom 0.3 id.

Source: support.google.com/merchants/answer/14987622 (RSS 2.0), 14991618 (Atom 0.3), 160593 (Atom 1.0).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import feed_catalogue
from lookalike.catalogue.readers.merchant_fields import Fields, field_name, products_of
from lookalike.catalogue.readers.xml_records import XmlRecords, root_of

ROOTS: Final = ("rss", "feed")
RECORDS: Final = ("item", "entry")
GOOGLE: Final = ("http://base.google.com/ns/1.0", "http://base.google.com/ns/1.0/")
OWN: Final = ("", "http://www.w3.org/2005/Atom", "http://purl.org/atom/ns#")
"""Namespaces of Google's attributes, and of those of the formats."""


def is_merchant_xml(path: Path, *, encoding: str | None) -> bool:
    """Whether a file is an XML document whose outermost element is that of a feed."""
    return root_of(path, encoding=encoding) in ROOTS


def open_merchant_xml(path: Path, *, encoding: str | None) -> Catalogue:
    """Open a document of offers.

    Args:
        path: An absolute path.
        encoding: Encoding to read it in; None goes by its declaration, or its byte order mark.

    Raises:
        CatalogueError: It is not well-formed, is refused, or has no item.
    """

    def offers() -> Iterator[tuple[str, Fields]]:
        for line, record in XmlRecords(path, encoding=encoding, names=RECORDS):
            googles: dict[str, list[str]] = {}
            own: dict[str, list[str]] = {}
            for name, value in record:
                namespace, _, local = name.rpartition(" ")
                if value and namespace in (*GOOGLE, *OWN):
                    (googles if namespace in GOOGLE else own).setdefault(field_name(local), []).append(value)
            yield f"{path.name}:{line}", {**own, **googles}

    return feed_catalogue("merchant", path, lambda remarks: products_of(offers(), remarks))
