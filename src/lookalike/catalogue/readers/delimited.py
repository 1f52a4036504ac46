"""CSV tables: text with commas, semicolons, tabs or bars between the cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Final

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.column_types import DATABASE_NULL, ColumnType, Convert
from lookalike.catalogue.readers.table import Columns, RowReader, assign_columns
from lookalike.errors import AnnotationError, CatalogueError, UsageError, short_reason
from lookalike.types import JSON, Item

DELIMITERS: Final = ",;\t|"
EXCEL_DELIMITER: Final = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""First line of a table that declares the delimiter for Excel, `sep=;`."""

LONGEST_CELL: Final = 2**24
"""Longest cell, in characters; HTML descriptions exceed the default of Python's csv, 131,072."""

SPACE: Final = " \t\u00a0"
"""Characters stripped from cells and names."""

MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # begins like the mark of UTF-16, so it comes first
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte order marks and their encodings."""

BYTES_AT_ONCE: Final = 2**16


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
        mark = self._mark()
        self.encoding = mark or encoding or "utf-8"
        self.named = encoding is not None and mark is None
        self.first_line, self.delimiter = self._find_delimiter(columns.get("image", "image"))
        _, header = next(self._lines(self.delimiter), (1, []))
        while header and not header[-1]:
            header.pop()  # spreadsheets pad the header to the width of the widest row
        if not header:
            raise CatalogueError(f"{path}: the table is empty; its first line must name its columns")
        if "\0" in "".join(header):
            reason = "it has NUL characters, as UTF-16 without a byte order mark has"
            raise self._not_text(self.first_line, reason, likely="utf-16-le")
        self.names = header
        self.unnamed = header.count("")
        self.columns: Columns = assign_columns(path, [name for name in header if name], columns=columns)
        self.reader = RowReader(path, self.columns)
        self.types: list[ColumnType] = []
        self.converters: dict[str, Convert] = {}

    def check(self) -> int:
        """Check all rows, decide the type of each column, and count the items."""
        comma = self.delimiter not in (",", "|")
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
        for line, cells in islice(self._lines(self.delimiter), 1, None):
            if not any(cells):
                continue
            if len(cells) < width or any(cells[width:]):
                expected = f"{width} cells as in the first line, not {len(cells)}"
                raise AnnotationError(self.path, line, self.delimiter.join(cells)[:200], expected)
            values = ("" if cell == DATABASE_NULL else cell for cell in cells[:width])
            yield line, dict(zip(self.names, values, strict=True))

    def _lines(self, delimiter: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        """Yield first line, from 1, and cells of each row; empty lines are ignored."""
        csv.field_size_limit(LONGEST_CELL)
        line = self.first_line
        try:
            with self.path.open(encoding=self.encoding, newline="") as file:
                for _ in range(self.first_line - 1):
                    next(file, None)
                reader = csv.reader(file, delimiter=delimiter, strict=strict)
                for cells in reader:
                    if cells:
                        yield line, [cell.strip(SPACE) for cell in cells]
                    line = self.first_line + reader.line_num
        except UnicodeError as error:
            raise self._not_text(self._damaged_line(), getattr(error, "reason", str(error))) from None
        except csv.Error as error:
            raise CatalogueError(f"{self.path}:{line}: not a row of a CSV table: {short_reason(error)}") from None
        except OSError as error:
            raise CatalogueError(f"{self.path}: {error.strerror}") from None

    def _damaged_line(self) -> int:
        """Number of the first line that cannot be decoded; the reader does not know it, as it decodes in blocks."""
        decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(self.encoding)(), translate=True)
        line = 1
        try:
            with self.path.open("rb") as file:
                while part := file.readline(BYTES_AT_ONCE):
                    line += decoder.decode(part).count("\n")
        except UnicodeDecodeError as error:
            line += error.object[: error.start].count(b"\n")
        except UnicodeError:
            pass  # the byte order mark that the encoding needs is missing
        return line

    def _not_text(self, line: int, reason: str, *, likely: str = "cp1252") -> CatalogueError:
        way_out = (
            f"or give its encoding instead of {self.encoding}"
            if self.named
            else f"or give its encoding: --encoding {likely}"
        )
        name = "UTF-8" if self.encoding == "utf-8" else self.encoding
        return CatalogueError(
            f"{self.path}:{line}: the table is not {name} text: {reason}; save it as UTF-8, {way_out}"
        )

    def _mark(self) -> str | None:
        """Encoding of the byte order mark; None without one."""
        with self.path.open("rb") as file:
            start = file.read(4)
        return next((encoding for mark, encoding in MARKS.items() if start.startswith(mark)), None)

    def _find_delimiter(self, image: str) -> tuple[int, str]:
        """Find the line of the header, from 1, and the delimiter.

        The delimiter is the one that Excel's first line declares, else the one that gives a header with the column of
        the photos, else the one that gives the most columns.
        """
        self.first_line = 1
        headers: dict[str, list[str]] = {}
        for delimiter in DELIMITERS:
            header = next(self._lines(delimiter, strict=False), (1, []))[1]
            if declared := EXCEL_DELIMITER.fullmatch(delimiter.join(header)):
                return 2, declared[1]
            headers[delimiter] = header
        return 1, max(headers, key=lambda delimiter: (image in headers[delimiter], len(headers[delimiter])))


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
