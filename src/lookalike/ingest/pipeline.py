"""From a catalogue into a gallery: what need not be looked at -> photos described -> durable writes.

Only photos that are new or have changed are decoded. At no time are more than a few batches of photos in memory,
whatever the catalogue's size, and new items are written in the catalogue's order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol

import numpy as np

from lookalike.catalogue.protocol import Catalogue
from lookalike.embedding.batch_embedding import (
    BATCH,
    Embedded,
    EmbedPhotos,
    Outcome,
    PhotoTask,
    Unchanged,
    Unreadable,
    embed_photos,
    size_and_time,
    timed,
)
from lookalike.embedding.protocol import Embedder
from lookalike.errors import CatalogueError, PhotoError
from lookalike.ingest.photo_folders import PhotoFolders
from lookalike.ingest.report import IndexReport, Skipped
from lookalike.remote.addresses import roots_of
from lookalike.spaces import Space
from lookalike.types import FileStamp, Float32, Item

WRITE_ROWS = 512
WRITE_SECONDS = 5.0
"""Rows are committed when there are this many, or when the last commit is this long ago."""


class Writer(Protocol):
    """What the pipeline needs of a gallery; `lookalike.gallery.protocol.Gallery` says what each method promises."""

    def add(
        self,
        items: Sequence[Item],
        vectors: Mapping[str, Float32],
        *,
        spaces: Sequence[Space],
        source: str = "",
        file_stamps: Sequence[FileStamp] | None = None,
    ) -> None:
        """Add or replace items, durably and all together."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def update(
        self, items: Sequence[Item], *, source: str = "", file_stamps: Sequence[FileStamp] | None = None
    ) -> None:
        """Replace what is known of items whose vectors stay."""
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; says how many."""
        ...

    def file_stamps(self, source: str) -> dict[str, tuple[Item, FileStamp | None]]:
        """Items that came from a source, by id, with the stamps of their files."""
        ...

    @property
    def roots(self) -> tuple[str, ...]:
        """The folders and addresses that photos came from so far."""
        ...

    def remember_roots(self, more: Iterable[str]) -> None:
        """Keep the folders and addresses that photos come from."""
        ...


def index_catalogue(
    catalogue: Catalogue,
    embedder: Embedder,
    writer: Writer,
    *,
    batch: int = BATCH,
    workers: int | None = None,
    prune: bool = False,
    strict: bool = False,
    progress: Callable[[IndexReport], None] | None = None,
    cluster: EmbedPhotos | None = None,
) -> IndexReport:
    """Bring a gallery up to date with a catalogue.

    A photo is unchanged when its file has the size and time that are remembered, or else the same content. What has
    been committed stays when the run is interrupted or killed, and the next run goes on from there.

    Args:
        catalogue: What to read.
        embedder: What describes the photos.
        writer: The gallery.
        batch: How many photos the network gets at once, at least 1.
        workers: Threads that read and decode; None takes one for each processor.
        prune: Remove items that came from this source in an earlier run and are no longer in it; those that may only be
            out of reach, since a folder cannot be listed or a photo cannot be read, stay.
        strict: Stop at the first photo that cannot be read, instead of skipping it.
        progress: Called now and then with what was done so far.
        cluster: Embeds the photos on other machines, as `embedder` would; None embeds them in this process.

    Raises:
        CatalogueError: An id comes twice, or the catalogue cannot be read to its end; nothing is pruned then.
        PhotoError: With `strict`, a photo cannot be read.
        MismatchError: The gallery was filled by another embedder.
    """
    run = _Run(catalogue, embedder.spaces, writer, strict=strict, progress=progress)
    for note in catalogue.notes:
        logging.getLogger(__name__).info("%s: %s", catalogue.source, note)
    started = perf_counter()
    run.go(cluster or partial(embed_photos, embedder=embedder, batch=batch, workers=workers))
    if prune:
        run.prune()
    run.report.seconds["total"] = perf_counter() - started
    return run.report


@dataclass(frozen=True, slots=True)
class _Known:
    """What the gallery remembers of an item."""

    item: Item
    file_stamp: FileStamp | None


class _Run:
    """One run; everything in it happens in the caller's thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        spaces: Sequence[Space],
        writer: Writer,
        *,
        strict: bool,
        progress: Callable[[IndexReport], None] | None,
    ) -> None:
        self.report = IndexReport(skipped=[Skipped(skip.id, skip.photo, skip.reason) for skip in catalogue.skipped])
        self._catalogue, self._spaces, self._writer = catalogue, spaces, writer
        self._strict, self._progress = strict, progress
        self._known = {id_: _Known(*known) for id_, known in writer.file_stamps(catalogue.source).items()}
        self._seen: set[str] = set()
        self._embedded: list[tuple[Item, FileStamp]] = []
        self._vectors: list[Mapping[str, Float32]] = []
        self._described: list[tuple[Item, FileStamp]] = []
        self._roots: set[str] = set()
        self._folders = PhotoFolders()
        self._written_at = perf_counter()

    def go(self, embed: EmbedPhotos) -> None:
        """Read the whole catalogue, and keep what becomes of its photos."""
        if self._strict and self.report.skipped:
            raise PhotoError(self.report.skipped[0].photo, self.report.skipped[0].reason)
        self._tell()  # rates are counted from here
        outcomes = embed(self._work(), self.report.seconds)
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    self._take(outcome)
        finally:
            # Also when interrupted or stopped by an error: what is embedded has been paid for and is kept.
            self._write()
        self.report.outside = self._folders.count_outside(self._writer.roots)

    def _work(self) -> Iterator[PhotoTask]:
        """Photos that have to be looked at, in the catalogue's order."""
        for position, item in enumerate(self._catalogue.items()):
            self._roots.update(roots_of(item, listed=self._catalogue.kind == "listing"))
            self._folders.count(item)
            if not self._is_unchanged(item):
                known = self._known.get(item.id)
                yield PhotoTask(item, position, known.file_stamp if known and known.item.box == item.box else None)

    def prune(self) -> None:
        """Remove what an earlier run took from this source and this one did not meet, unless it is out of reach."""
        unmet = [known.item for id_, known in self._known.items() if id_ not in self._seen]
        gone = [item.id for item, hidden in zip(unmet, self._catalogue.out_of_reach(unmet), strict=True) if not hidden]
        self.report.kept = len(unmet) - len(gone)
        self.report.removed = self._writer.remove(gone) if gone else 0

    def _is_unchanged(self, item: Item) -> bool:
        """Whether an item can be told to need no look at its photo; if so, its account is settled."""
        if item.id in self._seen:
            raise CatalogueError(f"the id {item.id!r} comes twice in {self._catalogue.source}; ids must be unique")
        self._seen.add(item.id)
        known = self._known.get(item.id)
        if known is None or known.file_stamp is None or not _shows_the_same(item, known.item):
            return False
        if size_and_time(item.location) != (known.file_stamp.size, known.file_stamp.modified_ns):
            return False
        self._settle(item, known.file_stamp)
        return True

    def _settle(self, item: Item, file_stamp: FileStamp) -> None:
        """Keep the vectors of an item, and take note of what else may have changed."""
        known = self._known[item.id]
        if item == known.item:
            self.report.unchanged += 1
        else:
            self.report.updated += 1
        if item != known.item or file_stamp != known.file_stamp:
            self._described.append((item, file_stamp))
        self._write_when_due()
        self._tell()

    def _take(self, outcome: Outcome) -> None:
        """Take note of what became of a photo, or of a batch."""
        if isinstance(outcome, Unreadable):
            if self._strict:
                raise outcome.error
            self.report.skipped.append(Skipped(outcome.item.id, outcome.item.photo, outcome.error.reason))
            self._tell()
        elif isinstance(outcome, Unchanged):
            self._settle(outcome.item, outcome.file_stamp)
        else:
            self._take_embedded(outcome)

    def _take_embedded(self, batch: Embedded) -> None:
        """Keep what the network made, and write when it is time."""
        self._vectors.append(batch.vectors)
        self._embedded += zip(batch.items, batch.file_stamps, strict=True)
        self.report.embedded += len(batch.items)
        for item in batch.items:
            if item.id in self._known:
                self.report.updated += 1
            else:
                self.report.added += 1
        self._write_when_due()
        self._tell()

    def _write_when_due(self) -> None:
        rows = max(len(self._embedded), len(self._described))
        if rows >= WRITE_ROWS or perf_counter() - self._written_at > WRITE_SECONDS:
            self._write()

    def _write(self) -> None:
        """Commit what has been embedded and described."""
        embedded, vectors, described = self._embedded, self._vectors, self._described
        self._embedded, self._vectors, self._described = [], [], []  # what fails to be written is not tried again
        with timed(self.report.seconds, "write"):
            self._writer.remember_roots(self._roots)
            if embedded:
                items, file_stamps = zip(*embedded, strict=True)
                spaces = self._spaces
                rows = {space.name: np.concatenate([part[space.name] for part in vectors]) for space in spaces}
                before = len(self._writer)
                self._writer.add(items, rows, spaces=spaces, source=self._catalogue.source, file_stamps=file_stamps)
                new = sum(item.id not in self._known for item in items)
                replaced = new - (len(self._writer) - before)
                self.report.added -= replaced
                self.report.replaced += replaced
            if described:
                items, file_stamps = zip(*described, strict=True)
                self._writer.update(items, source=self._catalogue.source, file_stamps=file_stamps)
        self._written_at = perf_counter()

    def _tell(self) -> None:
        if self._progress:
            self._progress(self.report)


def _shows_the_same(item: Item, known: Item) -> bool:
    """Whether two items mean the same part of a photo at the same place."""
    return item.location == known.location and item.box == known.box
