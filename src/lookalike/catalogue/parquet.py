"""Parquet tables, read batch by batch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.catalogue.protocol import Catalogue
from lookalike.catalogue.table import Columns, RowReader, assign_columns
from lookalike.errors import CatalogueError
from lookalike.types import JSON, Item

if TYPE_CHECKING:
    import pyarrow.parquet

ROWS_AT_ONCE = 4096


def open_parquet(path: Path, *, columns: Mapping[str, str]) -> Catalogue:
    """Open a Parquet table, after checking the ids, photos and boxes of all of its rows.

    Args:
        path: An absolute path.
        columns: As for `lookalike.catalogue.open_catalogue`.

    Raises:
        CatalogueError: It is damaged, empty, or keeps something else than paths where the photos should be.
        AnnotationError: One of its rows is malformed; its line is the number of the row, from 1.
    """
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            names, left_out = _readable_columns(table)
            found = assign_columns(path, names, columns=columns)
            count = table.metadata.num_rows
    except (pyarrow.ArrowException, OSError) as error:
        raise CatalogueError(f"{path}: not a Parquet table that can be read: {str(error).splitlines()[0]}") from None
    if not count:
        raise CatalogueError(f"{path}: there are no rows in the table")
    wanted = {name for name in (found.image, found.id, found.product, found.box) if name}
    for _ in _items(path, Columns(found.image, found.id, found.product, found.box, ()), names=sorted(wanted)):
        pass

    return Catalogue(
        kind="parquet",
        source=str(path),
        items=lambda: _items(path, found, names=names),
        count=count,
        notes=(f"columns of bytes are left out: {', '.join(left_out)}",) if left_out else (),
    )


def _readable_columns(table: pyarrow.parquet.ParquetFile) -> tuple[list[str], list[str]]:
    """Names of the columns that JSON can hold, and of those that are bytes."""
    import pyarrow

    readable: list[str] = []
    left_out: list[str] = []
    for field in table.schema_arrow:
        of_bytes = pyarrow.types.is_binary(field.type) or pyarrow.types.is_large_binary(field.type)
        (left_out if of_bytes else readable).append(field.name)
    return readable, left_out


def _items(path: Path, columns: Columns, *, names: list[str]) -> Iterator[Item]:
    import pyarrow
    import pyarrow.parquet

    reader = RowReader(path, columns)
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as table:
            for batch in table.iter_batches(ROWS_AT_ONCE, columns=names):
                for row in batch.to_pylist():
                    number += 1
                    yield reader.item({name: as_json(value) for name, value in row.items()}, number)
    except (pyarrow.ArrowException, OSError) as error:
        raise CatalogueError(f"{path}: the table is damaged after row {number}: {error}") from None


def as_json(value: Any) -> JSON:  # noqa: ANN401 - whatever a column may hold
    """Turn a value of a Parquet column into one that JSON has: dates and times as ISO text, no number as absent."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, dict):
        return {str(name): as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
