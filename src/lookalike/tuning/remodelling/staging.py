"""Vectors of another model for the items of a gallery, in a gallery of their own inside its folder."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from lookalike.embedding.batch_embedding import embed_photos
from lookalike.embedding.compatibility import check_compatibility
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.photo_tasks import Embedded, PhotoTask, Unreadable
from lookalike.embedding.projected import ProjectedEmbedder
from lookalike.embedding.protocol import Embedder
from lookalike.errors import PhotoError, UsageError
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.remote.addresses import is_address
from lookalike.types import FileStamp, Item

WRITTEN: Final = 256
"""Items of one transaction, which a kill can lose."""

Progress: TypeAlias = Callable[[int, int], None]

Record: TypeAlias = tuple[Item, str, FileStamp | None]
"""Item as its source describes it, its source, and the file stamp of its photo."""


@dataclass
class Staging:
    """Result of `stage`.

    Attributes:
        embedded: Number of items that were embedded in this run.
        removed: Number of items that were removed, since the gallery has them no more.
        unreadable: Items whose photos cannot be read, with the reasons, by id.
    """

    embedded: int
    removed: int
    unreadable: dict[str, str]


def stage(gallery: Gallery, staged: Gallery, embedder: Embedder, *, progress: Progress | None = None) -> Staging:
    """Bring staged vectors up to date with a gallery, which may be written to meanwhile.

    Photos are read where the gallery says that they lie, and embedded in the parts that it has: boxes, and garments as
    they were found. What is committed stays when the run is interrupted or killed, and the next one goes on from there.

    Args:
        gallery: Gallery, which is not changed.
        staged: Gallery with the vectors of the other model.
        embedder: The other model.
        progress: Called with the number of items that have vectors of it, and of all.

    Raises:
        GalleryLockedError: Another run is staging.
    """
    run = Staging(0, 0, {})
    with staged.writing():
        while work := changed(gallery, staged, run):
            before = run.embedded
            embed(gallery, staged, embedder, work, run=run, progress=progress)
            if run.embedded == before:
                break
    return run


def changed(gallery: Gallery, staged: Gallery, run: Staging) -> list[Record]:
    """Records of a gallery that have no staged vectors; staged ones that it has not are removed.

    Photos that could not be read in this run are left out.
    """
    known = {item.id: key_of(item, stamp) for item, _, stamp in records_of(staged)}
    missing, there = [], set()
    for item, source, stamp in records_of(gallery):
        there.add(item.id)
        if known.get(item.id) != key_of(item, stamp) and item.id not in run.unreadable:
            missing.append((item, source, stamp))
    gone = [item_id for item_id in known if item_id not in there]
    run.removed += staged.remove(gone) if gone else 0
    for item_id in run.unreadable.keys() - there:
        del run.unreadable[item_id]
    return missing


def records_of(gallery: Gallery) -> Iterator[Record]:
    """Records of a gallery, without their vectors."""
    for batch in gallery.records():
        yield from zip(batch.items, batch.sources, batch.file_stamps, strict=True)


def key_of(item: Item, stamp: FileStamp | None) -> object:
    """What the vectors of an item depend on: its photo and the parts of it."""
    return hash((item.location, tuple(map(str, item.parts)), stamp and stamp.sha256))


def embed(
    gallery: Gallery,
    staged: Gallery,
    embedder: Embedder,
    work: Sequence[Record],
    *,
    run: Staging,
    progress: Progress | None,
) -> None:
    """Embed the photos of records, and write them."""
    about = {item.id: (source, stamp) for item, source, stamp in work}
    indexed = {item_id: stamp for item_id, (_, stamp) in about.items()}
    total = len(gallery)
    waiting: list[Embedded] = []

    def write() -> None:
        for each in waiting:
            if not each.items:
                continue
            sources, stamps = zip(*(about[item.id] for item in each.items), strict=True)
            staged.add(each.items, each.vectors, spaces=embedder.spaces, source=sources, file_stamps=stamps)
        waiting.clear()

    try:
        tasks = readable(gallery, [item for item, _, _ in work], run)
        for outcome in embed_photos(tasks, defaultdict(float), embedder=embedder):
            if isinstance(outcome, Unreadable):
                run.unreadable[outcome.item.id] = f"{outcome.item.photo}: {outcome.error.reason}"
            elif isinstance(outcome, Embedded):
                waiting.append(as_indexed(outcome, indexed, run))
                run.embedded += len(waiting[-1].items)
                if sum(len(each.items) for each in waiting) >= WRITTEN:
                    write()
            if progress is not None:
                progress(len(staged) + sum(len(each.items) for each in waiting), total)
    finally:
        write()  # also after Ctrl-C: embedded photos are not lost


def as_indexed(batch: Embedded, indexed: Mapping[str, FileStamp | None], run: Staging) -> Embedded:
    """The photos of a batch that have the contents that were indexed; others count as unreadable.

    Vectors of another content would stand under the file stamp of the indexed one, and be copied to other items of it.
    """
    keep = []
    for item, read in zip(batch.items, batch.file_stamps, strict=True):
        stamp = indexed[item.id]
        keep.append(stamp is None or stamp.sha256 == read.sha256)
        if not keep[-1]:
            run.unreadable[item.id] = f"{item.photo}: it has changed since it was indexed; index its catalogue again"
    if all(keep):
        return batch
    rows = np.repeat(keep, [len(item.parts) for item in batch.items])
    return Embedded(
        [item for item, kept in zip(batch.items, keep, strict=True) if kept],
        [stamp for stamp, kept in zip(batch.file_stamps, keep, strict=True) if kept],
        {name: part[rows] for name, part in batch.vectors.items()},
    )


def readable(gallery: Gallery, items: Sequence[Item], run: Staging) -> Iterator[PhotoTask]:
    """Tasks for items whose photos lie where the owner of the gallery indexed from; others count as unreadable."""
    reader = PhotoReader.of(gallery)
    for item in items:
        try:
            if is_address(item.location):
                reader(item)
            else:
                reader.roots_for(item).open(item).close()
        except PhotoError as error:
            run.unreadable[item.id] = f"{item.photo}: {error.reason}"
        else:
            yield PhotoTask(item)


def mirror(gallery: Gallery, copy: Gallery) -> None:
    """Copy all records of a gallery into an empty one, with its model, learned weights and projections."""
    copy.store_projections(gallery.projections)
    if gallery.model is not None:
        copy.remember_model(gallery.model)
    copy.store_weights(gallery.stored_weights)
    for batch in gallery.records():
        add_batch(copy, batch, gallery)


def add_batch(copy: Gallery, batch: RecordBatch, gallery: Gallery) -> None:
    """Add a batch of a gallery's records to another one."""
    copy.add(batch.items, batch.vectors, spaces=gallery.spaces, source=batch.sources, file_stamps=batch.file_stamps)


def last_stage(gallery: Gallery, staged: Gallery, embedder: Embedder, *, before: Staging) -> Staging:
    """Stage what was written since, while no other process writes.

    Raises:
        UsageError: Photos of some items cannot be read.
    """
    done = stage(gallery, staged, embedder)
    if done.unreadable:
        ids = list(done.unreadable)
        named = "; ".join(f"{item_id}: {done.unreadable[item_id]}" for item_id in ids[:3])
        more = f" and {len(ids) - 3:,} more" if ids[3:] else ""
        raise UsageError(
            f"{len(ids):,} items have no vectors of the new model ({named}{more}); "
            "bring their photos back, or remove the items: lookalike gallery remove"
        )
    return Staging(before.embedded + done.embedded, before.removed + done.removed, {})


def embedder_of(staged: Gallery, address: str, *, runtime: str, device: str) -> Embedder:
    """Embedder that made staged vectors.

    Args:
        staged: Gallery with the vectors.
        address: Its address.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.

    Raises:
        ModelError: Its file is missing.
        MismatchError: Its file was replaced by another model.
    """
    loaded = ModelFile(None, runtime, device).load(staged.model, gallery=address)
    projections = staged.projections
    embedder: Embedder = ProjectedEmbedder(loaded, projections) if projections else loaded
    check_compatibility(address, staged.spaces, embedder, remembered=staged.model)
    return embedder
