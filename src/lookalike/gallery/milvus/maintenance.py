"""Looking a gallery on Milvus over from top to bottom, tidying it up, and giving it the index that fits its size."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from typing import Final

import numpy as np

from lookalike.gallery.health import Health
from lookalike.gallery.milvus.connection import BUILDING_S, Connection
from lookalike.gallery.milvus.metadata import Metadata
from lookalike.gallery.milvus.reads import MilvusReader
from lookalike.gallery.milvus.records import KNOWN, to_record, unit_rows_of
from lookalike.gallery.milvus.schema import IndexPlan, build_index, load, planned, present
from lookalike.gallery.records import UNIT_TOLERANCE
from lookalike.gallery.verification import named
from lookalike.spaces import resolve_weights, slices, width
from lookalike.types import JSON

SMALL: Final = 10_000
"""So many rows are found quickly where they are when they have just come; nothing need be made for them."""


def optimise(connection: Connection, *, count: int, columns: int) -> None:
    """Give the collection the index that fits its size, and wait until it has it.

    When that is another kind of index than before, nothing can be found for as long as it takes to make it.

    Args:
        connection: To the server.
        count: N.
        columns: Length of the concatenated rows.
    """
    plan = planned(connection.address, count=count, columns=columns)
    with connection.client(doing="making the index") as client:
        if is_other(present(client, connection.collection), plan, given=connection.address.index_settings):
            client.flush(connection.collection, timeout=BUILDING_S)
            client.release_collection(connection.collection)
            client.drop_index(connection.collection, "vector")
            build_index(client, connection.collection, plan, wait=True)
            load(client, connection.address, connection.collection)
        elif count > SMALL:
            client.flush(connection.collection, timeout=BUILDING_S)
            build_index(client, connection.collection, present(client, connection.collection), wait=True)


def is_other(now: IndexPlan, plan: IndexPlan, *, given: dict[str, int]) -> bool:
    """Whether there should be another index: of another kind, or with other numbers than were asked for."""
    return now.kind != plan.kind or any(now.parameters.get(name) != value for name, value in given.items())


def compact(connection: Connection) -> None:
    """Have the rows of removed items thrown away, and wait until that is done."""
    with connection.client(doing="compacting") as client:
        client.flush(connection.collection, timeout=BUILDING_S)
        job = client.compact(connection.collection)
        client._get_connection().wait_for_compaction_completed(job, timeout=BUILDING_S)


def stored_bytes(connection: Connection, *, columns: int) -> int:
    """About how many bytes of vectors the collection's segments hold, those of removed items too."""
    with connection.client(doing="reading the size") as client:
        rows = int(client.get_collection_stats(connection.collection)["row_count"])
    return rows * 4 * columns


def info(connection: Connection, reader: MilvusReader, known: Metadata, *, there: bool) -> dict[str, JSON]:
    """What a gallery is: counts, spaces, sizes, the state of its index.

    Args:
        connection: To the server.
        reader: Of the collection.
        known: What the gallery remembers.
        there: Whether there is a collection yet.
    """
    address = connection.address
    shown: dict[str, JSON] = {
        "address": address.text,
        "items": reader.count() if there else 0,
        "model": known.model,
        "spaces": [
            {"name": space.name, "dimension": space.dimension, "model_id": space.model_id} for space in known.spaces
        ],
        "weights": dict(resolve_weights(None, known.spaces, stored=known.weights.weights)),
    }
    if known.weights.weights is not None:
        shown["weights_learned"] = dict(known.weights.source)
    if known.projections:
        shown["projections"] = [{"space": name} for name in known.projections]
    shown |= {
        "sources": dict(sources(reader, known)) if there else {},
        "attributes": {name: list(kinds.words()) for name, kinds in known.kinds.items()},
        "consistency": reader.level(),
    }
    if there:
        with connection.client(doing="looking at the index") as client:
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
    """Read everything and check it against itself.

    Args:
        reader: Of the collection.
        known: What the gallery remembers.
        photos: Check that the photos' files are there, too; those at URLs are passed over.
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
                problems.setdefault("what is known of {} cannot be read", []).append(row["id"])
                continue
            if not set(item.attributes) <= set(known.kinds):
                problems.setdefault("{} have attributes that the gallery does not know", []).append(row["id"])
            if photos and "://" not in item.location and not os.path.isfile(item.location):  # noqa: PTH113
                problems.setdefault("the photos of {} are not there", []).append(row["id"])
    found = [text.format(named(list(dict.fromkeys(which)))) for text, which in problems.items()]
    return Health(len(ids), (*contradictions(ids, numbers, counted=counted), *found))


def contradictions(ids: Counter[str], numbers: Counter[int], *, counted: int) -> Iterator[str]:
    """What cannot be, of the ids and row numbers that were met."""
    twice = [item_id for item_id, times in ids.items() if times > 1]
    if twice:
        yield f"{named(twice)} are there more than once"
    if any(times > 1 for times in numbers.values()):
        yield f"{sum(times > 1 for times in numbers.values())} row numbers belong to more than one item"
    if ids.total() != counted:
        yield f"{ids.total():,} items were met, and the server counts {counted:,}; was it being written to?"
