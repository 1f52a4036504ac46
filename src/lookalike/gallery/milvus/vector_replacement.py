"""Other vectors for a gallery on Milvus: a collection of its own, put in place by one change of properties.

A gallery is a collection of items and one of facts, and the facts name the items. An alias would move one name only,
and a process that has read the spaces of the old model would search the vectors of the new one. The properties of the
facts change all at once: readers have either the old collection with its spaces, or the new one.

    NAME_facts                 the facts; `lookalike.items` is the collection that is searched
    NAME__remodel_facts        facts of the vectors of another model
    NAME__remodel_before_facts facts of those of the earlier model
    NAME, NAME__0f3a...        items with their vectors
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from time import time
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from lookalike.gallery.milvus.address import parse, with_setting
from lookalike.gallery.milvus.gallery import MilvusGallery
from lookalike.gallery.milvus.reads import ALL
from lookalike.gallery.milvus.records import KNOWN, to_record
from lookalike.gallery.milvus.writes import changed

CLOSED_S: Final = 900.0
"""Seconds after which writes are taken again if a switch was killed."""

SETTLING_S: Final = 3.0
"""Seconds in which writes that began before the gallery was closed end."""


def beside(address: str, name: str, *, partition_by: str | None = None) -> str:
    """Address of the vectors of another model: `shop` becomes `shop__remodel`.

    Args:
        address: Address of the gallery.
        name: Name of the vectors.
        partition_by: Attribute that partitions the gallery; None without partitions.
    """
    parts = urlsplit(address)
    other = urlunsplit(parts._replace(path=f"{parts.path}__{name.replace('-', '_')}"))
    return other if partition_by is None else with_setting(other, "partition-by", partition_by)


def exists(gallery: MilvusGallery, address: str) -> bool:
    """Whether there are facts beside a gallery, at an address from `beside`."""
    collection = urlsplit(address).path.removeprefix("/")
    with gallery._connection.client(doing="looking for staged vectors") as client:
        return bool(client.has_collection(f"{collection}_facts"))


def collection_of(gallery: MilvusGallery) -> str:
    """Name of the collection that has the items of a gallery."""
    return gallery._state.metadata(fresh=True).items or gallery.address.collection


def use_new_collection(gallery: MilvusGallery) -> None:
    """Give an empty gallery a collection of a name that no other has; the name of its facts is used again."""
    if not gallery._state.metadata(fresh=True).items:
        base = gallery.address.collection.partition("__")[0]
        gallery._state.remember({"items": f"{base}__{secrets.token_hex(6)}"})
        gallery._state.metadata(fresh=True)


def close_for_writing(gallery: MilvusGallery) -> None:
    """Refuse writes until the vectors are in place, or for `CLOSED_S`."""
    gallery._state.remember({"closed": str(time() + CLOSED_S)})


def open_for_writing(gallery: MilvusGallery) -> None:
    """Take writes again."""
    gallery._state.remember({"closed": ""})


def take_records(gallery: MilvusGallery, staged: MilvusGallery) -> int:
    """Give staged rows all but the vectors of a gallery's rows: numbers, order, sources, attributes, overrides.

    Returns:
        Number of rows that were changed.
    """
    known, count = gallery._state.metadata(fresh=True), 0
    for batch in gallery._reader.ordered(ALL, KNOWN):
        there = {
            row["id"]: row for row in staged._reader.by_id([row["id"] for row in batch], [*KNOWN, "_raw", "vector"])
        }
        rows = [
            changed(there[row["id"]], to_record(row))
            for row in batch
            if row["id"] in there and any(there[row["id"]][name] != row[name] for name in KNOWN)
        ]
        staged._writer.put(rows, known)
        count += len(rows)
    return count


def keep(gallery: MilvusGallery, address: str) -> None:
    """Make facts beside a gallery that name its present collection, and describe its vectors.

    Args:
        gallery: Gallery.
        address: Address from `beside`.
    """
    known = gallery._state.metadata(fresh=True)
    with MilvusGallery(parse(address), create=True) as kept:
        if gallery.projections:
            kept._metadata_store.write_projections(gallery.projections)
        kept._metadata_store.point_to(replace(known, items=collection_of(gallery)))


def put_in_place(gallery: MilvusGallery, staged: MilvusGallery) -> None:
    """Make the collection of a staged gallery that of a gallery, in one request; writes are taken again."""
    known = staged._state.metadata(fresh=True)
    gallery._metadata_store.point_to(replace(known, items=collection_of(staged)))
    gallery._state.forget_metadata()


def remove(gallery: MilvusGallery, address: str) -> None:
    """Delete facts beside a gallery, and their items, unless these are the gallery's own."""
    own = collection_of(gallery)
    with MilvusGallery(parse(address)) as other:
        items = collection_of(other)
        with other._connection.client(doing="deleting vectors") as client:
            if items != own and client.has_collection(items):
                client.drop_collection(items)
        other._metadata_store.drop()
