"""Copies of galleries, within and between back ends, verified at the end.

An interrupted copy continues where it stopped: items with equal digests are not written again. Uploaded photos of the
source are copied too, so that neither gallery can delete the other's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from lookalike.errors import LookalikeError, MismatchError
from lookalike.gallery.milvus import is_on_milvus
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.gallery.transfer.original import Progress
from lookalike.spaces import check_keeps_bits, format_spaces
from lookalike.types import JSON, item_json

DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Copied:
    """Result of a copy.

    Attributes:
        items: Number of items in both galleries.
        written: Number of items that were written.
        checksum: Checksum of all items and vectors of both galleries in any order, hexadecimal.
    """

    items: int
    written: int
    checksum: str

    def to_json(self) -> dict[str, JSON]:
        """JSON form, as printed by the command line."""
        return {"items": self.items, "written": self.written, "checksum": self.checksum}


def is_gallery(address: str) -> bool:
    """Whether an address is that of a gallery rather than a folder of exported files."""
    return is_on_milvus(address) or (Path(address) / "gallery.db").is_file()


def copy_gallery(
    source: Gallery, target: Gallery, *, with_roots: bool = False, progress: Progress | None = None
) -> Copied:
    """Copy all items of a gallery into another, and compare the two.

    Items that only the target has stay there and are not compared.

    Args:
        source: Gallery to read, which should not change meanwhile.
        target: Gallery to fill: empty, from an interrupted copy, or with other items of the same spaces.
        with_roots: Copy the roots too, so that servers of the target show the source's photos; for trusted sources.
        progress: Called with the number of items done and in all.

    Raises:
        MismatchError: The target has other spaces, or would round the source's vectors.
        LookalikeError: The galleries differ at the end.
    """
    spaces = source.spaces
    if target.spaces and target.spaces != spaces:
        raise MismatchError(
            f"the target has the spaces {format_spaces(target.spaces)}, and the source {format_spaces(spaces)}"
        )
    check_keeps_bits(target.spaces, spaces, doing="copy")
    total = len(source)
    with target.writing():
        if not target.spaces and source.projections:
            target.store_projections(source.projections)
        if source.model is not None:
            target.remember_model(source.model)
        if source.stored_weights != StoredWeights():
            target.store_weights(source.stored_weights)
        if with_roots:
            target.remember_roots(source.roots)
        photos, there = PhotoStore(target), digests(target)
        wanted: dict[str, Digest] = {}
        written = done = 0
        for batch in map(photos.adopt_all, source.records()):
            found = digests_of(batch)
            wanted |= found
            missing = [place for place, item in enumerate(batch.items) if there.get(item.id) != found[item.id]]
            if missing:
                part = batch.take(missing)
                target.add(
                    part.items,
                    part.vectors,
                    spaces=spaces,
                    source=part.sources,
                    file_stamps=part.file_stamps,
                    overrides=part.overrides,
                )
            written += len(missing)
            done += len(batch)
            if progress is not None:
                progress(done, total)
        target.remember_reviews(source.reviews())
        target.optimise()
    return compared(wanted, digests(target), written=written)


class Digest(NamedTuple):
    """Digests of one record.

    Attributes:
        shown: Digest of the item with its overrides and of its vectors, bit for bit, as they were added.
        origin: Digest of its source, its file stamp, and the item as its source describes it.
    """

    shown: bytes
    origin: bytes


def digests(gallery: Gallery) -> dict[str, Digest]:
    """Digests of all records of a gallery, by id; reads all of it."""
    found: dict[str, Digest] = {}
    for batch in gallery.records():
        found |= digests_of(batch)
    return found


def digests_of(batch: RecordBatch) -> dict[str, Digest]:
    """Digests of the records of a batch, by id."""
    rows = [np.ascontiguousarray(batch.vectors[name], dtype="<f4") for name in sorted(batch.vectors)]
    found = {}
    for place, (described, item, of_item) in enumerate(zip(batch.items, batch.current_items, batch.rows, strict=True)):
        file_stamp = batch.file_stamps[place]
        origin: list[JSON] = [
            item_json(described),
            described.root,
            batch.sources[place],
            None if file_stamp is None else list(astuple(file_stamp)),
            described.finder,
        ]
        vectors = [part[of_item.start : of_item.stop].tobytes() for part in rows]
        shown = digest_of([item_json(item), item.root], *vectors)
        found[item.id] = Digest(shown, digest_of(origin))
    return found


def digest_of(about: Sequence[JSON], *more: bytes) -> bytes:
    """Digest of a JSON list, and of bytes after it."""
    text = json.dumps(about, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    return hashlib.sha256(b"".join([text, *more])).digest()[:DIGEST_BYTES]


def compared(wanted: Mapping[str, Digest], found: Mapping[str, Digest], *, written: int) -> Copied:
    """Compare the digests of source and target.

    Raises:
        LookalikeError: An item of the source is missing in the target, or differs there.
    """
    missing = [item_id for item_id in wanted if item_id not in found]
    other = [item_id for item_id, digest in wanted.items() if item_id in found and found[item_id].shown != digest.shown]
    if missing or other:
        named = ", ".join(repr(item_id) for item_id in (missing + other)[:3])
        raise LookalikeError(
            f"the copy is incomplete: of {len(wanted):,} items {len(missing):,} are missing and {len(other):,} "
            f"differ ({named}); was one of the galleries changed meanwhile? Run the same command again"
        )
    return Copied(len(wanted), written, checksum(wanted))


def checksum(found: Mapping[str, Digest]) -> str:
    """Combine digests of items into one, independent of their order."""
    total = 0
    for item_id, digest in found.items():
        part = hashlib.sha256(item_id.encode() + b"\0" + digest.shown).digest()
        total = (total + int.from_bytes(part[:DIGEST_BYTES], "little")) % (1 << 8 * DIGEST_BYTES)
    return f"{total:032x}"
