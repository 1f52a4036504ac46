"""Reading, decoding and embedding of photos in batches.

`embed_photos` runs in this process; `lookalike.ingest.ray` runs it on many machines.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

from lookalike.embedding.model_loading import processors
from lookalike.embedding.protocol import Embedder, Prepared
from lookalike.errors import PhotoError
from lookalike.images import open_image, read_bytes
from lookalike.remote.addresses import is_address, reach_of, shown
from lookalike.remote.object_store import CONNECTIONS, status
from lookalike.types import FileStamp, Float32, Item

BATCH = 16


@dataclass(frozen=True, slots=True)
class PhotoTask:
    """Photo to embed, unless its content is unchanged.

    Attributes:
        item: Item of the photo.
        position: Position in the catalogue, from 0.
        file_stamp: File stamp stored with the vectors in the gallery, of the same box; None without vectors.
    """

    item: Item
    position: int = 0
    file_stamp: FileStamp | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Batch of embedded photos.

    Attributes:
        items: B items.
        file_stamps: B file stamps.
        vectors: (B, D) float32 by name of the space.
        labels: (B, C) float32 by head, class probabilities; empty without heads.
    """

    items: Sequence[Item]
    file_stamps: Sequence[FileStamp]
    vectors: Mapping[str, Float32]
    labels: Mapping[str, Float32] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Photo whose content has not changed since its vectors were stored."""

    item: Item
    file_stamp: FileStamp


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Photo that cannot be read."""

    item: Item
    error: PhotoError


Outcome: TypeAlias = Embedded | Unchanged | Unreadable

EmbedPhotos: TypeAlias = Callable[[Iterable[PhotoTask], MutableMapping[str, float]], Generator[Outcome, None, None]]
"""Embeds photos of an iterable, which is read as needed, and adds the seconds of each phase to a mapping.

Yields one outcome for each photo."""


@dataclass(frozen=True, slots=True)
class _Read:
    """Decoded photo of a worker thread; `prepared` is None when its content is unchanged."""

    file_stamp: FileStamp
    prepared: Prepared | None
    seconds: float


def embed_photos(
    work: Iterable[PhotoTask],
    seconds: MutableMapping[str, float],
    *,
    embedder: Embedder,
    batch: int = BATCH,
    workers: int | None = None,
) -> Generator[Outcome, None, None]:
    """Embed photos in this process: threads read and decode, the calling thread runs the network.

    Args:
        work: Photos; read a few batches ahead of the network.
        seconds: Seconds by phase: `decode` (summed over the threads), `wait` and `embed` are added to.
        embedder: Embeds the photos.
        batch: Batch size of the network, at least 1.
        workers: Number of threads that read and decode; None is one for each processor, and more for photos in stores.

    Yields:
        Outcomes in the order of the photos, except that unchanged photos come as soon as they are known.
    """
    line = _Line(embedder, seconds, batch=batch, workers=workers)
    try:
        for each in work:
            line.send(each)
            if line.is_full:
                yield from line.take()
        while line.on_their_way:
            yield from line.take()
        if line.waiting:
            yield line.embed()
    finally:
        line.close()


class _Line:
    """Queue of photos from the decoding threads to the network, in order."""

    def __init__(
        self, embedder: Embedder, seconds: MutableMapping[str, float], *, batch: int, workers: int | None
    ) -> None:
        self._embedder, self._seconds, self._batch = embedder, seconds, batch
        decoders = workers or processors()
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._fetchers = ThreadPoolExecutor(workers or max(decoders, CONNECTIONS), thread_name_prefix="fetch")
        # Keeps the decoders busy while a batch is embedded.
        self._ahead = 2 * batch + decoders
        self.on_their_way: deque[tuple[Item, Future[_Read]]] = deque()
        self.waiting: list[tuple[Item, FileStamp, Prepared]] = []

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
        return len(self.on_their_way) >= self._ahead

    def send(self, work: PhotoTask) -> None:
        """Start reading a photo, in the larger pool when it is in a store."""
        pool = self._fetchers if is_address(work.item.location) else self._decoders
        self.on_their_way.append((work.item, pool.submit(_read, work, self._embedder)))

    def take(self) -> Iterator[Outcome]:
        """Wait for the oldest photo, and embed when a batch is full."""
        item, future = self.on_their_way.popleft()
        with timed(self._seconds, "wait"):
            error = future.exception()
        if isinstance(error, PhotoError):
            yield Unreadable(item, error)
            return
        read = future.result()
        self._seconds["decode"] += read.seconds
        if read.prepared is None:
            yield Unchanged(item, read.file_stamp)
            return
        self.waiting.append((item, read.file_stamp, read.prepared))
        if len(self.waiting) == self._batch:
            yield self.embed()

    def embed(self) -> Embedded:
        """Run the network on the waiting photos."""
        items, file_stamps, prepared = zip(*self.waiting, strict=True)
        self.waiting.clear()
        with timed(self._seconds, "embed"):
            embedded = self._embedder.embed_prepared(prepared)
            return Embedded(items, file_stamps, embedded.vectors, embedded.labels)

    def close(self) -> None:
        """Stop the threads; photos that are not started are dropped."""
        for pool in (self._decoders, self._fetchers):
            pool.shutdown(wait=True, cancel_futures=True)


def _read(work: PhotoTask, embedder: Embedder) -> _Read:
    """Read one photo, and decode and prepare it when its content is new; runs in the threads."""
    started = perf_counter()
    item, known = work.item, work.file_stamp
    now = size_and_time(item.location)  # before the bytes, so that the next run sees a change made meanwhile
    if now is None and is_address(item.location):
        now = status(reach_of(item))
        if known is not None and now == (known.size, known.modified_ns):
            return _Read(known, None, perf_counter() - started)
    data = read_bytes(item, keep=False)
    file_stamp = FileStamp(len(data), now[1] if now else 0, hashlib.sha256(data).hexdigest())
    prepared = None
    if known is None or known.sha256 != file_stamp.sha256:
        photo = open_image(data, at_least=embedder.wanted_size, box=item.box, name=shown(item.location))
        prepared = embedder.prepare(photo)
    return _Read(file_stamp, prepared, perf_counter() - started)


def size_and_time(location: str) -> tuple[int, int] | None:
    """Size (bytes) and modification time (ns since 1970) of a local file; None for URLs and missing files."""
    if is_address(location):
        return None
    try:
        found = Path(location).stat()
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
