"""Conversion of items and vectors to rows of a Milvus collection and back.

id          id of the item, the primary key: adding an item again replaces it
_row        random row number of the item with these vectors
_added      time of adding, microseconds since 1970, which orders the items
_source     source of the item
_edited     whether the item has overrides
_item       metadata as JSON: product, photo, root, box, attributes, file stamp, overrides, and with these
            what the catalogue says
_partition  value of the attribute that partitions the collection, if any
_raw        base64 of the raw vectors, if these are not of unit length
vector      concatenated unit vectors
and a dynamic field for the product and each attribute, for filters and for other programs
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.record_batch import PRODUCT, RecordBatch, overridden
from lookalike.gallery.records import ENCODER, AttributeNames, Kinds
from lookalike.gallery.stored_item import StoredItem
from lookalike.spaces import Space, slices, width
from lookalike.types import JSON, Box, FileStamp, Float32, Item

FIXED: Final = ("id", "_row", "_added", "_source", "_edited", "_item", "_raw", "_partition", "vector")
KNOWN: Final = ("id", "_row", "_added", "_source", "_edited", "_item")
"""All fields of a record but the vectors."""

LONGEST: Final = 65_535
"""Largest size in bytes of a text, and of all dynamic fields of an item together."""

ESCAPE: Final = "attribute "
"""Prefix of the field of an attribute whose name is a fixed field's, is empty, or begins with this prefix."""


@dataclass(frozen=True, slots=True)
class Record:
    """Stored item without its vectors.

    Attributes:
        item: Item with its overrides applied.
        row: Row number.
        added: Time of adding, microseconds since 1970.
        source: Source of the item.
        file_stamp: File stamp of its photo; None without one.
        described: Item without the overrides; None for an item without overrides.
        changes: Overrides; None as a value removes an attribute. None for an item without overrides.
    """

    item: Item
    row: int
    added: int
    source: str
    file_stamp: FileStamp | None = None
    described: Item | None = None
    changes: Mapping[str, JSON] | None = None

    @property
    def without_overrides(self) -> Item:
        """The item without its overrides."""
        return self.item if self.described is None else self.described

    @property
    def stored(self) -> StoredItem:
        """The item with its overrides, source and file stamp."""
        return StoredItem(self.without_overrides, self.changes or {}, self.source, self.file_stamp)

    def with_changes(self, changes: Mapping[str, JSON]) -> Record:
        """Add overrides to those that the record has."""
        described = self.without_overrides
        together = {**(self.changes or {}), **changes}
        return replace(self, item=overridden(described, together), described=described, changes=together)


def field_of(name: str) -> str:
    """Dynamic field of an attribute."""
    return ESCAPE + name if not name or name in FIXED or name == "product" or name.startswith(ESCAPE) else name


def shown_as(name: str) -> str:
    """Dynamic field of an attribute or of the product."""
    return name if name == "product" else field_of(name)


def to_row(record: Record) -> dict[str, Any]:
    """Convert a record to fields of the collection, without vectors.

    Raises:
        UsageError: It is larger than Milvus can store.
    """
    item = record.item
    known: dict[str, JSON] = {
        "product": item.product,
        "photo": item.photo,
        "root": item.root,
        "box": list(item.box.to_list()) if item.box else None,
        "attributes": dict(item.attributes),
    }
    if record.file_stamp is not None:
        known["stamp"] = [record.file_stamp.size, record.file_stamp.modified_ns, record.file_stamp.sha256]
    if record.changes is not None:
        described = record.without_overrides
        known |= {"described": dict(described.attributes), "changes": dict(record.changes)}
        if PRODUCT in record.changes:
            known["described_product"] = described.product
    text = ENCODER.encode(known)
    row = {
        "id": item.id,
        "_row": record.row,
        "_added": record.added,
        "_source": record.source,
        "_edited": record.changes is not None,
        "_item": text,
    }
    shown = {field_of(name): filterable(value) for name, value in item.attributes.items() if value is not None}
    if item.product is not None:
        shown["product"] = item.product
    lengths = [len(item.id.encode()), len(text.encode()), len(ENCODER.encode(shown).encode())]
    if max(lengths) > LONGEST:
        raise UsageError(
            f"the metadata of {item.id[:80]!r} take {max(lengths):,} bytes, and Milvus stores at most {LONGEST:,}"
        )
    return row | shown


def partition_of(row: Mapping[str, Any], partition_by: str | None) -> dict[str, str]:
    """Partition field of a row; values other than texts share one partition. Empty without partitions."""
    if partition_by is None:
        return {}
    value = row.get(shown_as(partition_by))
    return {"_partition": value if isinstance(value, str) else ""}


def filterable(value: JSON) -> JSON:
    """Form of a value for filters: an empty object for lists and objects, float64 for long integers."""
    if isinstance(value, list | tuple | dict):
        return {}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def to_record(row: Mapping[str, Any]) -> Record:
    """Convert the fields `KNOWN` to a record."""
    known = json.loads(row["_item"])
    item = Item(
        id=row["id"],
        photo=known["photo"],
        root=known["root"],
        product=known["product"],
        box=None if known["box"] is None else Box(*known["box"]),
        attributes=known["attributes"],
    )
    file_stamp, described = known.get("stamp"), None
    if "described" in known:
        product = known.get("described_product", item.product)
        described = replace(item, product=product, attributes=known["described"])
    return Record(
        item,
        row["_row"],
        row["_added"],
        row["_source"],
        None if file_stamp is None else FileStamp(*file_stamp),
        described,
        known.get("changes"),
    )


def raw_text(raw: bytes | None) -> str:
    """Encode raw vectors for the field `_raw`; empty without them."""
    return "" if raw is None else base64.b64encode(raw).decode()


def unit_rows_of(rows: Sequence[Mapping[str, Any]], *, columns: int) -> Float32:
    """Unit vectors of rows with `vector`: (B, sum of D) float32."""
    return np.array([row["vector"] for row in rows], dtype=np.float32).reshape(len(rows), columns)


def added_rows_of(rows: Sequence[Mapping[str, Any]], *, columns: int) -> Float32:
    """Raw vectors of rows with `vector` and `_raw`: (B, sum of D) float32."""
    found = unit_rows_of(rows, columns=columns)
    for place, row in enumerate(rows):
        if row["_raw"]:
            found[place] = np.frombuffer(base64.b64decode(row["_raw"]), dtype="<f4")
    return found


def record_batch(rows: Sequence[Mapping[str, Any]], *, spaces: Sequence[Space]) -> RecordBatch:
    """Convert rows with `KNOWN`, `vector` and `_raw` to a batch of records."""
    records = [to_record(row) for row in rows]
    vectors = added_rows_of(rows, columns=width(spaces))
    return RecordBatch(
        [record.without_overrides for record in records],
        {name: vectors[:, place] for name, place in slices(spaces).items()},
        [record.source for record in records],
        [record.file_stamp for record in records],
        [record.changes or {} for record in records],
    )


def kinds_of(items: Sequence[Item]) -> dict[str, Kinds]:
    """Kinds of values by attribute, in the order of occurrence.

    Raises:
        UsageError: A value cannot be stored as JSON.
    """
    names = AttributeNames([])
    for item in items:
        names.encode(item)
    return dict(names.kinds)
