"""Reading, decoding and embedding of photos in batches.

`embed_photos` runs in this process; `lookalike.ingest.ray` runs it on many machines.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import groupby
from time import perf_counter

import numpy as np

from lookalike.embedding.model_loading import processors
from lookalike.embedding.photo_tasks import Embedded, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.embedding.protocol import Embedder, Embeddings, GarmentFinder, Prepared
from lookalike.errors import PhotoError
from lookalike.images import DEFAULT_LIMITS, Limits, open_image, read_bytes
from lookalike.remote.addresses import is_address, reach_of, shown
from lookalike.remote.object_store import CONNECTIONS
from lookalike.remote.versions import Versions
from lookalike.types import Content, FileStamp, Item

BATCH = 16

PARALLEL_BATCH = 4
"""Batch size of a network that runs on one processor for each batch: its numbers stay in the processor's own cache, and
the last batches of a run end at about the same time."""

HELD = 8
"""Batches of photos of known contents, or unreadable ones, that wait for the new ones between them."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Photo as a worker thread has read it.

    Attributes:
        item: Its item, with garments if they were sought.
        file_stamp: Its file stamp.
        seconds: Seconds that it took.
        content: Its content; None if it is unchanged, or to be embedded whatever is known.
        prepared: Its parts; empty if it is unchanged, or its content known.
    """

    item: Item
    file_stamp: FileStamp
    seconds: float
    content: Content | None = None
    prepared: Sequence[Prepared] = ()


@dataclass(frozen=True, slots=True)
class _Batch:
    """Photos in order, with what the network computes of them; None if their contents are known."""

    reads: list[_Read]
    found: Future[Embeddings] | None

    @property
    def done(self) -> bool:
        return self.found is None or self.found.done()


def embed_photos(
    work: Iterable[PhotoTask],
    seconds: MutableMapping[str, float],
    *,
    embedder: Embedder,
    batch: int | None = None,
    workers: int | None = None,
    finder: GarmentFinder | None = None,
    known: Container[bytes] | None = None,
) -> Generator[Outcome, None, None]:
    """Embed photos in this process, in threads that read and decode, and that run the network where several may.

    Args:
        work: Photos; read a few batches ahead of the network.
        seconds: Seconds by phase: `decode` (summed over the threads), `wait` (for photos) and `embed` (for the network)
            are added to.
        embedder: Embeds the photos.
        batch: Batch size of the network, at least 1; None is `PARALLEL_BATCH` or `BATCH`, as it runs.
        workers: Number of threads; None is one for each processor, and more to read photos in stores.
        finder: Finds garments, if the tasks name one.
        known: Keys of contents that are not embedded, see `Content.key`; asked by several threads. The contents of
            photos that are embedded count as known from then on. None embeds all photos.

    Yields:
        Outcomes in the order of the photos, except that unchanged photos come as soon as they are known.
    """
    line = _Line(embedder, seconds, batch=batch, workers=workers, finder=finder, known=known)
    try:
        for each in work:
            line.send(each)
            if line.is_full:
                yield from line.take()
        while line.on_their_way:
            yield from line.take()
        line.embed()
        while line.embedding:
            yield from line.finish()
    finally:
        line.close()


class _Line:
    """Queue of photos from the decoding threads to the network, in order."""

    def __init__(
        self,
        embedder: Embedder,
        seconds: MutableMapping[str, float],
        *,
        batch: int | None,
        workers: int | None,
        finder: GarmentFinder | None,
        known: Container[bytes] | None,
    ) -> None:
        self._embedder, self._seconds, self._finder = embedder, seconds, finder
        self._known, self._versions = known, Versions()
        self._met: set[bytes] = set()
        decoders = workers or processors()
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._fetchers = ThreadPoolExecutor(workers or max(decoders, CONNECTIONS), thread_name_prefix="fetch")
        # With a thread for each processor, these run the network as well: more threads would take turns.
        at_once = min(embedder.parallel_calls, decoders)
        self._networks = self._decoders if at_once > 1 else ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._batch = batch or (PARALLEL_BATCH if at_once > 1 else BATCH)
        self._most_embedding = at_once + 1  # one waits, so that no processor does
        # Keeps the decoders busy while a batch is waited for.
        self._ahead = 2 * self._batch + decoders
        self.on_their_way: deque[tuple[Item, Future[_Read]]] = deque()
        self.waiting: list[_Read] = []
        self.embedding: deque[_Batch | Unreadable] = deque()

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
        return len(self.on_their_way) >= self._ahead

    def send(self, work: PhotoTask) -> None:
        """Start reading a photo, in the larger pool when it is in a store."""
        pool = self._fetchers if is_address(work.item.location) else self._decoders
        self.on_their_way.append((work.item, pool.submit(self._read, work)))

    def _read(self, work: PhotoTask) -> _Read:
        """Read one photo, and decode and prepare it when its content is new; runs in the threads."""
        started = perf_counter()
        item, stored = work.item, work.file_stamp
        now = size_and_time(item.location)  # before the bytes, so that the next run sees a change made meanwhile
        if now is None and is_address(item.location):
            now = self._versions.of(reach_of(item))
            if stored is not None and now == (stored.size, stored.modified_ns):
                return _Read(item, stored, perf_counter() - started)
        data = read_bytes(item, keep=False)
        file_stamp = FileStamp(len(data), now[1] if now else 0, hashlib.sha256(data).hexdigest())
        if stored is not None and stored.sha256 == file_stamp.sha256:
            return _Read(item, file_stamp, perf_counter() - started)
        content = None
        if self._known is not None and work.reuse:
            content = Content(file_stamp.sha256, item.box, work.finder)
            if content.key in self._met or content.key in self._known:
                return _Read(item, file_stamp, perf_counter() - started, content)
        if self._finder is not None and work.finder is not None:
            item = with_garments(item, data, self._finder)
        size, name = self._embedder.wanted_size, shown(item.location)
        prepared = [self._embedder.prepare(open_image(data, at_least=size, box=part, name=name)) for part in item.parts]
        return _Read(item, file_stamp, perf_counter() - started, content, prepared)

    def take(self) -> Iterator[Outcome]:
        """Wait for the oldest photo, embed when a batch is full, and yield what is done."""
        item, future = self.on_their_way.popleft()
        with timed(self._seconds, "wait"):
            error = future.exception()
        if isinstance(error, PhotoError):
            self.embedding.append(Unreadable(item, error))  # those before it come first
            yield from self._finished()
            return
        read = future.result()
        self._seconds["decode"] += read.seconds
        content = read.content
        if content is None and not read.prepared:
            yield Unchanged(item, read.file_stamp)
            return
        if content is not None and content.key in self._met:
            read = replace(read, prepared=())
        elif content is not None and read.prepared:
            self._met.add(content.key)
        self.waiting.append(read)
        new = sum(1 for each in self.waiting if each.prepared)
        if new in (0, self._batch) or len(self.waiting) == HELD * self._batch:
            self.embed()
        yield from self._finished()

    def embed(self) -> None:
        """Start the network on the waiting photos, but those of known contents."""
        waiting, self.waiting = self.waiting, []
        parts = [prepared for read in waiting for prepared in read.prepared]
        run = self._networks.submit(embed_in_batches, self._embedder, parts, batch=self._batch) if parts else None
        self.embedding.append(_Batch(waiting, run))

    def _finished(self) -> Iterator[Outcome]:
        """Outcomes that are known, in order; waits for some if too many are to come."""
        while self.embedding and (self._is_known(self.embedding[0]) or self._is_behind()):
            yield from self.finish()

    @staticmethod
    def _is_known(oldest: _Batch | Unreadable) -> bool:
        return isinstance(oldest, Unreadable) or oldest.done

    def _is_behind(self) -> bool:
        """Whether more batches than needed are on their way, or too many outcomes wait for one."""
        running = sum(not self._is_known(each) for each in self.embedding)
        return running > self._most_embedding or len(self.embedding) > HELD * self._batch

    def finish(self) -> Iterator[Outcome]:
        """Wait for the oldest batch; yields the outcomes of its photos."""
        batch = self.embedding.popleft()
        if isinstance(batch, Unreadable):
            yield batch
            return
        with timed(self._seconds, "embed"):
            found = Embeddings({}) if batch.found is None else batch.found.result()
        start = 0
        for is_new, group in groupby(batch.reads, key=lambda read: bool(read.prepared)):
            reads = list(group)
            if is_new:
                rows = slice(start, start + sum(len(read.prepared) for read in reads))
                start = rows.stop
                yield Embedded(
                    [read.item for read in reads],
                    [read.file_stamp for read in reads],
                    {name: each[rows] for name, each in found.vectors.items()},
                    {name: each[rows] for name, each in found.labels.items()},
                )
            else:
                yield from (Reused(read.item, read.file_stamp, read.content) for read in reads if read.content)

    def close(self) -> None:
        """Stop the threads; photos that are not started are dropped."""
        for pool in (self._decoders, self._fetchers, self._networks):
            pool.shutdown(wait=True, cancel_futures=True)


def embed_in_batches(embedder: Embedder, parts: Sequence[Prepared], *, batch: int) -> Embeddings:
    """Embed prepared photos, or parts of photos, of which there may be more than a batch.

    Args:
        embedder: Embeds them.
        parts: B prepared photos, at least one.
        batch: Batch size of the network.
    """
    done = [embedder.embed_prepared(parts[at : at + batch]) for at in range(0, len(parts), batch)]
    return Embeddings(
        {name: np.concatenate([each.vectors[name] for each in done]) for name in done[0].vectors},
        {name: np.concatenate([each.labels[name] for each in done]) for name in done[0].labels},
    )


def with_garments(item: Item, data: bytes, finder: GarmentFinder, *, limits: Limits = DEFAULT_LIMITS) -> Item:
    """Find the garments of a photo, and return its item with them.

    Args:
        item: Item.
        data: Content of the photo's file.
        finder: Finds garments.
        limits: Limits checked before decoding.

    Raises:
        PhotoError: The photo cannot be read.
    """
    photo = BytesIO(data)
    photo.name = shown(item.location)  # for errors
    return replace(item, garments=tuple(finder.find(photo, limits=limits)), finder=finder.model_id)


def size_and_time(location: str) -> tuple[int, int] | None:
    """Size (bytes) and modification time (ns since 1970) of a local file; None for URLs and missing files."""
    if is_address(location):
        return None
    try:
        found = os.stat(location)  # noqa: PTH116 - a Path takes longer than the question
    except (OSError, ValueError):  # ValueError for names that no file can have
        return None
    return found.st_size, found.st_mtime_ns


@contextmanager
def timed(seconds: MutableMapping[str, float], phase: str) -> Iterator[None]:
    """Add the duration of the context, seconds, to a phase."""
    started = perf_counter()
    try:
        yield
    finally:
        seconds[phase] += perf_counter() - started
