"""Reading, decoding and embedding of photos in batches.

`embed_photos` runs in this process, and in others that decode for it; `lookalike.ingest.ray` runs it on many machines.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Generator, Iterable, Iterator, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from time import perf_counter

import numpy as np

from lookalike.embedding.photo_readers import PhotoReaders, ReadPhoto
from lookalike.embedding.photo_tasks import Embedded, Outcome, PhotoTask, Reused, Unchanged, Unreadable
from lookalike.embedding.protocol import Embedder, Embeddings, GarmentFinder, Prepared, with_kind
from lookalike.errors import PhotoError

BATCH = 16

PARALLEL_BATCH = 4
"""Batch size of a network that runs on one processor for each batch: its numbers stay in the processor's own cache, and
the last batches of a run end at about the same time."""

HELD = 8
"""Batches of photos of known contents, or unreadable ones, that wait for the new ones between them."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Photos in order, with what the network computes of them; None if their contents are known."""

    reads: list[ReadPhoto]
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
    """Embed photos, in threads that read and decode, and that run the network where several may.

    With many workers, processes read and decode, see `PhotoReaders`.

    Args:
        work: Photos; read a few batches ahead of the network.
        seconds: Seconds by phase: `decode` (summed over the threads), `wait` (for photos) and `embed` (for the network)
            are added to.
        embedder: Embeds the photos.
        batch: Batch size of the network, at least 1; None is `PARALLEL_BATCH` or `BATCH`, as it runs.
        workers: Number of threads or processes; None is one for each processor, and more threads to read photos in
            stores.
        finder: Finds garments, if the tasks name one.
        known: Keys of contents that are not embedded, see `Content.key`; asked by several threads. The contents of
            photos that are embedded count as known from then on. None embeds all photos.

    Yields:
        Outcomes in the order of the photos, except that unchanged photos come as soon as they are known.
    """
    line = _Line(embedder, seconds, batch=batch, workers=workers, finder=finder, known=known)
    try:
        for each in work:
            line.readers.send(each)
            if line.is_full:
                yield from line.take()
        line.readers.send_rest()
        while line.readers.reading:
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
        self._embedder, self._seconds = embedder, seconds
        self.readers = PhotoReaders(embedder, workers=workers, finder=finder, known=known)
        at_once = min(embedder.parallel_calls, self.readers.workers)
        # A thread for each processor reads and runs the network: more threads would take turns.
        shared = at_once > 1 and self.readers.in_threads
        self._networks = self.readers.threads if shared else ThreadPoolExecutor(at_once, thread_name_prefix="embed")
        self._batch = batch or (PARALLEL_BATCH if at_once > 1 else BATCH)
        self._most_embedding = at_once + 1  # one waits, so that no processor does
        self.waiting: list[ReadPhoto] = []
        self._new = 0  # of those, photos of new contents
        self.embedding: deque[_Batch | Unreadable] = deque()

    @property
    def is_full(self) -> bool:
        """Whether there are photos enough to keep all readers busy while a batch is waited for."""
        return self.readers.reading >= 2 * self._batch + self.readers.at_once

    def take(self) -> Iterator[Outcome]:
        """Wait for the oldest photos, embed when a batch is full, and yield what is done."""
        with timed(self._seconds, "wait"):
            reads = self.readers.take()
        for each, read in reads:
            if isinstance(read, PhotoError):
                self.embedding.append(Unreadable(each.item, read))  # those before it come first
            else:
                yield from self._take(read)
            yield from self._finished()

    def _take(self, read: ReadPhoto) -> Iterator[Outcome]:
        """Add a photo to those that wait for the network; yields an unchanged one."""
        self._seconds["decode"] += read.seconds
        if read.content is None and not read.prepared:
            yield Unchanged(read.item, read.file_stamp)
            return
        if read.content is not None and read.prepared:
            key = read.content.key
            if key in self.readers.met:
                read = replace(read, prepared=())
            self.readers.met.add(key)
        self.waiting.append(read)
        self._new += bool(read.prepared)
        if self._new in (0, self._batch) or len(self.waiting) == HELD * self._batch:
            self.embed()

    def embed(self) -> None:
        """Start the network on the waiting photos, but those of known contents."""
        waiting, self.waiting, self._new = self.waiting, [], 0
        parts = [
            with_kind(prepared, kind)
            for read in waiting
            for prepared, kind in zip(read.prepared, read.item.kinds, strict=False)  # none of a known content
        ]
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
        """Stop the threads and processes; photos that are not started are dropped."""
        self.readers.close()
        self._networks.shutdown(wait=True, cancel_futures=True)


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


@contextmanager
def timed(seconds: MutableMapping[str, float], phase: str) -> Iterator[None]:
    """Add the duration of the context, seconds, to a phase."""
    started = perf_counter()
    try:
        yield
    finally:
        seconds[phase] += perf_counter() - started
