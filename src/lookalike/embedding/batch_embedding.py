"""Reading, decoding and embedding of photos in batches.

`embed_photos` runs in this process; `lookalike.ingest.ray` runs it on many machines.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, MutableMapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from time import perf_counter
from typing import TypeAlias

import numpy as np

from lookalike.embedding.model_loading import processors
from lookalike.embedding.protocol import Embedder, Embeddings, GarmentFinder, Prepared
from lookalike.errors import PhotoError
from lookalike.images import DEFAULT_LIMITS, Limits, open_image, read_bytes
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
        file_stamp: File stamp stored with the vectors in the gallery, of the same parts of the photo; None without
            vectors.
        finder: Model id of the finder of the garments to embed; None embeds the photo, or its box.
    """

    item: Item
    position: int = 0
    file_stamp: FileStamp | None = None
    finder: str | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Batch of embedded photos.

    Attributes:
        items: B items, with the garments that were found in their photos.
        file_stamps: B file stamps.
        vectors: (R, D) float32 by name of the space: a row for each of `Item.parts`.
        labels: (R, C) float32 by head, class probabilities of the same parts; empty without heads.
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
    """Decoded photo of a worker thread; `prepared` has its parts, none of them when its content is unchanged."""

    item: Item
    file_stamp: FileStamp
    prepared: Sequence[Prepared]
    seconds: float


def embed_photos(
    work: Iterable[PhotoTask],
    seconds: MutableMapping[str, float],
    *,
    embedder: Embedder,
    batch: int = BATCH,
    workers: int | None = None,
    finder: GarmentFinder | None = None,
) -> Generator[Outcome, None, None]:
    """Embed photos in this process: threads read and decode, the calling thread runs the network.

    Args:
        work: Photos; read a few batches ahead of the network.
        seconds: Seconds by phase: `decode` (summed over the threads), `wait` and `embed` are added to.
        embedder: Embeds the photos.
        batch: Batch size of the network, at least 1.
        workers: Number of threads that read and decode; None is one for each processor, and more for photos in stores.
        finder: Finds garments, if the tasks name one.

    Yields:
        Outcomes in the order of the photos, except that unchanged photos come as soon as they are known.
    """
    line = _Line(embedder, seconds, batch=batch, workers=workers, finder=finder)
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
        self,
        embedder: Embedder,
        seconds: MutableMapping[str, float],
        *,
        batch: int,
        workers: int | None,
        finder: GarmentFinder | None,
    ) -> None:
        self._embedder, self._seconds, self._batch, self._finder = embedder, seconds, batch, finder
        decoders = workers or processors()
        self._decoders = ThreadPoolExecutor(decoders, thread_name_prefix="decode")
        self._fetchers = ThreadPoolExecutor(workers or max(decoders, CONNECTIONS), thread_name_prefix="fetch")
        # Keeps the decoders busy while a batch is embedded.
        self._ahead = 2 * batch + decoders
        self.on_their_way: deque[tuple[Item, Future[_Read]]] = deque()
        self.waiting: list[_Read] = []

    @property
    def is_full(self) -> bool:
        """Whether the queue is full."""
        return len(self.on_their_way) >= self._ahead

    def send(self, work: PhotoTask) -> None:
        """Start reading a photo, in the larger pool when it is in a store."""
        pool = self._fetchers if is_address(work.item.location) else self._decoders
        self.on_their_way.append((work.item, pool.submit(_read, work, self._embedder, self._finder)))

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
        if not read.prepared:
            yield Unchanged(item, read.file_stamp)
            return
        self.waiting.append(read)
        if len(self.waiting) == self._batch:
            yield self.embed()

    def embed(self) -> Embedded:
        """Run the network on the waiting photos."""
        parts = [prepared for read in self.waiting for prepared in read.prepared]
        items = [read.item for read in self.waiting]
        file_stamps = [read.file_stamp for read in self.waiting]
        self.waiting.clear()
        with timed(self._seconds, "embed"):
            embedded = embed_in_batches(self._embedder, parts, batch=self._batch)
            return Embedded(items, file_stamps, embedded.vectors, embedded.labels)

    def close(self) -> None:
        """Stop the threads; photos that are not started are dropped."""
        for pool in (self._decoders, self._fetchers):
            pool.shutdown(wait=True, cancel_futures=True)


def _read(work: PhotoTask, embedder: Embedder, finder: GarmentFinder | None) -> _Read:
    """Read one photo, and decode and prepare it when its content is new; runs in the threads."""
    started = perf_counter()
    item, known = work.item, work.file_stamp
    now = size_and_time(item.location)  # before the bytes, so that the next run sees a change made meanwhile
    if now is None and is_address(item.location):
        now = status(reach_of(item))
        if known is not None and now == (known.size, known.modified_ns):
            return _Read(item, known, (), perf_counter() - started)
    data = read_bytes(item, keep=False)
    file_stamp = FileStamp(len(data), now[1] if now else 0, hashlib.sha256(data).hexdigest())
    prepared: list[Prepared] = []
    if known is None or known.sha256 != file_stamp.sha256:
        if finder is not None and work.finder is not None:
            item = with_garments(item, data, finder)
        size, name = embedder.wanted_size, shown(item.location)
        for part in item.parts:
            prepared.append(embedder.prepare(open_image(data, at_least=size, box=part, name=name)))
    return _Read(item, file_stamp, prepared, perf_counter() - started)


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
