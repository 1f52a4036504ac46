"""The collection that holds the items: its fields, and the index over its vectors, chosen by size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lookalike.gallery.milvus.address import INDEX_SETTINGS, Address
from lookalike.gallery.milvus.connection import BUILDING_S, Connection, Timed
from lookalike.gallery.milvus.records import LONGEST

if TYPE_CHECKING:
    from pymilvus import CollectionSchema

FEW: Final = 50_000
"""Up to so many rows every one is compared, which takes milliseconds."""

MANY: Final = 5_000_000
"""From so many rows on they are kept in 8 bits a number: a quarter of the memory, and the scores come from the rows."""

PARTITIONS: Final = 16
"""Of a collection that is in partitions, where the address does not say how many."""

SEGMENT_BYTES: Final = 512 << 20
"""Milvus makes an index for each segment of about this size, so a list must be long enough within one."""

FLOAT_INDEXES: Final = ("FLAT", "IVF_FLAT", "HNSW")
"""Indexes whose scores are those of the rows themselves, up to rounding."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """An index of Milvus.

    Attributes:
        kind: A name of `INDEX_SETTINGS`.
        parameters: What it is made with.
    """

    kind: str
    parameters: Mapping[str, int]

    @property
    def lists(self) -> int:
        """How many lists its rows are in, in each segment; 0 where it has none."""
        return int(self.parameters.get("nlist", 0))


def planned(address: Address, *, count: int, columns: int) -> IndexPlan:
    """The index for so many rows, as far as the address does not say otherwise.

    Args:
        address: Of the gallery, with its settings.
        count: Rows that are there; the setting `rows` says how many there will be.
        columns: Length of the concatenated rows.
    """
    count = max(count, address.number("rows") or 0)
    kind = address.settings.get("index") or ("FLAT" if count <= FEW else "IVF_FLAT" if count < MANY else "IVF_SQ8")
    in_segment = min(max(count, 1), max(1, SEGMENT_BYTES // (4 * columns)))
    usual = {
        "nlist": 1 << max(4, math.ceil(math.log2(4 * math.sqrt(in_segment)))),
        "m": next(parts for parts in (32, 28, 20, 16, 14, 10, 8, 7, 5, 4, 3, 2, 1) if columns % parts == 0),
        "nbits": 8,
        "M": 32,
        "efConstruction": 200,
    }
    given = address.index_settings
    return IndexPlan(kind, {name: given.get(name, usual[name]) for name in INDEX_SETTINGS[kind]})


def create(connection: Connection, *, columns: int, partitioned: bool = False) -> None:
    """Make the collection, its indexes, and have it loaded; what is there already stays as it is."""
    address = connection.address
    with connection.client(doing="making the collection") as client:
        if not client.has_collection(connection.collection):
            client.create_collection(
                connection.collection,
                schema=fields(columns=columns, partitioned=partitioned),
                num_shards=address.number("shards") or 1,
                consistency_level="Bounded",
                **({"num_partitions": address.number("partitions") or PARTITIONS} if partitioned else {}),
            )
        if not client.list_indexes(connection.collection):
            build_index(client, connection.collection, planned(address, count=0, columns=columns))
        load(client, address, connection.collection)


def fields(*, columns: int, partitioned: bool) -> CollectionSchema:
    """The schema; see `lookalike.gallery.milvus.records` for what the fields mean."""
    from pymilvus import DataType, MilvusClient

    schema = MilvusClient.create_schema(
        auto_id=False, enable_dynamic_field=True, description="Items of a Lookalike gallery"
    )
    schema.add_field("id", DataType.VARCHAR, is_primary=True, max_length=LONGEST)
    schema.add_field("_row", DataType.INT64)
    schema.add_field("_added", DataType.INT64)
    schema.add_field("_source", DataType.VARCHAR, max_length=LONGEST)
    schema.add_field("_edited", DataType.BOOL)
    schema.add_field("_item", DataType.VARCHAR, max_length=LONGEST)
    schema.add_field("_raw", DataType.VARCHAR, max_length=LONGEST)
    if partitioned:
        schema.add_field("_partition", DataType.VARCHAR, max_length=LONGEST, is_partition_key=True)
    schema.add_field("vector", DataType.FLOAT_VECTOR, dim=columns)
    return schema


def build_index(client: Timed, collection: str, plan: IndexPlan, *, wait: bool = False) -> None:
    """Have the vectors indexed, and the numbers that rows are asked for by."""
    numbers = client.prepare_index_params()
    for name in ("_row", "_added"):
        numbers.add_index(name, index_type="STL_SORT", index_name=name)
    client.create_index(collection, numbers, sync=False)
    vectors = client.prepare_index_params()
    vectors.add_index(
        "vector", index_type=plan.kind, index_name="vector", metric_type="IP", params=dict(plan.parameters)
    )
    client.create_index(collection, vectors, sync=wait, timeout=BUILDING_S)


def present(client: Timed, collection: str) -> IndexPlan:
    """The index that the vectors have."""
    description = client.describe_index(collection, "vector")
    kind = str(description["index_type"])
    return IndexPlan(
        kind, {name: int(description[name]) for name in INDEX_SETTINGS.get(kind, ()) if name in description}
    )


def load(client: Timed, address: Address, collection: str) -> None:
    """Have the collection in the query nodes' memory."""
    client.load_collection(collection, replica_number=address.number("replicas") or 1, timeout=BUILDING_S)


def is_ours(client: Timed, collection: str, *, columns: int, partitioned: bool) -> bool:
    """Whether a collection has the fields of a gallery, and vectors of this length."""
    described = client.describe_collection(collection)
    there = {one["name"]: one for one in described["fields"]}
    wanted = {one.name for one in fields(columns=columns, partitioned=partitioned).fields}
    return wanted <= set(there) and int(there["vector"]["params"]["dim"]) == columns
