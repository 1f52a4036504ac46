"""The worker that fetches queued photos and writes them: a few at a time from each host, in batches to the gallery.

What is queued is on disk, so it is continued after a restart or a kill. A photo is marked as done after the commit of
its item; after a kill in between it is fetched again, and is unchanged.
"""

from __future__ import annotations

import logging
import queue as queues
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, cast

from lookalike.errors import GalleryLockedError, LookalikeError, MismatchError, UsageError
from lookalike.jobs.job import State, WaitingPhoto
from lookalike.jobs.queue import Done
from lookalike.server.errors import ERROR_CODES, ApiError, api_error_of
from lookalike.server.item_writer import Outcome
from lookalike.server.ordered_writes import OrderedWrites
from lookalike.server.photo_fetching import PhotoFetcher, Retry
from lookalike.storage.write_lock import WriteLock

LOG: Final = logging.getLogger("lookalike.server")

FETCHES: Final = 8
"""Photos that are fetched at the same time."""

EACH: Final = 2
"""Photos of one host that are fetched at the same time."""

IDLE_S: Final = 10.0
"""Seconds between two looks at the queue when nothing happens."""

LOCKED_S: Final = 1.0
"""Seconds between two tries to become the one that works on the queue."""

WRITE_AGAIN_S: Final = 15.0
"""Seconds after which a photo is fetched again that could not be written, as another process was writing."""

PURGE_S: Final = 3_600.0
"""Seconds between two removals of old jobs."""


class Submit(Protocol):
    """Runs a function in the thread that writes."""

    def __call__(self, work: Callable[[], Sequence[Done]]) -> Future[Sequence[Done]]:
        """Run it, and give its result."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """A photo that a thread has finished with.

    Attributes:
        photo: The photo.
        result: Its bytes, or why it has none.
        seconds: Seconds that it took.
    """

    photo: WaitingPhoto
    result: bytes | Retry | LookalikeError
    seconds: float


class PhotoJobs:
    """Fetches and writes the queued photos of one gallery, in threads of its own, until it is stopped.

    Args:
        writes: Writes of the gallery, with its queue.
        fetcher: Fetches photos.
        submit: Runs a function in the thread that writes.
        lock: File that the one process locks that works on the queue.
        batch: Largest number of photos that are written at once.
        observe: Called with the result of each fetch, `fetched`, `retried` or `failed`, and its seconds.
    """

    def __init__(
        self,
        writes: OrderedWrites,
        fetcher: PhotoFetcher,
        submit: Submit,
        *,
        lock: Path,
        batch: int,
        observe: Callable[[str, float], None] = lambda *_: None,
    ) -> None:
        assert writes.queue is not None
        self._writes, self._queue, self._fetcher, self._submit = writes, writes.queue, fetcher, submit
        self._lock, self._batch, self._observe = WriteLock(lock), batch, observe
        self._stopping = threading.Event()
        self._tasks: queues.SimpleQueue[WaitingPhoto | None] = queues.SimpleQueue()
        self._news: queues.SimpleQueue[Fetched | None] = queues.SimpleQueue()
        self._busy: dict[int, WaitingPhoto] = {}
        self._quiet: dict[str, float] = {}
        self._purged = 0.0
        self._is_working = False
        self._thread = threading.Thread(target=self._run, name="lookalike-jobs", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        for number in range(FETCHES):
            threading.Thread(target=self._fetch, name=f"lookalike-fetch-{number}", daemon=True).start()
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now, if this process works on it."""
        if self._is_working:
            self._news.put(None)

    def stop(self) -> None:
        """Finish what is being written, and stop; photos that are being fetched stay in the queue."""
        self._stopping.set()
        self.wake()
        if self._thread.is_alive():
            self._thread.join()
        for _ in range(FETCHES):
            self._tasks.put(None)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._lock.held(0):
                    self._is_working = True
                    try:
                        self._work()
                    finally:
                        self._is_working = False
            except GalleryLockedError:  # another one works on the queue
                self._stopping.wait(LOCKED_S)
            except LookalikeError as error:
                LOG.warning("jobs", extra={"fields": {"problem": str(error)}})
                self._stopping.wait(IDLE_S)

    def _work(self) -> None:
        """Fetch and write until the server stops."""
        while not self._stopping.is_set():
            if time.monotonic() - self._purged > PURGE_S or not self._purged:
                self._queue.purge()
                self._purged = time.monotonic()
            self._begin()
            self._settle(self._next_news())

    def _begin(self) -> None:
        """Give due photos to the threads, a few of each host."""
        now, taken = time.monotonic(), Counter(photo.host for photo in self._busy.values())
        for host in self._queue.hosts():
            room = min(FETCHES - len(self._busy), EACH - taken[host])
            if room > 0 and self._quiet.get(host, 0.0) <= now:
                for photo in self._queue.due(host, limit=room, without=self._busy):
                    self._busy[photo.number] = photo
                    self._tasks.put(photo)

    def _next_news(self) -> list[Fetched]:
        """Wait for a fetched photo, a new job or the time of the next try; gives photos up to a batch."""
        wait = min(IDLE_S, self._queue.seconds_until_due() or IDLE_S)
        quiet = [until - time.monotonic() for until in self._quiet.values()]
        wait = min([wait, *(max(0.01, left) for left in quiet if left > 0)])
        news: list[Fetched] = []
        with suppress(queues.Empty):
            one = self._news.get(timeout=wait)
            while True:
                news += [one] if one is not None else []
                if len(news) >= self._batch:
                    break
                one = self._news.get_nowait()
        return news

    def _settle(self, news: Sequence[Fetched]) -> None:
        """Write what was fetched, and record what was not."""
        photos: list[tuple[WaitingPhoto, bytes]] = []
        try:
            photos = self._arrived(news)
            if photos:
                self._submit(lambda: self._write(photos)).result()
        except LookalikeError:
            raise
        except Exception:  # a bug must not come again and again
            if self._stopping.is_set():  # the thread that writes may have stopped first; the photos stay in the queue
                return
            LOG.exception("jobs")
            told = ERROR_CODES["bug"].message
            self._queue.finish([Done(photo.number, "failed", "bug", told) for photo, _ in photos])
        finally:
            for each in news:
                self._busy.pop(each.photo.number, None)

    def _arrived(self, news: Sequence[Fetched]) -> list[tuple[WaitingPhoto, bytes]]:
        """Photos that were fetched; the others are tried again later, or have failed."""
        photos: list[tuple[WaitingPhoto, bytes]] = []
        failed: list[Done] = []
        for each in news:
            if isinstance(each.result, bytes):
                photos.append((each.photo, each.result))
                self._observe("fetched", each.seconds)
            elif isinstance(each.result, Retry):
                self._queue.retry(each.photo.number, after_s=each.result.after_s, message=each.result.message)
                if each.result.for_host:
                    self._quiet[each.photo.host] = time.monotonic() + each.result.after_s
                self._observe("retried", each.seconds)
            else:
                failed.append(_failed(each.photo, each.result))
                self._observe("failed", each.seconds)
        if failed:
            self._queue.finish(failed)
        return photos

    def _write(self, photos: Sequence[tuple[WaitingPhoto, bytes]]) -> Sequence[Done]:
        """Write photos that still wait; runs in the thread that writes."""
        try:
            with self._writes.gallery.writing():  # no other process may change what waits, before it is written
                return self._write_locked(photos)
        except LookalikeError as error:
            for photo, _ in photos:
                self._queue.retry(photo.number, after_s=WRITE_AGAIN_S, message=str(api_error_of(error)), counted=False)
            return []

    def _write_locked(self, photos: Sequence[tuple[WaitingPhoto, bytes]]) -> Sequence[Done]:
        """Write photos that still wait, under the write lock of the gallery."""
        now = self._queue.still_waiting(photo.number for photo, _ in photos)
        wanted = [(now[photo.number], data) for photo, data in photos if photo.number in now]
        outcomes: Sequence[Outcome]
        try:
            outcomes = self._writes.fetched(wanted)
        except LookalikeError as error:
            outcomes = [error] * len(wanted)
        done: list[Done] = []
        for (photo, _), outcome in zip(wanted, outcomes, strict=True):
            if not isinstance(outcome, LookalikeError):
                done.append(Done(photo.number, cast("State", outcome.status)))
            elif is_final(outcome):
                done.append(_failed(photo, outcome))
            else:  # such as a full disk
                told = api_error_of(outcome)
                self._queue.retry(photo.number, after_s=WRITE_AGAIN_S, message=str(told), counted=False)
        if done:
            self._queue.finish(done)
        return done

    def _fetch(self) -> None:
        """Fetch photos; runs in each of the threads."""
        while (photo := self._tasks.get()) is not None:
            if self._stopping.is_set():
                continue
            began = time.monotonic()
            result: bytes | Retry | LookalikeError
            try:
                result = self._fetcher.fetch(photo.url, tries=photo.tries)
            except LookalikeError as error:
                result = error
            self._news.put(Fetched(photo, result, time.monotonic() - began))


def is_final(error: LookalikeError) -> bool:
    """Whether a photo that could not be written is not to be tried again: the photo or its item is wrong.

    A mismatch passes: the gallery has just got another model, which the server is about to load.
    """
    if isinstance(error, ApiError):
        return error.status < 500 and error.code != "busy"
    return isinstance(error, UsageError) and not isinstance(error, MismatchError)


def _failed(photo: WaitingPhoto, error: LookalikeError) -> Done:
    told = api_error_of(error)
    return Done(photo.number, "failed", told.code, str(told))
