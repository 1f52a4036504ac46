"""Lines of text tables: their encoding, their delimiter, and their cells."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from lookalike.errors import CatalogueError, short_reason

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


class TextLines:
    """A text table, read as often as it is asked for.

    Args:
        path: An absolute path.
        encoding: Encoding of a table without a byte order mark; None is UTF-8.
        columns: Columns of which one is in the header if the delimiter is the right one.

    Attributes:
        encoding: Encoding of the table.
        first_line: Line of the header, from 1.
        delimiter: Delimiter of the cells.
        header: Cells of the first line, without empty ones at its end; empty for an empty table.

    Raises:
        CatalogueError: It is not text.
    """

    def __init__(self, path: Path, *, encoding: str | None, columns: Collection[str]) -> None:
        self.path = path
        mark = mark_of(path)
        self.encoding = mark or encoding or "utf-8"
        self.named = encoding is not None and mark is None
        self.first_line, self.delimiter = self._find_delimiter(columns)
        _, self.header = next(self.lines(), (1, []))
        while self.header and not self.header[-1]:
            self.header.pop()  # spreadsheets pad the header to the width of the widest row
        if "\0" in "".join(self.header):
            reason = "it has NUL characters, as UTF-16 without a byte order mark has"
            raise self._not_text(self.first_line, reason, likely="utf-16-le")

    def lines(self) -> Iterator[tuple[int, list[str]]]:
        """Yield first line, from 1, and cells of each row, the header's first; empty lines are ignored."""
        return self._lines(self.delimiter)

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

    def _find_delimiter(self, columns: Collection[str]) -> tuple[int, str]:
        """Find the line of the header, from 1, and the delimiter.

        The delimiter is the one that Excel's first line declares, else the one that gives a header with one of the
        columns, else the one that gives the most columns.
        """
        self.first_line = 1
        wanted = {name.lower() for name in columns}
        headers: dict[str, list[str]] = {}
        for delimiter in DELIMITERS:
            header = next(self._lines(delimiter, strict=False), (1, []))[1]
            if declared := EXCEL_DELIMITER.fullmatch(delimiter.join(header)):
                return 2, declared[1]
            headers[delimiter] = header
        return 1, max(
            headers,
            key=lambda delimiter: (
                bool(wanted.intersection(map(str.lower, headers[delimiter]))),
                len(headers[delimiter]),
            ),
        )


def mark_of(path: Path) -> str | None:
    """Encoding of a file's byte order mark; None without one.

    Raises:
        CatalogueError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError as error:
        raise CatalogueError(f"{path}: {error.strerror}") from None
    return next((encoding for mark, encoding in MARKS.items() if start.startswith(mark)), None)
