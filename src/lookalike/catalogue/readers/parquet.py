"""Parquet tables, read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.readers.arrow_values import can_be_read, values
from lookalike.catalogue.readers.table import Columns, RowReader, assign_columns
from lookalike.errors import CatalogueError
from lookalike.types import Item

if TYPE_CHECKING:
    import pyarrow.parquet

ROWS_AT_ONCE = 4096


def open_parquet(path: Path, *, columns: Mapping[str, str]) -> Catalogue:
    """Open a Parquet table, after checking the ids, photos and boxes of all rows.

    Args:
        path: An absolute path.
        columns: Column names by role, see `lookalike.catalogue.open_catalogue`.

    Raises:
        CatalogueError: The table is damaged or empty, or its column of photos does not hold paths.
        AnnotationError: One of its rows is malformed; its line is the number of the row, from 1.
    """
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            kinds = [(field.name, field.type) for field in table.schema_arrow]
            found = assign_columns(path, [name for name, _ in kinds], columns=columns)
            count = table.metadata.num_rows
    except _damage() as error:
        raise CatalogueError(f"{path}: not a Parquet table that can be read: {in_one_line(error)}") from None
    if not count:
        raise CatalogueError(f"{path}: there are no rows in the table")
    roles = (found.image, found.id, found.product, found.box)
    unreadable = [name for name, kind in kinds if name not in roles and (not name or not can_be_read(kind))]
    kept = tuple(name for name in found.attributes if name not in unreadable)
    checked = _Reading(path, Columns(*roles, ()))
    count = sum(1 for _ in checked.items())
    if not count:
        raise CatalogueError(f"{path}: none of its rows has a photo in the column {found.image!r}")
    notes = [*checked.reader.notes()]
    if unreadable:
        notes.append(
            f"columns of bytes, or without a name, are left out: {', '.join(name or repr(name) for name in unreadable)}"
        )
    return Catalogue(
        kind="parquet",
        source=str(path),
        items=lambda: _Reading(path, Columns(*roles, kept)).items(),
        count=count,
        skipped=tuple(checked.reader.skipped),
        notes=tuple(notes),
    )


class _Reading:
    """One pass over a table, with the columns that it needs."""

    def __init__(self, path: Path, columns: Columns) -> None:
        self.path, self.reader = path, RowReader(path, columns)
        roles = (columns.image, columns.id, columns.product, columns.box)
        self.names = sorted({name for name in (*roles, *columns.attributes) if name})

    def items(self) -> Iterator[Item]:
        """Read the items."""
        import pyarrow.parquet

        number = 0
        try:
            with pyarrow.parquet.ParquetFile(self.path, page_checksum_verification=True) as table:
                for batch in table.iter_batches(ROWS_AT_ONCE, columns=self.names):
                    columns = [self._values(batch, name) for name in self.names]
                    for row in zip(*columns, strict=True):
                        number += 1
                        item = self.reader.item(dict(zip(self.names, row, strict=True)), number)
                        if item is not None:
                            yield item
        except _damage() as error:
            reason = in_one_line(error)
            raise CatalogueError(f"{self.path}: the table is damaged after row {number}: {reason}") from None

    def _values(self, batch: pyarrow.RecordBatch, name: str) -> list[Any]:
        """Values of a column.

        In columns of paths and ids, bytes are decoded as UTF-8, and decimals keep all of their digits.

        Raises:
            CatalogueError: Bytes are not text, such as photos stored in the table itself.
        """
        import pyarrow
        from pyarrow import types

        column = batch.column(batch.schema.get_field_index(name))
        if any(test(column.type) for test in (types.is_binary, types.is_large_binary, types.is_binary_view)):
            try:
                column = column.cast(pyarrow.large_string())
            except pyarrow.ArrowInvalid:
                expected = "expected UTF-8 text, such as paths of photos; photos inside the table are not read"
                raise CatalogueError(f"{self.path}: the column {name!r} holds bytes; {expected}") from None
        if types.is_decimal(column.type) and name not in self.reader.columns.attributes:
            return [None if value is None else _digits(value) for value in column.to_pylist()]
        return values(column)


def _digits(value: Decimal) -> str:
    """Digits of a decimal without trailing zeros of the fraction."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _damage() -> tuple[type[Exception], ...]:
    """Exceptions raised on damaged tables."""
    import pyarrow

    return (pyarrow.ArrowException, OSError, UnicodeDecodeError, OverflowError, MemoryError, KeyError)


def in_one_line(error: Exception) -> str:
    """Return the message of a library's error on one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
