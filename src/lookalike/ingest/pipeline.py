"""Indexing pipeline: compares a catalogue with a gallery, embeds new and changed photos, and writes them durably.

Only new and changed photos are decoded. A few batches of photos are in memory at a time, whatever the size of the
catalogue, and new items are written in its order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np

from lookalike.catalogue.protocol import Catalogue
from lookalike.embedding.batch_embedding import embed_photos, timed
from lookalike.embedding.photo_reading import size_and_time
from lookalike.embedding.photo_tasks import Embedded, EmbedPhotos, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.embedding.protocol import Embedder, GarmentFinder
from lookalike.errors import CatalogueError, PhotoError
from lookalike.ingest.index_target import IndexTarget
from lookalike.ingest.known_items import KnownItems
from lookalike.ingest.photo_folders import PhotoFolders
from lookalike.ingest.report import IndexReport, Skipped
from lookalike.remote.addresses import roots_of
from lookalike.spaces import Space
from lookalike.types import Content, FileStamp, Float32, Item

WRITE_ROWS = 512
WRITE_SECONDS = 5.0
"""Rows and seconds after which a commit is due."""

PRUNE_LIMIT = 0.2
"""Default share of the items of a source that one run removes at most. Ranges of shops change by a few percent a night,
while a feed that a program has cut short, or a folder that is not mounted, lacks half of its items or all."""

PRUNED_FREELY = 5
"""Number of items that is removed whatever its share, unless none of the source would be left."""


def index_catalogue(
    catalogue: Catalogue,
    embedder: Embedder,
    target: IndexTarget,
    *,
    source_name: str | None = None,
    batch: int | None = None,
    workers: int | None = None,
    prune: bool = False,
    prune_limit: float = PRUNE_LIMIT,
    discard_overrides: bool = False,
    strict: bool = False,
    progress: Callable[[IndexReport], None] | None = None,
    cluster: EmbedPhotos | None = None,
    finder: GarmentFinder | None = None,
) -> IndexReport:
    """Bring a gallery up to date with a catalogue.

    A photo is unchanged when its file has the stored size and time, or the same content, and the same finder, or none,
    has looked for garments in it. A photo of the content of any other item, with the same box and finder, gets the
    vectors of that one. Committed items stay when the run is interrupted or killed, and the next run continues from
    there.

    Args:
        catalogue: Catalogue to read.
        embedder: Embeds the photos.
        target: Gallery to write to.
        source_name: Name of the source in the gallery; None is the catalogue's own. Items that other sources brought
            under the same ids belong to this one afterwards.
        batch: Batch size of the network, at least 1; None goes by how it runs, see `embed_photos`.
        workers: Number of threads, or processes, that read and decode; None is one for each processor.
        prune: Remove items of earlier runs of the source that are not in the catalogue. Items stay when their folder,
            photo or row cannot be read in this run.
        prune_limit: Largest share of the items of the source that is removed, from 0 to 1. If more than that, and more
            than `PRUNED_FREELY` or all, have vanished, none is removed, and `vanished` in the report counts them.
        discard_overrides: Drop overrides of attributes that the catalogue brings for an item; others stay.
        strict: Stop at the first photo that cannot be read instead of skipping it.
        progress: Called repeatedly with the report so far.
        cluster: Embeds the photos on other machines, as `embedder` would; None embeds them in this process.
        finder: Finds garments in photos of items without a box, to embed each by itself; None embeds whole photos.

    Raises:
        CatalogueError: An id comes twice, or the catalogue cannot be read to its end; nothing is pruned then.
        PhotoError: With `strict`, a photo cannot be read.
        MismatchError: The gallery was filled by another embedder.
    """
    source = catalogue.source if source_name is None else source_name
    run = _Run(
        catalogue,
        embedder.spaces,
        target,
        source=source,
        discard_overrides=discard_overrides,
        strict=strict,
        progress=progress,
        finder=finder,
    )
    started = perf_counter()
    run.go(cluster or partial(embed_photos, embedder=embedder, batch=batch, workers=workers, finder=finder))
    if prune:
        run.prune(limit=prune_limit)
    run.report.seconds["total"] = perf_counter() - started
    return run.report


@dataclass(frozen=True, slots=True)
class _Pending:
    """Item to write.

    Attributes:
        item: Item.
        file_stamp: File stamp of its photo.
        content: Its content.
        vectors: A row for each of its parts, by space; None for those of another item of the same content.
    """

    item: Item
    file_stamp: FileStamp
    content: Content
    vectors: Mapping[str, Float32] | None = None


class _Run:
    """One indexing run, in the caller's thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        spaces: Sequence[Space],
        target: IndexTarget,
        *,
        source: str,
        discard_overrides: bool,
        strict: bool,
        progress: Callable[[IndexReport], None] | None,
        finder: GarmentFinder | None,
    ) -> None:
        self.report = IndexReport(skipped=[Skipped(skip.id, skip.photo, skip.reason) for skip in catalogue.skipped])
        self.report.garments = None if finder is None else 0
        self._finder = None if finder is None else finder.model_id
        self._catalogue, self._spaces, self._target, self._source = catalogue, spaces, target, source
        self._strict, self._progress = strict, progress
        self._known = KnownItems(target, source=source, discard_overrides=discard_overrides)
        self._seen: set[str] = set()
        self._pending: list[_Pending] = []
        self._again: list[PhotoTask] = []
        self._metadata: list[tuple[Item, FileStamp]] = []
        self._roots: set[str] = set()
        self._folders = PhotoFolders()
        self._written_at = perf_counter()

    def go(self, embed: EmbedPhotos) -> None:
        """Read the whole catalogue and write new and changed items."""
        if self._strict and self.report.skipped:
            raise PhotoError(self.report.skipped[0].photo, self.report.skipped[0].reason)
        self._tell()  # rates are counted from here
        self._embed(embed, self._work())
        if self._again:  # their contents were known, and the items that had them were given others meanwhile
            self._embed(embed, iter(self._again))
        self.report.outside = self._folders.count_outside(self._target.roots)

    def _embed(self, embed: EmbedPhotos, work: Iterator[PhotoTask]) -> None:
        """Embed photos, and write their items."""
        outcomes = embed(work, self.report.seconds, known=self._known.contents)
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    self._take(outcome)
        finally:
            # Also after an interrupt or error: embedded photos are not lost.
            self._write()

    def _work(self) -> Iterator[PhotoTask]:
        """Tasks for new and possibly changed photos, in the order of the catalogue."""
        for position, item in enumerate(self._known.met(self._catalogue.items())):
            self._roots.update(roots_of(item, listed=self._catalogue.kind == "listing"))
            if not self._is_unchanged(item):
                known = self._known.get(item.id)
                keeps_parts = known is not None and self._has_same_parts(item, known.item)
                file_stamp = known.file_stamp if known and keeps_parts else None
                yield PhotoTask(item, position, file_stamp, finder=self._finder_for(item))

    def _finder_for(self, item: Item) -> str | None:
        """Finder of the garments of an item's photo; a box is a garment already."""
        return self._finder if item.box is None else None

    def _has_same_parts(self, item: Item, known: Item) -> bool:
        """Whether an item's photo, if it is the same, is embedded in the same parts."""
        return item.box == known.box and known.finder == self._finder_for(item)

    def prune(self, *, limit: float) -> None:
        """Remove items of earlier runs of the source that are not in the catalogue, up to a share of them."""
        unmet = self._known.unmet(self._seen)
        gone = [item.id for item, hidden in zip(unmet, self._catalogue.out_of_reach(unmet), strict=True) if not hidden]
        self.report.kept = len(unmet) - len(gone)
        self.report.of_source = of_source = len(self._known)
        if gone and len(gone) / of_source > limit and (len(gone) > PRUNED_FREELY or len(gone) == of_source):
            self.report.vanished = len(gone)
        else:
            self.report.removed = self._target.remove(gone) if gone else 0

    def _is_unchanged(self, item: Item) -> bool:
        """Whether size and time show that the photo is unchanged; if so, keep its vectors."""
        if item.id in self._seen:
            raise CatalogueError(f"the id {item.id!r} comes twice in {self._catalogue.source}; ids must be unique")
        self._seen.add(item.id)
        known = self._known.get(item.id)
        if known is None or known.file_stamp is None or item.location != known.item.location:
            return False
        if not self._has_same_parts(item, known.item):
            return False
        if size_and_time(item.location) != (known.file_stamp.size, known.file_stamp.modified_ns):
            return False
        self._settle(item, known.file_stamp)
        return True

    def _settle(self, item: Item, file_stamp: FileStamp) -> None:
        """Keep the vectors of an item, and update its metadata and file stamp where they changed."""
        known = self._known.get(item.id)
        assert known is not None
        item = replace(item, garments=known.item.garments, finder=known.item.finder)
        self._folders.count(item)
        is_same = (item, self._source) == (known.item, known.source) and not self._known.loses_overrides(item.id)
        if is_same:
            self.report.unchanged += 1
        else:
            self._count(item)
        if not is_same or file_stamp != known.file_stamp:
            self._metadata.append((item, file_stamp))
        self._write_when_due()
        self._tell()

    def _take(self, outcome: Outcome) -> None:
        """Record the outcome of a photo or a batch."""
        if isinstance(outcome, Unreadable):
            if self._strict:
                raise outcome.error
            self.report.skipped.append(Skipped(outcome.item.id, outcome.item.photo, outcome.error.reason))
            self._tell()
        elif isinstance(outcome, Unchanged):
            self._settle(outcome.item, outcome.file_stamp)
        elif isinstance(outcome, Reused):
            self._folders.count(outcome.item)
            self._pending.append(_Pending(outcome.item, outcome.file_stamp, outcome.content))
            self._write_when_due()
        else:
            self._take_embedded(outcome)

    def _take_embedded(self, batch: Embedded) -> None:
        """Queue embedded photos, and write when a commit is due."""
        at = 0
        for item, file_stamp in zip(batch.items, batch.file_stamps, strict=True):
            rows = slice(at, at + len(item.parts))
            at = rows.stop
            vectors = {name: each[rows] for name, each in batch.vectors.items()}
            self._pending.append(_Pending(item, file_stamp, Content.of(item, file_stamp), vectors))
            self._count(item)
            self._folders.count(item)
        self.report.embedded += len(batch.items)
        if self.report.garments is not None:
            self.report.garments += sum(len(item.garments) for item in batch.items)
        self._write_when_due()
        self._tell()

    def _count(self, item: Item) -> None:
        """Count an item that is new, has changed or was another source's."""
        known = self._known.get(item.id)
        if known is None:
            self.report.added += 1
        elif known.source == self._source:
            self.report.updated += 1
        else:
            before = self.report.replaced_from.get(known.source, 0)
            self.report.replaced_from[known.source] = before + 1

    def _write_when_due(self) -> None:
        rows = max(len(self._pending), len(self._metadata))
        if rows >= WRITE_ROWS or perf_counter() - self._written_at > WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        """Commit queued items and metadata."""
        pending, metadata = self._pending, self._metadata
        self._pending, self._metadata = [], []  # a failed write is not repeated
        with timed(self.report.seconds, "write"):
            self._target.remember_roots(self._roots)
            if complete := list(self._with_vectors(pending)):
                parts = [each.vectors or {} for each in complete]
                self._target.add(
                    [each.item for each in complete],
                    {space.name: np.concatenate([part[space.name] for part in parts]) for space in self._spaces},
                    spaces=self._spaces,
                    source=self._source,
                    file_stamps=[each.file_stamp for each in complete],
                )
                for each in complete:
                    self._note_content(each)
            if metadata:
                items, file_stamps = zip(*metadata, strict=True)
                self._target.update(items, source=self._source, file_stamps=file_stamps)
            written = [*(each.item for each in complete), *(item for item, _ in metadata)]
            self.report.discarded_overrides += self._known.drop_overrides(written)
        self._written_at = perf_counter()

    def _with_vectors(self, pending: Sequence[_Pending]) -> Iterator[_Pending]:
        """Complete items whose vectors another item has; one that has them no more is embedded later."""
        made = {each.content: (each.item, each.vectors) for each in pending if each.vectors is not None}
        stored = self._known.contents.find({each.content for each in pending} - made.keys())
        for each in pending:
            if each.vectors is not None:
                yield each
                continue
            item, vectors = made.get(each.content) or stored.get(each.content) or (None, None)
            if item is None:
                finder = self._finder_for(each.item)
                self._again.append(PhotoTask(each.item, len(self._again), finder=finder, reuse=False))
                continue
            like = replace(each.item, garments=item.garments, finder=item.finder)
            self.report.reused += 1
            self._count(like)
            yield replace(each, item=like, vectors=vectors)

    def _note_content(self, written: _Pending) -> None:
        """Note which item has which content now."""
        known = self._known.get(written.item.id)
        if known is not None and known.file_stamp is not None:
            self._known.contents.forget(known.item, known.file_stamp)
        self._known.contents.add(written.item, written.file_stamp)

    def _tell(self) -> None:
        if self._progress:
            self._progress(self.report)
