"""Export and import of a gallery as one Parquet file, which other programs can read.

    id, product, photo, root, source   text
    box                                list of four float64: x1, y1, x2, y2
    attributes                         JSON text
    size, modified_ns, sha256          the file stamp of the photo
    vector:<space>                     fixed-size list of float32, the raw vector

and of a gallery with garments, whose vectors above are those of each item's first garment:

    finder                             text
    garments                           JSON text: a list of {"box": [x1, y1, x2, y2], "kind": ..., "score": ...}
    further:<space>                    list of fixed-size lists of float32, the raw vectors of the other garments

The spaces are in the schema's metadata under `lookalike`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from lookalike.errors import CatalogueError, UsageError, short_reason
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.records import AttributeNames
from lookalike.gallery.storable_text import check_text
from lookalike.gallery.transfer.original import Progress
from lookalike.spaces import Space, agree_on_spaces, check_keeps_bits
from lookalike.storage import sha256sums
from lookalike.types import Box, FileStamp, Float32, Garment, Item

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

FILE: Final = "gallery.parquet"
METADATA_KEY: Final = b"lookalike"
FORMAT: Final = 2
FORMAT_WITH_GARMENTS: Final = 3
BATCH: Final = 4096
VECTOR: Final = "vector:"
FURTHER: Final = "further:"


def export(gallery: Gallery, folder: Path, *, progress: Progress | None = None) -> None:
    """Write all items and raw vectors of a gallery."""
    import pyarrow as pa
    from pyarrow import parquet

    spaces, with_garments = gallery.spaces, bool(gallery.garment_count)
    done = 0
    table = schema(spaces, with_garments=with_garments)
    with (
        (folder / FILE).open("xb") as file,
        parquet.ParquetWriter(
            file, table, compression="zstd", use_dictionary=False, write_page_checksum=True
        ) as writer,
    ):
        for batch in gallery.records():
            writer.write_table(pa.table(columns_of(batch, with_garments=with_garments), schema=table))
            done += len(batch)
            if progress is not None:
                progress(done, len(gallery))


def columns_of(batch: RecordBatch, *, with_garments: bool) -> dict[str, Any]:
    """Columns of a batch; those that only a gallery with garments has, where that is said."""
    columns = item_columns(batch.current_items, batch.sources, batch.file_stamps)
    first = [rows.start for rows in batch.rows]
    for name, vectors in batch.vectors.items():
        columns[VECTOR + name] = fixed_lists(vectors[first])
    return columns | (garment_columns(batch) if with_garments else {})


def fixed_lists(rows: Float32) -> pa.Array[Any]:
    """Vectors, (N, D), as a column."""
    import pyarrow as pa

    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(rows).reshape(-1)), rows.shape[1])


def garment_columns(batch: RecordBatch) -> dict[str, Any]:
    """Finders, garments and further vectors of a batch."""
    import pyarrow as pa

    items, rows_of = batch.items, batch.rows
    ends = list(accumulate((len(rows) - 1 for rows in rows_of), initial=0))
    further = [row for rows in rows_of for row in rows[1:]]
    columns: dict[str, Any] = {
        "finder": [item.finder for item in items],
        "garments": [json.dumps([garment.to_json() for garment in item.garments]) for item in items],
    }
    for name, vectors in batch.vectors.items():
        columns[FURTHER + name] = pa.ListArray.from_arrays(ends, fixed_lists(vectors[further]))
    return columns


def schema(spaces: Sequence[Space], *, with_garments: bool = False) -> pa.Schema:
    """Schema of the file."""
    import pyarrow as pa

    texts = [pa.field(name, pa.string()) for name in ("id", "product", "photo", "root", "source", "attributes")]
    file_stamp = [pa.field("size", pa.int64()), pa.field("modified_ns", pa.int64()), pa.field("sha256", pa.string())]
    vectors = [pa.field(VECTOR + space.name, pa.list_(pa.float32(), space.dimension)) for space in spaces]
    made = {
        "format": FORMAT_WITH_GARMENTS if with_garments else FORMAT,
        "spaces": [space.to_list() for space in spaces],
    }
    box: Any = pa.field("box", pa.list_(pa.float64()))
    fields: list[Any] = [*texts, box, *file_stamp, *vectors]
    if with_garments:
        fields += [pa.field(name, pa.string()) for name in ("finder", "garments")]
        fields += [
            pa.field(FURTHER + space.name, pa.list_(pa.list_(pa.float32(), space.dimension))) for space in spaces
        ]
    return pa.schema(fields, metadata={METADATA_KEY: json.dumps(made).encode()})


def item_columns(
    items: Sequence[Item], sources: Sequence[str], file_stamps: Sequence[FileStamp | None]
) -> dict[str, Any]:
    """All columns without the vectors."""
    return {
        "id": [item.id for item in items],
        "product": [item.product for item in items],
        "photo": [item.photo for item in items],
        "root": [item.root for item in items],
        "source": list(sources),
        "attributes": [json.dumps(dict(item.attributes), ensure_ascii=False) for item in items],
        "box": [item.box.to_list() if item.box else None for item in items],
        "size": [file_stamp and file_stamp.size for file_stamp in file_stamps],
        "modified_ns": [file_stamp and file_stamp.modified_ns for file_stamp in file_stamps],
        "sha256": [file_stamp and file_stamp.sha256 for file_stamp in file_stamps],
    }


def load(folder: Path, gallery: Gallery, *, progress: Progress | None = None) -> int:
    """Import a Parquet file of `export`.

    The whole file is checked before items are added.

    Returns:
        Number of imported items.

    Raises:
        CatalogueError: The file was not written by `export`, or is damaged.
        MismatchError: The gallery has other spaces, or would round the file's vectors.
    """
    import pyarrow as pa
    from pyarrow import parquet

    path = folder / FILE
    try:
        with parquet.ParquetFile(path, page_checksum_verification=True) as file:
            spaces = read_spaces(path, file)
            agree_on_spaces(gallery.spaces, spaces)
            check_keeps_bits(gallery.spaces, spaces, doing="import")
            check(path, file, spaces)
            sha256sums.check(folder, [FILE])
            done, total = 0, file.metadata.num_rows
            with gallery.writing():
                for batch in batches(file, spaces):
                    gallery.add(
                        batch.items, batch.vectors, spaces=spaces, source=batch.sources, file_stamps=batch.file_stamps
                    )
                    done += len(batch)
                    if progress is not None:
                        progress(done, total)
                gallery.optimise()
            return done
    except (pa.ArrowException, OSError) as error:
        raise CatalogueError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def read_spaces(path: Path, file: parquet.ParquetFile) -> list[Space]:
    """Read the spaces of a file.

    Raises:
        CatalogueError: The file was not written by `export` of this version.
    """
    metadata = file.schema_arrow.metadata or {}
    try:
        made = json.loads(metadata[METADATA_KEY])
        spaces = [Space(*values) for values in made["spaces"]]
        names = {space.name for space in spaces if all(isinstance(word, str) for word in (space.name, space.model_id))}
        known = (
            made["format"] in (FORMAT, FORMAT_WITH_GARMENTS)
            and 0 < len(names) == len(spaces)
            and all(space.dimension > 0 for space in spaces)
            and file.schema_arrow.equals(schema(spaces, with_garments=made["format"] == FORMAT_WITH_GARMENTS))
        )
    except (UsageError, KeyError, ValueError, TypeError, RecursionError):
        known = False
    if not known:
        raise CatalogueError(f"{path} was not written by `gallery export --format parquet` of this version") from None
    return spaces


def check(path: Path, file: parquet.ParquetFile, spaces: Sequence[Space]) -> None:
    """Check a whole file, so that importing it cannot fail halfway.

    Raises:
        CatalogueError: A value is missing or invalid, an id occurs twice, or a number of a vector is missing or not
            finite.
    """
    seen: set[str] = set()
    row = 0
    for batch in file.iter_batches(BATCH):
        columns = plain_columns(batch)
        further = []
        for place in range(batch.num_rows):
            try:
                item = checked_item(columns, place)
            except (ValueError, TypeError, LookupError, AttributeError, RecursionError, UsageError) as error:
                raise CatalogueError(f"{path}: row {row + place} (from 0) is invalid: {short_reason(error)}") from None
            if item.id in seen:
                raise CatalogueError(f"{path}: the id {item.id!r} comes twice")
            seen.add(item.id)
            further.append(len(item.parts) - 1)
        for space in spaces:
            check_vectors(path, batch, space, first_row=row)
            if FURTHER + space.name in batch.schema.names:
                check_further(path, batch, space, counts=further)
        row += batch.num_rows


def check_vectors(path: Path, batch: pa.RecordBatch, space: Space, *, first_row: int) -> None:
    """Check the vectors of a batch that begins at a row.

    Raises:
        CatalogueError: A number is missing or not finite.
    """
    column: Any = batch.column(VECTOR + space.name)
    if column.null_count or column.flatten().null_count:
        raise CatalogueError(f"{path}: the vector of {space.name!r} of an item is missing or incomplete")
    strange = np.flatnonzero(~np.isfinite(vector_rows(column, space)).all(axis=1))
    if len(strange):
        at = f"row {first_row + int(strange[0])} (from 0)"
        raise CatalogueError(f"{path}: {at}: the vector of {space.name!r} holds numbers that are not finite")


def check_further(path: Path, batch: pa.RecordBatch, space: Space, *, counts: Sequence[int]) -> None:
    """Check the vectors of further garments, of which each item has so many.

    Raises:
        CatalogueError: A number is missing or not finite.
    """
    column: Any = batch.column(FURTHER + space.name)
    vectors = column.flatten()
    if column.value_lengths().to_pylist() != list(counts) or vectors.null_count or vectors.flatten().null_count:
        raise CatalogueError(f"{path}: the vector of {space.name!r} of a garment is missing or incomplete")
    if not np.isfinite(vector_rows(vectors, space)).all():
        raise CatalogueError(f"{path}: the vector of {space.name!r} of a garment holds numbers that are not finite")


def checked_item(columns: Mapping[str, list[Any]], place: int) -> Item:
    """Read one item of a batch, and check it.

    Raises:
        ValueError: A value is missing or invalid; other errors of reading, such as TypeError, mean the same.
        UsageError: Its box is empty, or an attribute cannot be stored as JSON.
    """
    missing = [name for name in ("id", "photo", "root", "source", "attributes") if columns[name][place] is None]
    if missing or not columns["id"][place]:
        raise ValueError(f"it has no {(missing or ['id'])[0]}")
    file_stamp = [columns[name][place] is None for name in ("size", "modified_ns", "sha256")]
    if len(set(file_stamp)) > 1:
        raise ValueError("it has only some of size, modified_ns and sha256")
    item = read_item(columns, place)
    if not isinstance(item.attributes, dict):
        raise TypeError("its attributes are not a JSON object")
    AttributeNames([]).encode(item)
    check_text(item)
    return item


def plain_columns(batch: pa.RecordBatch | pa.Table) -> dict[str, list[Any]]:
    """Columns of a batch without the vectors."""
    names = [name for name in batch.schema.names if not name.startswith((VECTOR, FURTHER))]
    return {name: batch.column(name).to_pylist() for name in names}


def vector_rows(column: Any, space: Space) -> Float32:  # noqa: ANN401 - PyArrow's types are incomplete
    """Vectors of a column, (B, D) float32."""
    rows: Float32 = column.flatten().to_numpy().reshape(-1, space.dimension)
    return rows


def all_vector_rows(batch: pa.RecordBatch, space: Space, items: Sequence[Item]) -> Float32:
    """Vectors of a batch, (R, D) float32: of each item, or of its garments."""
    first = vector_rows(batch.column(VECTOR + space.name), space)
    if FURTHER + space.name not in batch.schema.names:
        return first
    column: Any = batch.column(FURTHER + space.name)
    ends = np.cumsum([len(item.parts) for item in items])
    rows: Float32 = np.empty((int(ends[-1]), space.dimension), dtype=np.float32)
    is_first = np.zeros(len(rows), dtype=np.bool_)
    is_first[[0, *ends[:-1]]] = True
    rows[is_first], rows[~is_first] = first, vector_rows(column.flatten(), space)
    return rows


def batches(file: parquet.ParquetFile, spaces: Sequence[Space]) -> Iterator[RecordBatch]:
    """Iterate over the records; overrides were merged into the attributes."""
    for batch in file.iter_batches(BATCH):
        columns = plain_columns(batch)
        items = [read_item(columns, row) for row in range(batch.num_rows)]
        yield RecordBatch(
            items,
            {space.name: all_vector_rows(batch, space, items) for space in spaces},
            columns["source"],
            [None if sha256 is None else read_file_stamp(columns, row) for row, sha256 in enumerate(columns["sha256"])],
            [{}] * batch.num_rows,
        )


def read_item(columns: Mapping[str, list[Any]], row: int) -> Item:
    """Read one item of a batch."""
    box = columns["box"][row]
    finder = columns["finder"][row] if "finder" in columns else None
    garments = [] if finder is None else json.loads(columns["garments"][row])
    return Item(
        id=columns["id"][row],
        photo=columns["photo"][row],
        root=columns["root"][row],
        product=columns["product"][row],
        box=None if box is None else Box(*box),
        attributes=json.loads(columns["attributes"][row]),
        garments=tuple(Garment(Box(*each["box"]), str(each["kind"]), float(each["score"])) for each in garments),
        finder=finder,
    )


def read_file_stamp(columns: Mapping[str, list[Any]], row: int) -> FileStamp:
    """File stamp of one item of a batch."""
    return FileStamp(size=columns["size"][row], modified_ns=columns["modified_ns"][row], sha256=columns["sha256"][row])
