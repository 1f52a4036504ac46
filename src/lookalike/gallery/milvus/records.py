"""How items and their vectors become rows of a Milvus collection, and items again.

id          the item's, the primary key: adding an item again replaces it
_row        a random number for this item with these vectors, by which answers name it
_added      microseconds since 1970 when it was added, which is the order of items
_source     the catalogue it came from
_edited     whether anything was set by hand
_item       all that is known of it, as JSON: product, photo, root, box, attributes, stamp, edits
_partition  text of the attribute by which the collection is in partitions, where it is
_raw        base64 of its vectors as they were added, where those are not of unit length
vector      the concatenated unit rows
and a dynamic field for the product and for each attribute that is there, for filters and for other programs
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.records import ENCODER, AttributeNames, Kinds
from lookalike.spaces import Space, slices, width
from lookalike.types import JSON, Box, FileStamp, Float32, Item

FIXED: Final = ("id", "_row", "_added", "_source", "_edited", "_item", "_raw", "_partition", "vector")
KNOWN: Final = ("id", "_row", "_added", "_source", "_edited", "_item")
"""Fields that say everything but the vectors."""

LONGEST: Final = 65_535
"""Bytes of a text, and of all dynamic fields of an item together."""

ESCAPE: Final = "attribute "
"""Stands before a name that is a fixed field's, is empty, or begins like this."""


@dataclass(frozen=True, slots=True)
class Record:
    """An item as it is kept, without its vectors.

    Attributes:
        item: As it is now.
        row: Its number.
        added: When, in microseconds since 1970.
        source: Where it came from.
        file_stamp: Of its photo's file.
        described: Its attributes as they were last described, when something was set by hand on top of them.
        changes: What was set by hand; None takes an attribute away.
    """

    item: Item
    row: int
    added: int
    source: str
    file_stamp: FileStamp | None = None
    described: Mapping[str, JSON] | None = None
    changes: Mapping[str, JSON] | None = None

    @property
    def as_described(self) -> Item:
        """The item as its source described it."""
        return self.item if self.described is None else replace(self.item, attributes=dict(self.described))

    def with_changes(self, changes: Mapping[str, JSON]) -> Record:
        """The same, with attributes set by hand on top of what was set before."""
        described = self.item.attributes if self.described is None else self.described
        together = {**(self.changes or {}), **changes}
        kept = {name: value for name, value in described.items() if name not in together}
        attributes = kept | {name: value for name, value in together.items() if value is not None}
        return replace(self, item=replace(self.item, attributes=attributes), described=described, changes=together)


def field_of(name: str) -> str:
    """The dynamic field that holds an attribute."""
    return ESCAPE + name if not name or name in FIXED or name == "product" or name.startswith(ESCAPE) else name


def shown_as(name: str) -> str:
    """The dynamic field that holds an attribute or the product."""
    return name if name == "product" else field_of(name)


def to_row(record: Record) -> dict[str, Any]:
    """A record as the collection's fields, without its vectors.

    Raises:
        UsageError: It is longer than Milvus can keep.
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
        known |= {"described": dict(record.described or {}), "changes": dict(record.changes)}
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
            f"what is known of {item.id[:80]!r} takes {max(lengths):,} bytes, and Milvus keeps at most {LONGEST:,}"
        )
    return row | shown


def partition_of(row: Mapping[str, Any], partition_by: str | None) -> dict[str, str]:
    """The field by which a row finds its partition, if there are any: only texts tell one from another."""
    if partition_by is None:
        return {}
    value = row.get(shown_as(partition_by))
    return {"_partition": value if isinstance(value, str) else ""}


def filterable(value: JSON) -> JSON:
    """A value as filters see it: lists and objects are only there or not, and no number is too long."""
    if isinstance(value, list | tuple | dict):
        return {}
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return float(value)
    return value


def to_record(row: Mapping[str, Any]) -> Record:
    """A record from the fields `KNOWN`."""
    known = json.loads(row["_item"])
    item = Item(
        id=row["id"],
        photo=known["photo"],
        root=known["root"],
        product=known["product"],
        box=None if known["box"] is None else Box(*known["box"]),
        attributes=known["attributes"],
    )
    file_stamp = known.get("stamp")
    return Record(
        item,
        row["_row"],
        row["_added"],
        row["_source"],
        None if file_stamp is None else FileStamp(*file_stamp),
        known.get("described"),
        known.get("changes"),
    )


def raw_text(raw: bytes | None) -> str:
    """Vectors as the field `_raw` keeps them."""
    return "" if raw is None else base64.b64encode(raw).decode()


def unit_rows_of(rows: Sequence[Mapping[str, Any]], *, columns: int) -> Float32:
    """The unit rows of what was read: (B, sum of D) float32."""
    return np.array([row["vector"] for row in rows], dtype=np.float32).reshape(len(rows), columns)


def added_rows_of(rows: Sequence[Mapping[str, Any]], *, columns: int) -> Float32:
    """The rows as they were added, of what was read with `vector` and `_raw`: (B, sum of D) float32."""
    found = unit_rows_of(rows, columns=columns)
    for place, row in enumerate(rows):
        if row["_raw"]:
            found[place] = np.frombuffer(base64.b64decode(row["_raw"]), dtype="<f4")
    return found


def record_batch(rows: Sequence[Mapping[str, Any]], *, spaces: Sequence[Space]) -> RecordBatch:
    """Records from rows that were read with `KNOWN`, `vector` and `_raw`."""
    records = [to_record(row) for row in rows]
    vectors = added_rows_of(rows, columns=width(spaces))
    return RecordBatch(
        [record.as_described for record in records],
        {name: vectors[:, place] for name, place in slices(spaces).items()},
        [record.source for record in records],
        [record.file_stamp for record in records],
        [record.changes or {} for record in records],
    )


def kinds_of(items: Sequence[Item]) -> dict[str, Kinds]:
    """Every attribute of items and the kinds of its values, in the order in which they come.

    Raises:
        UsageError: A value is nothing that JSON can say.
    """
    names = AttributeNames([])
    for item in items:
        names.encode(item)
    return dict(names.kinds)
