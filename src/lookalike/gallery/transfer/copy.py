"""From one gallery into another, wherever they are kept: what is there already stays, and at the end all is compared.

A copy that was broken off goes on where it was: an item whose digest is the same on both sides is not written again.
Photos that were sent for items of the source are copied as well, so that neither gallery can delete the other's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from lookalike.errors import LookalikeError, MismatchError
from lookalike.gallery.local.writes import in_words
from lookalike.gallery.photo_store import SOURCE, PhotoStore, is_sent
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.transfer.original import Progress
from lookalike.spaces import Space
from lookalike.types import JSON, FileStamp, Float32, Item, item_json

DIGEST_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Copied:
    """What a copy did.

    Attributes:
        items: How many both galleries have now.
        written: How many had to be written.
        checksum: Over all items and their vectors, whatever their order, in hexadecimal; of both galleries.
    """

    items: int
    written: int
    checksum: str

    def to_json(self) -> dict[str, JSON]:
        """As the command line shows it."""
        return {"items": self.items, "written": self.written, "checksum": self.checksum}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an item came from, and how its source described it."""

    source: str
    described: Item
    file_stamp: FileStamp | None


def is_gallery(address: str) -> bool:
    """Whether an address is that of a gallery, and not of a folder of exported files."""
    return address.startswith(("milvus:", "milvus+tls:")) or (Path(address) / "gallery.db").is_file()


def copy_gallery(
    source: Gallery, target: Gallery, *, with_roots: bool = False, progress: Progress | None = None
) -> Copied:
    """Bring everything of one gallery into another, and compare the two.

    Items that only the target has stay there, and are no part of what is compared.

    Args:
        source: It is read through once, and should not change meanwhile.
        target: Empty, or begun by an earlier copy, or holding other items of the same spaces.
        with_roots: Have the photos of the source shown by servers of the target; only for a source of one's own.
        progress: Called now and then with the items done and their number.

    Raises:
        MismatchError: The target has other spaces.
        LookalikeError: In the end the two differ.
    """
    spaces = source.spaces
    if target.spaces and target.spaces != spaces:
        raise MismatchError(f"the target has the spaces {in_words(target.spaces)}, and the source {in_words(spaces)}")
    total = len(source)
    with target.writing():
        if not target.spaces and source.projections:
            target.store_projections(source.projections)
        if source.model is not None:
            target.remember_model(source.model)
        if source.stored_weights.weights is not None:
            target.store_weights(source.stored_weights)
        if with_roots:
            target.remember_roots(source.roots)
        origins, photos = origins_of(source), PhotoStore(target)
        there, kept = digests(target), origins_of(target)
        wanted: dict[str, bytes] = {}
        written = done = 0
        for there_before, vectors in source.rows():
            items = [with_photo(item, origins, photos) for item in there_before]
            found = dict(zip((item.id for item in items), digests_of(items, vectors), strict=True))
            wanted |= found
            missing = [
                place
                for place, item in enumerate(items)
                if there.get(item.id) != found[item.id] or origins.get(item.id) != kept.get(item.id)
            ]
            for group in by_origin([items[place].id for place in missing], origins):
                places = [place for place in missing if items[place].id in group]
                part = {name: rows[places] for name, rows in vectors.items()}
                put(target, [items[place] for place in places], part, spaces=spaces, origins=origins)
            written += len(missing)
            done += len(items)
            if progress is not None:
                progress(done, total)
        target.optimise()
    return compared(wanted, digests(target), written=written)


def put(
    target: Gallery,
    items: Sequence[Item],
    vectors: Mapping[str, Float32],
    *,
    spaces: Sequence[Space],
    origins: Mapping[str, Origin],
) -> None:
    """Write items of one source, as they were described, and what was set on them by hand on top."""
    known = [origins.get(item.id) for item in items]
    described = [item if one is None else one.described for item, one in zip(items, known, strict=True)]
    file_stamps = [one.file_stamp for one in known if one is not None and one.file_stamp is not None]
    target.add(
        described,
        vectors,
        spaces=spaces,
        source=known[0].source if known[0] else "",
        file_stamps=file_stamps if len(file_stamps) == len(items) else None,
        overrides=[
            changes_between(before.attributes, item.attributes) for item, before in zip(items, described, strict=True)
        ],
    )


def with_photo(item: Item, origins: dict[str, Origin], photos: PhotoStore) -> Item:
    """An item as the target has it: a photo that was sent for it is copied there, and its origin changed alike."""
    one = origins.get(item.id)
    if one is None or one.source != SOURCE or not is_sent(item):
        return item
    copied = photos.adopt(item)
    origins[item.id] = replace(one, described=replace(one.described, root=copied.root))
    return copied


def changes_between(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> dict[str, JSON]:
    """What was set by hand, from the attributes before and after it; None takes an attribute away."""
    gone: dict[str, JSON] = {name: None for name in before if name not in after}
    return gone | {name: value for name, value in after.items() if name not in before or before[name] != value}


def by_origin(ids: Sequence[str], origins: Mapping[str, Origin]) -> Iterator[set[str]]:
    """Ids of one source, with stamps or without, that can be added together."""
    groups: dict[tuple[str, bool], set[str]] = {}
    for item_id in ids:
        one = origins.get(item_id)
        key = ("", False) if one is None else (one.source, one.file_stamp is not None)
        groups.setdefault(key, set()).add(item_id)
    yield from groups.values()


def origins_of(gallery: Gallery) -> dict[str, Origin]:
    """Where the items of a gallery came from."""
    named = gallery.info()["sources"]
    assert isinstance(named, dict)
    return {
        item_id: Origin(source, described, file_stamp)
        for source in named
        for item_id, (described, file_stamp) in gallery.file_stamps(source).items()
    }


def digests(gallery: Gallery) -> dict[str, bytes]:
    """A digest of each item of a gallery, by id; reads all of it."""
    return {
        item.id: digest
        for items, vectors in gallery.rows()
        for item, digest in zip(items, digests_of(items, vectors), strict=True)
    }


def digests_of(items: Sequence[Item], vectors: Mapping[str, Float32]) -> list[bytes]:
    """A digest of each item: of all that is known of it and of its vectors, bit for bit, as they were added."""
    rows = [np.ascontiguousarray(vectors[name], dtype="<f4") for name in sorted(vectors)]
    return [
        hashlib.sha256(
            b"".join(
                [
                    json.dumps([item_json(item), item.root], sort_keys=True, ensure_ascii=False).encode(),
                    *(part[place].tobytes() for part in rows),
                ]
            )
        ).digest()[:DIGEST_BYTES]
        for place, item in enumerate(items)
    ]


def compared(wanted: Mapping[str, bytes], found: Mapping[str, bytes], *, written: int) -> Copied:
    """Compare what should be there with what is.

    Raises:
        LookalikeError: They differ.
    """
    missing = [item_id for item_id in wanted if item_id not in found]
    other = [item_id for item_id, digest in wanted.items() if item_id in found and found[item_id] != digest]
    if missing or other:
        named = ", ".join(repr(item_id) for item_id in (missing + other)[:3])
        raise LookalikeError(
            f"the copy is not whole: of {len(wanted):,} items {len(missing):,} are missing and {len(other):,} are "
            f"other ones ({named}); was one of the galleries changed meanwhile? Run the same command again"
        )
    return Copied(len(wanted), written, checksum(wanted))


def checksum(found: Mapping[str, bytes]) -> str:
    """One digest of many items, whatever their order."""
    total = 0
    for item_id, digest in found.items():
        part = hashlib.sha256(item_id.encode() + b"\0" + digest).digest()
        total = (total + int.from_bytes(part[:DIGEST_BYTES], "little")) % (1 << 8 * DIGEST_BYTES)
    return f"{total:032x}"
