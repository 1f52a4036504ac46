"""Threads and processes that read, decode and prepare photos."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Container, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from io import BytesIO
from multiprocessing.reduction import ForkingPickler
from pickle import PicklingError
from time import perf_counter
from typing import TypeAlias

from lookalike.embedding.decoder_pool import Decoder, DecoderEndedError, DecoderPool
from lookalike.embedding.decoder_process import PhotoSource
from lookalike.embedding.model_loading import processors
from lookalike.embedding.photo_reading import prepare_parts, size_and_time, stamp_of
from lookalike.embedding.photo_tasks import PhotoTask
from lookalike.embedding.protocol import Embedder, GarmentFinder, HasPreparation, Prepared, SeparatePreparation
from lookalike.errors import PhotoError
from lookalike.images import DEFAULT_LIMITS, Limits, read_bytes
from lookalike.remote.addresses import is_address, reach_of, shown
from lookalike.remote.object_store import CONNECTIONS
from lookalike.remote.versions import Versions
from lookalike.types import Content, FileStamp, Item

MANY_PROCESSORS = 4
"""Processors from which on processes decode, since threads would wait for each other's lock of the interpreter."""

IN_THREADS = 256
"""Photos that threads decode before the processes are started: that takes as long as a start."""

CHUNK = 16
"""Photos that a process is sent at a time."""


@dataclass(frozen=True, slots=True)
class ReadPhoto:
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


Reads: TypeAlias = list[ReadPhoto | PhotoError]


class PhotoReaders:
    """Threads and processes that read photos, in order.

    From `MANY_PROCESSORS` workers on, there are as many processes once more than `IN_THREADS` photos were sent; threads
    read the others, those in which garments are sought, and those that a process cannot read.

    Args:
        embedder: Embedder whose `prepare` is called.
        workers: Number of threads or processes; None is one for each processor, and more threads for stores.
        finder: Finds garments, if the tasks name one.
        known: Keys of contents that are not prepared; None prepares all photos.

    Attributes:
        workers: Number of threads or processes.
        threads: Threads that read local photos.
        reading: Number of photos that are on their way.
        met: Keys of contents that were prepared in this run, and need not be again.
    """

    def __init__(
        self,
        embedder: Embedder,
        *,
        workers: int | None,
        finder: GarmentFinder | None,
        known: Container[bytes] | None,
    ) -> None:
        self._embedder, self._finder = embedder, finder
        self._known, self._versions = known, Versions()
        self.met: set[bytes] = set()
        self.workers = workers or processors()
        self.threads = ThreadPoolExecutor(self.workers, thread_name_prefix="decode")
        self._connections = workers or max(self.workers, CONNECTIONS)
        self._fetchers = ThreadPoolExecutor(self._connections, thread_name_prefix="fetch")
        self._preparation = self._preparation_elsewhere()
        self._pool: DecoderPool | None = None
        self._is_closing = False
        self._sent = self.reading = 0
        self._has_fetched = False
        self._next: list[PhotoTask] = []
        self._on_their_way: deque[tuple[Sequence[PhotoTask], Future[Reads]]] = deque()

    def _preparation_elsewhere(self) -> SeparatePreparation | None:
        """What other processes are to do, if they are to do it."""
        if self.workers < MANY_PROCESSORS or self._finder is not None or not can_start():
            return None
        preparation = self._embedder.preparation if isinstance(self._embedder, HasPreparation) else None
        return preparation if preparation is not None and can_be_sent(preparation) else None

    @property
    def in_threads(self) -> bool:
        """Whether all photos are read in threads."""
        return self._preparation is None

    @property
    def at_once(self) -> int:
        """Number of photos that are read in parallel, or wait for those."""
        local = self.workers * (1 if self._pool is None else CHUNK)
        return max(local, self._connections) if self._has_fetched else local

    def send(self, work: PhotoTask) -> None:
        """Start reading a photo, in the larger pool when it is in a store, and else with others for one process."""
        if self._preparation is not None and self._sent == IN_THREADS:
            self._pool = DecoderPool(self._preparation, self.workers)
        self._sent += 1
        if is_address(work.item.location):
            self.send_rest()
            self._has_fetched = True
            self._submit(self._fetchers, [work])
            return
        self._next.append(work)
        if self._pool is None or len(self._next) == CHUNK:
            self.send_rest()

    def send_rest(self) -> None:
        """Start reading the photos that wait for others."""
        if self._next:
            self._submit(self.threads, self._next)
            self._next = []

    def _submit(self, threads: ThreadPoolExecutor, work: Sequence[PhotoTask]) -> None:
        self.reading += len(work)
        self._on_their_way.append((work, threads.submit(self._read_all, work)))

    def take(self) -> list[tuple[PhotoTask, ReadPhoto | PhotoError]]:
        """Wait for the oldest photos; some must be on their way."""
        work, future = self._on_their_way.popleft()
        reads = future.result()
        self.reading -= len(work)
        return [*zip(work, reads, strict=True)]

    def close(self) -> None:
        """Stop the threads and processes; photos that are not done are dropped."""
        self._is_closing = True
        if self._pool is not None:
            self._pool.interrupt()
        for threads in (self.threads, self._fetchers):
            threads.shutdown(wait=True, cancel_futures=True)
        if self._pool is not None:
            self._pool.close()

    def _read_all(self, work: Sequence[PhotoTask]) -> Reads:
        """Read photos, in another process if there are any and the files are local; runs in the threads."""
        done: Reads = []
        if self._pool is not None and not is_address(work[0].item.location):
            with suppress(DecoderEndedError), self._pool.borrowed() as decoder:
                while decoder is not None and len(done) < len(work):
                    done += self._read_elsewhere(decoder, work[len(done) :])
        left = [] if self._is_closing else work[len(done) :]
        return [*done, *map(self._try_to_read, left)]

    def _read_elsewhere(self, decoder: Decoder, work: Sequence[PhotoTask]) -> Reads:
        """Read the first of some photos in another process, as many as it takes at once."""
        stamps = decoder.read([source_of(each.item, each.item.location) for each in work])
        begun = [
            (each, stamp, *((None, False) if stamp is None else self._judge(each, stamp)))
            for each, stamp in zip(work, stamps, strict=False)
        ]
        done: Reads = []
        prepared = decoder.prepare([is_new for *_, is_new in begun])
        for (each, stamp, content, is_new), found in zip(begun, prepared, strict=True):
            if stamp is None or (is_new and found.parts is None):
                done.append(self._try_to_read(each))  # which has the error, or more memory
            else:
                done.append(ReadPhoto(each.item, stamp, found.seconds, content, found.parts or ()))
        return done

    def _try_to_read(self, work: PhotoTask) -> ReadPhoto | PhotoError:
        try:
            return self._read(work)
        except PhotoError as error:
            return error

    def _read(self, work: PhotoTask) -> ReadPhoto:
        """Read one photo, and decode and prepare it when its content is new."""
        started = perf_counter()
        item, stored = work.item, work.file_stamp
        now = size_and_time(item.location)
        if now is None and is_address(item.location):
            now = self._versions.of(reach_of(item))
            if stored is not None and now == (stored.size, stored.modified_ns):
                return ReadPhoto(item, stored, perf_counter() - started)
        data = read_bytes(item, keep=False)
        file_stamp = stamp_of(data, now)
        content, is_new = self._judge(work, file_stamp)
        prepared: Sequence[Prepared] = ()
        if is_new:
            if self._finder is not None and work.finder is not None:
                item = with_garments(item, data, self._finder)
            prepared = self._prepare(item, data)
        return ReadPhoto(item, file_stamp, perf_counter() - started, content, prepared)

    def _judge(self, work: PhotoTask, file_stamp: FileStamp) -> tuple[Content | None, bool]:
        """Content of a photo, None where `ReadPhoto` has none, and whether it is to be prepared."""
        if work.file_stamp is not None and work.file_stamp.sha256 == file_stamp.sha256:
            return None, False
        if self._known is None or not work.reuse:
            return None, True
        content = Content(file_stamp.sha256, work.item.box, work.finder)
        key = content.key
        return content, not (key in self.met or key in self._known)

    def _prepare(self, item: Item, data: bytes) -> Sequence[Prepared]:
        """Prepare the parts of a photo, one of a store in another process if there are any."""
        if self._pool is not None and is_address(item.location):
            with suppress(DecoderEndedError), self._pool.borrowed() as decoder:
                if decoder is not None:
                    decoder.read([source_of(item, data)])
                    (done,) = decoder.prepare([True])
                    if done.parts is not None:
                        return done.parts
        return prepare_parts(self._embedder, data, item.parts, name=shown(item.location))


def can_start() -> bool:
    """Whether this interpreter can be started again: not where it is part of a program."""
    return bool(sys.executable) and not getattr(sys, "frozen", False)


def can_be_sent(preparation: SeparatePreparation) -> bool:
    """Whether a preparation can be pickled, and found again by a process that does not run this one's main module."""
    if type(preparation).__module__ == "__main__":
        return False
    try:
        ForkingPickler.dumps(preparation)
    except (PicklingError, AttributeError, TypeError):
        return False
    return True


def source_of(item: Item, source: str | bytes) -> PhotoSource:
    """Photo for another process: the path or the content of its file, and the parts that are embedded."""
    return PhotoSource(shown(item.location), source, item.parts)


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
