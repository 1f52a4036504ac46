"""From a catalogue into a gallery: read and decode in threads -> batches -> the network -> durable writes.

Only photos that are new or have changed are decoded. At no time are more than a few batches of photos in memory,
whatever the catalogue's size, and new items are written in the catalogue's order.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Protocol

import numpy as np

from lookalike.catalogue.protocol import Catalogue
from lookalike.embedding.deep import processors
from lookalike.embedding.protocol import Embedder, Prepared
from lookalike.embedding.report import Report, Skipped
from lookalike.errors import CatalogueError, PhotoError
from lookalike.images import open_image, read_bytes
from lookalike.spaces import Space
from lookalike.types import Float32, Item, Stamp

BATCH = 16
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
        stamps: Sequence[Stamp] | None = None,
    ) -> None:
        """Add or replace items, durably and all together."""
        ...

    def __len__(self) -> int:
        """Number of items."""
        ...

    def describe(self, items: Sequence[Item], *, source: str = "", stamps: Sequence[Stamp] | None = None) -> None:
        """Replace what is known of items whose vectors stay."""
        ...

    def remove(self, ids: Sequence[str]) -> int:
        """Remove items; says how many."""
        ...

    def stamps(self, source: str) -> dict[str, tuple[Item, Stamp | None]]:
        """Items that came from a source, by id, with the stamps of their files."""
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
    progress: Callable[[Report], None] | None = None,
) -> Report:
    """Bring a gallery up to date with a catalogue.

    A photo is unchanged when its file has the size and time that are remembered, or else the same content. What has
    been committed stays when the run is interrupted or killed, and the next run goes on from there.

    Args:
        catalogue: What to read.
        embedder: What describes the photos.
        writer: The gallery.
        batch: How many photos the network gets at once, at least 1.
        workers: Threads that read and decode; None takes one for each processor.
        prune: Remove items that came from this source in an earlier run and are no longer in it.
        strict: Stop at the first photo that cannot be read, instead of skipping it.
        progress: Called now and then with what was done so far.

    Raises:
        CatalogueError: An id comes twice, or the catalogue cannot be read to its end; nothing is pruned then.
        PhotoError: With `strict`, a photo cannot be read.
        MismatchError: The gallery was filled by another embedder.
    """
    run = _Run(catalogue, embedder, writer, batch=batch, strict=strict, progress=progress)
    started = perf_counter()
    # Decoders must be a few photos ahead of the network at all times, also while a batch is being embedded.
    workers = workers or processors()
    run.go(workers=workers, ahead=2 * batch + workers)
    if prune:
        run.prune()
    run.report.seconds["total"] = perf_counter() - started
    return run.report


@dataclass(frozen=True, slots=True)
class _Known:
    """What the gallery remembers of an item."""

    item: Item
    stamp: Stamp | None


@dataclass(frozen=True, slots=True)
class _Read:
    """A photo as a worker returns it; `prepared` is None when its content has not changed."""

    stamp: Stamp
    prepared: Prepared | None
    seconds: float


class _Run:
    """One run; everything but `_read` happens in the caller's thread."""

    def __init__(
        self,
        catalogue: Catalogue,
        embedder: Embedder,
        writer: Writer,
        *,
        batch: int,
        strict: bool,
        progress: Callable[[Report], None] | None,
    ) -> None:
        self.report = Report(skipped=[Skipped("", skip.photo, skip.reason) for skip in catalogue.skipped])
        self._catalogue, self._embedder, self._writer = catalogue, embedder, writer
        self._batch, self._strict, self._progress = batch, strict, progress
        self._known = {id_: _Known(*known) for id_, known in writer.stamps(catalogue.source).items()}
        self._seen: set[str] = set()
        self._waiting: list[tuple[Item, Stamp, Prepared]] = []
        self._embedded: list[tuple[Item, Stamp]] = []
        self._vectors: list[Mapping[str, Float32]] = []
        self._described: list[tuple[Item, Stamp]] = []
        self._written_at = perf_counter()

    def go(self, *, workers: int, ahead: int) -> None:
        """Read the whole catalogue, with up to `ahead` photos on their way through the workers."""
        if self._strict and self.report.skipped:
            raise PhotoError(self.report.skipped[0].photo, self.report.skipped[0].reason)
        on_their_way: deque[tuple[Item, Future[_Read]]] = deque()
        pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
        try:
            for item in self._catalogue.items():
                if self._is_unchanged(item):
                    continue
                on_their_way.append((item, pool.submit(self._read, item)))
                if len(on_their_way) >= ahead:
                    self._take(*on_their_way.popleft())
            while on_their_way:
                self._take(*on_their_way.popleft())
            self._embed()
        finally:
            # Also when interrupted or stopped by an error: what is embedded has been paid for and is kept.
            pool.shutdown(wait=True, cancel_futures=True)
            self._write()

    def prune(self) -> None:
        """Remove what an earlier run took from this source and this one did not meet, readable or not."""
        listed = {skip.photo for skip in self._catalogue.skipped}
        gone = [id_ for id_, known in self._known.items() if id_ not in self._seen and known.item.photo not in listed]
        self.report.removed = self._writer.remove(gone) if gone else 0

    def _is_unchanged(self, item: Item) -> bool:
        """Whether an item can be told to need no look at its photo; if so, its account is settled."""
        if item.id in self._seen:
            raise CatalogueError(f"the id {item.id!r} comes twice in {self._catalogue.source}; ids must be unique")
        self._seen.add(item.id)
        known = self._known.get(item.id)
        if known is None or known.stamp is None or not _shows_the_same(item, known.item):
            return False
        if _size_and_time(item.location) != (known.stamp.size, known.stamp.modified_ns):
            return False
        self._settle(item, known.stamp)
        return True

    def _settle(self, item: Item, stamp: Stamp) -> None:
        """Keep the vectors of an item, and take note of what else may have changed."""
        known = self._known[item.id]
        if item == known.item:
            self.report.unchanged += 1
        else:
            self.report.updated += 1
        if item != known.item or stamp != known.stamp:
            self._described.append((item, stamp))
        self._write_when_due()
        self._tell()

    def _read(self, item: Item) -> _Read:
        """Read, and if need be decode and prepare, one photo; runs in the workers."""
        started = perf_counter()
        known = self._known.get(item.id)
        size_and_time = _size_and_time(item.location)  # before the bytes: a later change is then seen by the next run
        data = read_bytes(item.location)
        stamp = Stamp(len(data), size_and_time[1] if size_and_time else 0, hashlib.sha256(data).hexdigest())
        prepared = None
        is_same = known and known.stamp and known.stamp.sha256 == stamp.sha256 and known.item.box == item.box
        if not is_same:
            photo = open_image(data, at_least=self._embedder.wanted_size, box=item.box, name=item.location)
            prepared = self._embedder.prepare(photo)
        return _Read(stamp, prepared, perf_counter() - started)

    def _take(self, item: Item, future: Future[_Read]) -> None:
        """Wait for a photo, and embed when a batch is full."""
        with self._timed("wait"):
            error = future.exception()
        if isinstance(error, PhotoError) and not self._strict:
            self.report.skipped.append(Skipped(item.id, item.photo, error.reason))
            self._tell()
            return
        read = future.result()
        self.report.seconds["decode"] += read.seconds
        if read.prepared is None:
            self._settle(item, read.stamp)
            return
        self._waiting.append((item, read.stamp, read.prepared))
        if len(self._waiting) == self._batch:
            self._embed()

    def _embed(self) -> None:
        """Run the network on the photos that wait, and write when it is time."""
        if self._waiting:
            with self._timed("embed"):
                self._vectors.append(self._embedder.embed_prepared([prepared for _, _, prepared in self._waiting]))
            self._embedded += [(item, stamp) for item, stamp, _ in self._waiting]
            self.report.embedded += len(self._waiting)
            for item, _, _ in self._waiting:
                if item.id in self._known:
                    self.report.updated += 1
                else:
                    self.report.added += 1
            self._waiting.clear()
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
        with self._timed("write"):
            if embedded:
                items, stamps = zip(*embedded, strict=True)
                spaces = self._embedder.spaces
                rows = {space.name: np.concatenate([part[space.name] for part in vectors]) for space in spaces}
                before = len(self._writer)
                self._writer.add(items, rows, spaces=spaces, source=self._catalogue.source, stamps=stamps)
                new = sum(item.id not in self._known for item in items)
                replaced = new - (len(self._writer) - before)
                self.report.added -= replaced
                self.report.replaced += replaced
            if described:
                items, stamps = zip(*described, strict=True)
                self._writer.describe(items, source=self._catalogue.source, stamps=stamps)
        self._written_at = perf_counter()

    def _tell(self) -> None:
        if self._progress:
            self._progress(self.report)

    @contextmanager
    def _timed(self, phase: str) -> Iterator[None]:
        started = perf_counter()
        try:
            yield
        finally:
            self.report.seconds[phase] += perf_counter() - started


def _shows_the_same(item: Item, known: Item) -> bool:
    """Whether two items mean the same part of a photo at the same place."""
    return item.location == known.location and item.box == known.box


def _size_and_time(location: str) -> tuple[int, int] | None:
    """Bytes and time of the last change (ns since 1970) of a local file; None where that cannot be told cheaply."""
    if "://" in location:
        return None
    try:
        status = Path(location).stat()
    except (OSError, ValueError):  # ValueError where no file could have such a name
        return None
    return status.st_size, status.st_mtime_ns
