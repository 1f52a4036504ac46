"""Description, verification, compaction and index building of a gallery on Milvus."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from lookalike.gallery.health import Health
from lookalike.gallery.local.verification import named
from lookalike.gallery.milvus.connection import BUILDING_S, Connection
from lookalike.gallery.milvus.metadata import Metadata
from lookalike.gallery.milvus.reads import MilvusReader
from lookalike.gallery.milvus.records import KNOWN, to_record, unit_rows_of
from lookalike.gallery.milvus.schema import IndexPlan, build_index, load, planned, present
from lookalike.gallery.records import UNIT_TOLERANCE
from lookalike.spaces import resolve_weights, slices, width
from lookalike.types import JSON

SMALL: Final = 10_000
"""Number of rows up to which new rows are not flushed and indexed: Milvus scans them quickly."""


def optimise(connection: Connection, *, count: int, columns: int, changes: Callable[[], None]) -> None:
    """Build the index that fits the size of the collection, and wait for it.

    A change of the index type makes the collection unsearchable until the new index is built.

    Args:
        connection: Connection to the server.
        count: N, number of items.
        columns: Length of the concatenated vectors.
        changes: Called when the index has been replaced, and also when that fails half-way.
    """
    plan = planned(connection.address, count=count, columns=columns)
    with connection.client(doing="building the index") as client:
        if is_other(present(client, connection.collection), plan, given=connection.address.index_settings):
            client.flush(connection.collection, timeout=BUILDING_S)
            try:
                client.release_collection(connection.collection)
                client.drop_index(connection.collection, "vector")
                build_index(client, connection.collection, plan, wait=True)
                load(client, connection.address, connection.collection)
            finally:
                changes()
        elif count > SMALL:
            client.flush(connection.collection, timeout=BUILDING_S)
            build_index(client, connection.collection, present(client, connection.collection), wait=True)


def is_other(now: IndexPlan, plan: IndexPlan, *, given: dict[str, int]) -> bool:
    """Whether an index differs from the plan: by its type, or by a parameter that the address sets."""
    return now.kind != plan.kind or any(now.parameters.get(name) != value for name, value in given.items())


def compact(connection: Connection) -> None:
    """Purge removed rows, and wait for the end."""
    with connection.client(doing="compacting") as client:
        client.flush(connection.collection, timeout=BUILDING_S)
        job = client.compact(connection.collection)
        client._get_connection().wait_for_compaction_completed(job, timeout=BUILDING_S)


def stored_bytes(connection: Connection, *, columns: int) -> int:
    """Approximate bytes of vectors in the collection, including removed ones."""
    with connection.client(doing="reading the size") as client:
        rows = int(client.get_collection_stats(connection.collection)["row_count"])
    return rows * 4 * columns


def info(connection: Connection, reader: MilvusReader, known: Metadata, *, there: bool) -> dict[str, JSON]:
    """Describe a gallery: counts, spaces, sizes, the state of its index.

    Args:
        connection: Connection to the server.
        reader: Reader of the collection.
        known: Metadata of the gallery.
        there: Whether the collection exists.
    """
    address = connection.address
    shown: dict[str, JSON] = {
        "address": address.text,
        "items": reader.count() if there else 0,
        "model": known.model,
        "spaces": [
            {"name": space.name, "dimension": space.dimension, "model_id": space.model_id, "dtype": space.dtype}
            for space in known.spaces
        ],
        "weights": dict(resolve_weights(None, known.spaces, stored=known.weights.weights)),
    }
    if known.weights.weights is not None:
        shown["weights_learned"] = dict(known.weights.source)
    if known.weights.ranking is not None:
        shown["ranking_learned"] = known.weights.ranking.described()
    if known.projections:
        shown["projections"] = [{"space": name} for name in known.projections]
    shown |= {
        "sources": dict(sources(reader, known)) if there else {},
        "attributes": {name: list(kinds.words()) for name, kinds in known.kinds.items()},
        "consistency": reader.level(),
    }
    if there:
        with connection.client(doing="reading the index") as client:
            plan = present(client, connection.collection)
            state = client.describe_index(connection.collection, "vector")
            described = client.describe_collection(connection.collection)
            server: dict[str, JSON] = {
                "version": client.get_server_version(),
                "shards": described["num_shards"],
                "replicas": len(client.describe_replica(connection.collection)),
            }
            if known.partition_by is not None:
                server |= {"partitions": described["num_partitions"], "partition-by": known.partition_by}
            shown["server"] = server
        shown["bytes"] = {"vectors": stored_bytes(connection, columns=width(known.spaces))}
        shown["index"] = {"kind": plan.kind, **plan.parameters, "rows": state["indexed_rows"]}
    return shown


def sources(reader: MilvusReader, known: Metadata) -> dict[str, int]:
    """Number of items of each source."""
    counts = {source: reader.count(f"_source == {json.dumps(source, ensure_ascii=False)}") for source in known.sources}
    return {source: count for source, count in counts.items() if count}


def verify(reader: MilvusReader, known: Metadata, *, photos: bool) -> Health:
    """Check all rows of a gallery.

    Args:
        reader: Reader of the collection.
        known: Metadata of the gallery.
        photos: Check that the files of photos exist; photos at URLs are not checked.
    """
    ids: Counter[str] = Counter()
    numbers: Counter[int] = Counter()
    problems: dict[str, list[str]] = {}
    counted = reader.count(fresh=True)
    for batch in reader.ordered("_row >= 0", [*KNOWN, "vector"]):
        ids.update(row["id"] for row in batch)
        numbers.update(row["_row"] for row in batch)
        unit = unit_rows_of(batch, columns=width(known.spaces))
        for place in slices(known.spaces).values():
            squares = np.vecdot(unit[:, place], unit[:, place])
            for at in np.flatnonzero((np.abs(squares - 1) > 4 * UNIT_TOLERANCE) & (squares != 0)):
                problems.setdefault("the vectors of {} are not of unit length", []).append(batch[at]["id"])
        for row in batch:
            try:
                item = to_record(row).item
            except (ValueError, KeyError, TypeError):
                problems.setdefault("the metadata of {} cannot be read", []).append(row["id"])
                continue
            if not set(item.attributes) <= set(known.kinds):
                problems.setdefault("{} have attributes without a name in the gallery", []).append(row["id"])
            if photos and "://" not in item.location and not os.path.isfile(item.location):  # noqa: PTH113
                problems.setdefault("the photos of {} are missing", []).append(row["id"])
    found = [text.format(named(list(dict.fromkeys(which)))) for text, which in problems.items()]
    return Health(len(ids), (*contradictions(ids, numbers, counted=counted), *found))


def contradictions(ids: Counter[str], numbers: Counter[int], *, counted: int) -> Iterator[str]:
    """Contradictions among the ids and row numbers that were read."""
    twice = [item_id for item_id, times in ids.items() if times > 1]
    if twice:
        yield f"{named(twice)} occur more than once"
    if any(times > 1 for times in numbers.values()):
        yield f"{sum(times > 1 for times in numbers.values())} row numbers belong to more than one item"
    if ids.total() != counted:
        yield f"{ids.total():,} items were read, and the server counts {counted:,}; was one written meanwhile?"
