"""CSV tables: text with commas, semicolons, tabs or bars between the cells."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.column_types import DATABASE_NULL, ColumnType, Convert
from lookalike.catalogue.readers.table import Columns, RowReader, assign_columns
from lookalike.catalogue.readers.text_lines import TextLines
from lookalike.errors import AnnotationError, CatalogueError, UsageError
from lookalike.types import JSON, Item


def open_delimited(path: Path, *, columns: Mapping[str, str], encoding: str | None = None) -> Catalogue:
    r"""Open a CSV table, after one pass over all rows to infer the types of its columns.

    A column is numeric when each of its cells is a number, empty, or a missing value such as `N/A`; else it is text.
    Empty cells and `\N` give no attribute. Rows of empty cells are skipped.

    Args:
        path: An absolute path.
        columns: Column names by role, see `lookalike.catalogue.open_catalogue`.
        encoding: Encoding, see `open_catalogue`.

    Raises:
        CatalogueError: It is not a CSV table, or has no rows.
        AnnotationError: One of its rows is malformed.
        UsageError: There is no such encoding.
    """
    table = _Delimited(path, columns=columns, encoding=encoding)
    count = table.check()
    if not count:
        what = f"none of its rows has a photo in the column {table.columns.image!r}" if table.reader.skipped else None
        raise CatalogueError(f"{path}: {what or 'there are no rows below the names of the columns'}")
    return Catalogue(
        kind="csv",
        source=str(path),
        items=table.items,
        count=count,
        skipped=tuple(table.reader.skipped),
        notes=table.notes(),
    )


class _Delimited:
    """A CSV table; call `check` before `items`."""

    def __init__(self, path: Path, *, columns: Mapping[str, str], encoding: str | None) -> None:
        self.path = path
        self.lines = TextLines(path, encoding=encoding, columns=[columns.get("image", "image")])
        header = self.lines.header
        if not header:
            raise CatalogueError(f"{path}: the table is empty; its first line must name its columns")
        self.names = header
        self.unnamed = header.count("")
        self.columns: Columns = assign_columns(path, [name for name in header if name], columns=columns)
        self.reader = RowReader(path, self.columns)
        self.types: list[ColumnType] = []
        self.converters: dict[str, Convert] = {}

    def check(self) -> int:
        """Check all rows, decide the type of each column, and count the items."""
        comma = self.lines.delimiter not in (",", "|")
        types = {name: ColumnType(name, decimal_comma=comma) for name in self.columns.attributes}
        count = 0
        for line, row in self._rows():
            count += self.reader.item(row, line) is not None
            for name, kind in types.items():
                if cell := row[name]:
                    kind.see(cell, line)
        self.types = list(types.values())
        self.converters = {name: convert for name, kind in types.items() if (convert := kind.converter())}
        return count

    def notes(self) -> tuple[str, ...]:
        """Remarks for the user."""
        remarks = [note for kind in self.types if (note := kind.note())]
        if self.unnamed:
            remarks.append(f"columns without a name are left out: {self.unnamed:,}")
        return (*self.reader.notes(), *remarks)

    def items(self) -> Iterator[Item]:
        """Read the items."""
        reader = RowReader(self.path, self.columns)
        for line, cells in self._rows():
            row: dict[str, JSON] = dict(cells)
            for name, convert in self.converters.items():
                row[name] = convert(cells[name]) if cells[name] else None
            item = reader.item(row, line)
            if item is not None:
                yield item

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        width = len(self.names)
        for line, cells in islice(self.lines.lines(), 1, None):
            if not any(cells):
                continue
            if len(cells) < width or any(cells[width:]):
                expected = f"{width} cells as in the first line, not {len(cells)}"
                raise AnnotationError(self.path, line, self.lines.delimiter.join(cells)[:200], expected)
            values = ("" if cell == DATABASE_NULL else cell for cell in cells[:width])
            yield line, dict(zip(self.names, values, strict=True))


def check_encoding(name: str) -> str:
    """Return Python's name of a text encoding.

    Raises:
        UsageError: There is no such text encoding.
    """
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        found = None
    if found is None or not found._is_text_encoding:
        raise UsageError(f"there is no encoding of text called {name!r}; such as utf-8, cp1252, latin-1, utf-16")
    return found.name
