"""Collection of the items: its fields, and the index over its vectors, chosen by size."""

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
"""Largest number of rows with the index type FLAT, whose scan takes milliseconds."""

MANY: Final = 5_000_000
"""Number of rows from which vectors are quantised to 8 bits per number: a quarter of the memory; scores stay exact."""

PARTITIONS: Final = 16
"""Default number of partitions."""

SEGMENT_BYTES: Final = 512 << 20
"""Size of the segments that Milvus indexes one by one; the number of lists is chosen for one segment."""

FLOAT_INDEXES: Final = ("FLAT", "IVF_FLAT", "HNSW")
"""Index types whose scores are exact up to rounding."""


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """Type and parameters of an index of Milvus.

    Attributes:
        kind: Index type, from `INDEX_SETTINGS`.
        parameters: Build parameters.
    """

    kind: str
    parameters: Mapping[str, int]

    @property
    def lists(self) -> int:
        """Number of lists in each segment; 0 for indexes without lists."""
        return int(self.parameters.get("nlist", 0))


def planned(address: Address, *, count: int, columns: int) -> IndexPlan:
    """Plan the index for a number of rows; settings of the address take precedence.

    Args:
        address: Address of the gallery.
        count: Present number of rows; the setting `rows` gives the expected one.
        columns: Length of the concatenated vectors.
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
    """Create the collection and its indexes, and load it; existing ones stay as they are."""
    address = connection.address
    with connection.client(doing="creating the collection") as client:
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
    """Schema of the collection; `lookalike.gallery.milvus.records` documents the fields."""
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
    """Build the indexes over vectors, row numbers and times."""
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
    """Read the present index over the vectors."""
    description = client.describe_index(collection, "vector")
    kind = str(description["index_type"])
    return IndexPlan(
        kind, {name: int(description[name]) for name in INDEX_SETTINGS.get(kind, ()) if name in description}
    )


def load(client: Timed, address: Address, collection: str) -> None:
    """Load the collection into the memory of the query nodes."""
    client.load_collection(collection, replica_number=address.number("replicas") or 1, timeout=BUILDING_S)


def is_ours(client: Timed, collection: str, *, columns: int, partitioned: bool) -> bool:
    """Whether a collection has the fields of a gallery, and vectors of `columns` numbers."""
    described = client.describe_collection(collection)
    there = {one["name"]: one for one in described["fields"]}
    wanted = {one.name for one in fields(columns=columns, partitioned=partitioned).fields}
    return wanted <= set(there) and int(there["vector"]["params"]["dim"]) == columns
