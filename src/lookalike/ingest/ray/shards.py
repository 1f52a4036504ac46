"""Shards of a catalogue: tasks sent to a worker, and checksummed Parquet files with the results.

A shard is named by a hash of its tasks and spaces. The same tasks have the same name in every run, so a file of
that name is its result.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import groupby
from typing import Any, Final

import numpy as np

from lookalike.embedding.photo_tasks import Embedded, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.errors import PhotoError, short_reason
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.transfer.parquet import (
    all_vector_rows,
    columns_of,
    plain_columns,
    read_file_stamp,
    read_item,
    schema,
)
from lookalike.spaces import Space
from lookalike.types import Box, Content, FileStamp, Float32, Item, item_json

LARGEST, SMALLEST, FEWEST = 512, 16, 64
"""Largest and smallest number of photos in a shard, and smallest number of shards of a larger catalogue: each worker
gets some, and little is lost with one."""

FORMAT: Final = 3
DIGEST_BYTES: Final = 32

OUTCOMES: Final = b"lookalike.shard"
"""Key in the schema's metadata for the outcomes of photos without a row."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive photos of a catalogue.

    Attributes:
        name: Hash of tasks and spaces.
        text: Tasks as JSON.
        work: Tasks.
    """

    name: str
    text: str
    work: Sequence[PhotoTask]

    @classmethod
    def of(cls, work: Sequence[PhotoTask], spaces: Sequence[Space]) -> Shard:
        """Make a shard of tasks."""
        text = json.dumps([_work_json(each) for each in work], sort_keys=True)
        made = [FORMAT, [[space.name, space.dimension, space.model_id] for space in spaces]]
        name = hashlib.sha256(f"{json.dumps(made)}\n{text}".encode()).hexdigest()[:32]
        return cls(f"shard-{name}", text, work)

    @property
    def with_garments(self) -> bool:
        """Whether garments are embedded one by one."""
        return any(each.finder is not None for each in self.work)

    def halves(self, spaces: Sequence[Space]) -> list[Shard]:
        """Split into two shards; empty for a single photo."""
        middle = len(self.work) // 2
        return [Shard.of(part, spaces) for part in (self.work[:middle], self.work[middle:])] if middle else []


def cut(work: Iterable[PhotoTask], *, count: int, spaces: Sequence[Space]) -> Iterator[Shard]:
    """Cut tasks into shards by position in the catalogue.

    Args:
        work: Tasks in the order of the catalogue.
        count: Number of photos in the catalogue.
        spaces: Spaces to embed into.
    """
    size = min(LARGEST, max(SMALLEST, -(-count // FEWEST)))
    for _, part in groupby(work, key=lambda each: each.position // size):
        yield Shard.of(list(part), spaces)


def read_work(text: str) -> list[PhotoTask]:
    """Parse the tasks of a shard."""
    return [_work(each) for each in json.loads(text)]


def write_result(
    outcomes: Iterable[Outcome],
    *,
    source: str,
    spaces: Sequence[Space],
    took: Mapping[str, float],
    with_garments: bool = False,
) -> bytes:
    """Write the outcomes of a shard: a Parquet file in the format of gallery exports, followed by its SHA-256.

    Args:
        outcomes: Outcomes of all photos.
        source: Source of the catalogue.
        spaces: Spaces of the vectors.
        took: Seconds by phase; read after the last outcome.
        with_garments: Whether items may have garments.
    """
    import pyarrow as pa
    from pyarrow import parquet

    items: list[Item] = []
    file_stamps: list[FileStamp | None] = []
    vectors: dict[str, list[Float32]] = {space.name: [np.zeros((0, space.dimension), np.float32)] for space in spaces}
    same: list[tuple[str, int, int, str]] = []
    reused: list[tuple[str, int, int, str]] = []
    refused: list[tuple[str, str]] = []
    for outcome in outcomes:
        if isinstance(outcome, Embedded):
            items += outcome.items
            file_stamps += outcome.file_stamps
            for name, parts in vectors.items():
                parts.append(outcome.vectors[name])
        elif isinstance(outcome, Unchanged | Reused):
            file_stamp = outcome.file_stamp
            listed = same if isinstance(outcome, Unchanged) else reused
            listed.append((outcome.item.id, file_stamp.size, file_stamp.modified_ns, file_stamp.sha256))
        else:
            refused.append((outcome.item.id, outcome.error.reason))
    rows = {name: np.concatenate(parts) for name, parts in vectors.items()}
    batch = RecordBatch(items, rows, [source] * len(items), file_stamps, [{}] * len(items))
    told = json.dumps({"same": same, "reused": reused, "refused": refused, "seconds": dict(took)}).encode()
    kind = schema(spaces, with_garments=with_garments)
    kind = kind.with_metadata({**(kind.metadata or {}), OUTCOMES: told})
    file = BytesIO()
    with parquet.ParquetWriter(file, kind, compression="zstd", use_dictionary=False) as writer:
        writer.write_table(pa.table(columns_of(batch, with_garments=with_garments), schema=kind))
    content = file.getvalue()
    return content + hashlib.sha256(content).digest()


def read_result(shard: Shard, data: bytes, spaces: Sequence[Space]) -> tuple[list[Outcome], dict[str, float]]:
    """Read the outcomes of a shard, one for each photo, and the seconds by phase.

    Raises:
        ValueError: It is not a result of this shard, or damaged.
    """
    import pyarrow as pa
    from pyarrow import parquet

    content, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{shard.name} is damaged: its content does not fit its checksum")
    try:
        with parquet.ParquetFile(BytesIO(content)) as file:
            told = json.loads((file.schema_arrow.metadata or {})[OUTCOMES])
            table: Any = file.read()  # its types are incomplete
    except (pa.ArrowException, OSError, KeyError) as error:
        raise ValueError(f"{shard.name} is not the result of a shard: {short_reason(error)}") from None
    if not table.schema.equals(schema(spaces, with_garments=shard.with_garments)):
        raise ValueError(f"{shard.name} has vectors of other spaces")
    item_of = {each.item.id: each.item for each in shard.work}
    finder_of = {each.item.id: each.finder for each in shard.work}
    columns = plain_columns(table)
    ids: list[str] = columns["id"]
    met = [*ids, *(each[0] for name in ("same", "reused", "refused") for each in told[name])]
    if sorted(met) != sorted(item_of):
        raise ValueError(f"{shard.name} does not contain each of its photos once")
    outcomes: list[Outcome] = [Unchanged(item_of[id_], FileStamp(*file_stamp)) for id_, *file_stamp in told["same"]]
    outcomes += [Unreadable(item_of[id_], PhotoError(item_of[id_].location, why)) for id_, why in told["refused"]]
    if ids:
        [batch] = table.combine_chunks().to_batches()
        read = [read_item(columns, row) for row in range(len(ids))]
        items = [replace(item_of[item.id], garments=item.garments, finder=item.finder) for item in read]
        rows = {space.name: all_vector_rows(batch, space, items) for space in spaces}
        file_stamps = [read_file_stamp(columns, row) for row in range(len(ids))]
        outcomes.append(Embedded(items, file_stamps, rows))
    for id_, *stamp in told["reused"]:  # after those of the same content
        stamp_now = FileStamp(*stamp)
        of_photo = Content(stamp_now.sha256, item_of[id_].box, finder_of[id_])
        outcomes.append(Reused(item_of[id_], stamp_now, of_photo))
    return outcomes, told["seconds"]


def reused_keys(outcomes: Iterable[Outcome]) -> set[bytes]:
    """Keys of the contents that outcomes reuse and that none of them embeds."""
    reused, embedded = set[bytes](), set[bytes]()
    for outcome in outcomes:
        if isinstance(outcome, Reused):
            reused.add(outcome.content.key)
        elif isinstance(outcome, Embedded):
            pairs = zip(outcome.items, outcome.file_stamps, strict=True)
            embedded.update(Content.of(item, file_stamp).key for item, file_stamp in pairs)
    return reused - embedded


def _work_json(work: PhotoTask) -> dict[str, Any]:
    file_stamp = work.file_stamp
    return {
        **item_json(work.item),
        "root": work.item.root,
        "stamp": None if file_stamp is None else [file_stamp.size, file_stamp.modified_ns, file_stamp.sha256],
        **({} if work.finder is None else {"finder": work.finder}),
        **({} if work.reuse else {"reuse": False}),
    }


def _work(told: Mapping[str, Any]) -> PhotoTask:
    item = Item(
        id=told["id"],
        photo=told["photo"],
        root=told["root"],
        product=told["product"],
        box=None if told["box"] is None else Box(*told["box"]),
        attributes=told["attributes"],
    )
    file_stamp = None if told["stamp"] is None else FileStamp(*told["stamp"])
    return PhotoTask(item, file_stamp=file_stamp, finder=told.get("finder"), reuse=told.get("reuse", True))
