"""Rows of feeds that are text tables: cells as they are, without types of columns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from lookalike.catalogue.readers.text_lines import TextLines
from lookalike.errors import AnnotationError, CatalogueError


def rows_of(lines: TextLines) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield first line, from 1, and cells by column of each row; rows of empty cells are left out.

    Raises:
        CatalogueError: Two columns have one name.
        AnnotationError: A row has too few or too many cells, as the last one of a file that is cut short.
    """
    names = lines.header
    known = [name for name in names if name]
    if twice := next((name for name in known if known.count(name) > 1), None):
        raise CatalogueError(f"{lines.path}: two columns are called {twice!r}")
    for line, cells in islice(lines.lines(), 1, None):
        if not any(cells):
            continue
        if len(cells) < len(names) or any(cells[len(names) :]):
            expected = f"{len(names)} cells as in the first line, not {len(cells)}"
            raise AnnotationError(lines.path, line, lines.delimiter.join(cells)[:200], expected)
        yield line, dict(zip(names, cells, strict=False))
