"""CSV tables: UTF-8 text with commas, semicolons or tabs between the cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.table import Columns, RowReader, assign_columns
from lookalike.errors import AnnotationError, CatalogueError
from lookalike.types import JSON, Item

DELIMITERS = ",;\t"

WHOLE = re.compile(r"-?(0|[1-9][0-9]{0,14})")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?([eE][+-][0-9]{1,2})?")
"""Numbers as programs write them. A code with leading zeros, 16 digits or `12E5` is none: turning it into a number
would lose what it says."""


def open_delimited(path: Path, *, columns: Mapping[str, str]) -> Catalogue:
    """Open a CSV table, after reading it through once: the types of its columns are decided by all of its rows.

    An attribute is a number when every cell of its column is one (or empty), else text; an empty cell is no attribute.

    Args:
        path: An absolute path.
        columns: As for `lookalike.catalogue.open_catalogue`.

    Raises:
        CatalogueError: It is not such a table, or it is empty.
        AnnotationError: One of its rows is malformed.
    """
    table = _Delimited(path, columns=columns)
    count = table.check()
    if not count:
        raise CatalogueError(f"{path}: there are no rows below the names of the columns")
    return Catalogue(kind="csv", source=str(path), items=table.items, count=count)


class _Delimited:
    """One table; `check` reads it through and must come before `items`."""

    def __init__(self, path: Path, *, columns: Mapping[str, str]) -> None:
        self.path = path
        self.delimiter = self._find_delimiter(columns.get("image", "image"))
        _, header = next(self._lines(self.delimiter), (1, []))
        if not any(header):
            raise CatalogueError(f"{path}: the table is empty; its first line must name its columns")
        self.names = [name.strip() for name in header]
        self.columns: Columns = assign_columns(path, self.names, columns=columns)
        self.converters: dict[str, Callable[[str], JSON]] = {}

    def check(self) -> int:
        """Refuse malformed rows, decide the type of each column, and count the rows."""
        types: dict[str, Callable[[str], JSON]] = dict.fromkeys(self.columns.attributes, int)
        reader = RowReader(self.path, self.columns)
        count = 0
        for line, row in self._rows():
            reader.item(row, line)
            count += 1
            for name, current in types.items():
                cell = row[name].strip()
                if not cell or current is str:
                    continue
                if current is int and not WHOLE.fullmatch(cell):
                    types[name] = current = float
                if current is float and not DECIMAL.fullmatch(cell):
                    types[name] = str
        self.converters = {name: convert for name, convert in types.items() if convert is not str}
        return count

    def items(self) -> Iterator[Item]:
        """Read the items."""
        reader = RowReader(self.path, self.columns)
        for line, cells in self._rows():
            row: dict[str, JSON] = dict(cells)
            for name, convert in self.converters.items():
                row[name] = convert(cells[name]) if cells[name].strip() else None
            yield reader.item(row, line)

    def _rows(self) -> Iterator[tuple[int, dict[str, str]]]:
        lines = self._lines(self.delimiter)
        next(lines)
        for line, cells in lines:
            if len(cells) != len(self.names):
                expected = f"{len(self.names)} cells as in the first line, not {len(cells)}"
                raise AnnotationError(self.path, line, self.delimiter.join(cells), expected)
            yield line, dict(zip(self.names, cells, strict=True))

    def _lines(self, delimiter: str, *, strict: bool = True) -> Iterator[tuple[int, list[str]]]:
        """Yield the line that a row begins at, from 1, and its cells; empty lines are passed over."""
        line = 1
        try:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, delimiter=delimiter, strict=strict)
                for cells in reader:
                    if cells:
                        yield line, cells
                    line = reader.line_num + 1
        except UnicodeDecodeError as error:
            raise CatalogueError(
                f"{self.path}: the table is not UTF-8 text ({error.reason}); save it as UTF-8"
            ) from None
        except csv.Error as error:
            raise CatalogueError(f"{self.path}:{line}: not a row of a CSV table: {error}") from None
        except OSError as error:
            raise CatalogueError(f"{self.path}: {error.strerror}") from None

    def _find_delimiter(self, image: str) -> str:
        """Take the delimiter under which the first line names the column of the photos, or else the most columns."""
        headers: dict[str, list[str]] = {}
        for delimiter in DELIMITERS:
            header = next(self._lines(delimiter, strict=False), (1, []))[1]
            headers[delimiter] = [name.strip() for name in header]
        return max(headers, key=lambda delimiter: (image in headers[delimiter], len(headers[delimiter])))
