"""Google Merchant feeds in text files, with tabs or commas between the values.

The first line names the attributes, with `_` or spaces within the names. Several additional images are separated by
commas; a comma within an address is written `%2C`.

Source: support.google.com/merchants/answer/160567 (text files) and 6324370 (additional_image_link).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.feed_products import feed_catalogue
from lookalike.catalogue.readers.feed_rows import rows_of
from lookalike.catalogue.readers.merchant_fields import Fields, field_name, products_of
from lookalike.catalogue.readers.text_lines import TextLines

COLUMNS: Final = ("image_link", "image link", "g:image_link")
"""Names of the column of photos, by which the delimiter is found."""


def is_merchant_table(header: Sequence[str]) -> bool:
    """Whether the names of columns are those of a Google Merchant feed."""
    return {"id", "image_link"} <= {field_name(name) for name in header}


def open_merchant_table(path: Path, *, encoding: str | None) -> Catalogue:
    """Open a text file of offers.

    Args:
        path: An absolute path.
        encoding: Encoding of a file without a byte order mark; None is UTF-8.

    Raises:
        CatalogueError: It cannot be read to its end, or has no item.
        AnnotationError: A row has too few or too many cells.
    """

    def offers() -> Iterator[tuple[str, Fields]]:
        for line, row in rows_of(TextLines(path, encoding=encoding, columns=COLUMNS)):
            fields = {field_name(name): [cell] for name, cell in row.items() if cell}
            if more := fields.get("additional_image_link"):
                fields["additional_image_link"] = more[0].split(",")
            yield f"{path.name}:{line}", fields

    return feed_catalogue("merchant", path, lambda remarks: products_of(offers(), remarks))
