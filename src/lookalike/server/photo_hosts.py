"""Reading photos from other hosts, with a concurrency limit per host: a slow host delays its own photos only."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, Final, TypeVar

from lookalike.errors import PhotoError
from lookalike.remote.retryable import may_pass, status_of
from lookalike.server.errors import ApiError, busy

T = TypeVar("T")

EACH: Final = 2
"""Photos of one host that are read at the same time."""

WAITING: Final = 64
"""Photos of one host that may wait."""

THREADS: Final = 64
SECONDS: Final = 8.0
"""Longest time from a request to the photo."""

PAUSE_S: Final = 10.0
"""Seconds before a silent host, or a photo that could not be read, is tried again."""

REMEMBERED: Final = 4_096


class PhotoHostLimiter:
    """Runs functions that read from other hosts; for use from one event loop.

    Args:
        seconds: Longest time for a photo, in seconds.
        pause_s: Seconds for which a failure is remembered.
    """

    def __init__(self, *, seconds: float = SECONDS, pause_s: float = PAUSE_S) -> None:
        self.seconds, self._pause_s = seconds, pause_s
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="lookalike-hosts")
        self._taken: Counter[str] = Counter()
        self._turns: dict[str, asyncio.Semaphore] = {}
        self._under_way: dict[Hashable, asyncio.Task[Any]] = {}
        self._failed: OrderedDict[Hashable, tuple[float, PhotoError]] = OrderedDict()
        self._silent: dict[str, float] = {}

    async def run(self, host: str, key: Hashable, work: Callable[[], T]) -> T:
        """Run a function that reads from a host; simultaneous requests with the same key share one run.

        Args:
            host: Scheme and host, such as `https://shop.example`.
            key: Key of the photo.
            work: Function that reads the photo in a thread, within `seconds` seconds.

        Raises:
            PhotoError: The photo cannot be read, or could not be read within the last `pause_s` seconds.
            ApiError: The host does not answer, or its queue is full.
        """
        if (failed := self._failed.get(key)) is not None:
            if failed[0] > monotonic():
                raise failed[1]
            del self._failed[key]
        self._check(host)
        task = self._under_way.get(key)
        if task is None:
            if self._taken[host] >= EACH + WAITING:
                what = f"{self._taken[host]} photos of one host are being read or waiting"
                raise busy(what, seconds=math.ceil(self.seconds))
            task = asyncio.get_running_loop().create_task(self._take(host, key, work))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._settle(key, done))
        done, _ = await asyncio.wait({task}, timeout=self.seconds)
        if not done:
            raise self._unanswered(self._pause_s)
        answer: T = task.result()
        return answer

    def close(self) -> None:
        """Cancel queued functions; running ones end by their own time limit."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _take(self, host: str, key: Hashable, work: Callable[[], T]) -> T:
        self._taken[host] += 1
        turn = self._turns.setdefault(host, asyncio.Semaphore(EACH))
        try:
            async with turn:
                self._check(host)  # the host may have become silent meanwhile
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except PhotoError as error:
            cause = error.__cause__
            if isinstance(cause, Exception) and status_of(cause) is None and may_pass(cause):
                self._silent[host] = monotonic() + self._pause_s
                raise self._unanswered(self._pause_s) from None
            self._failed[key] = monotonic() + self._pause_s, error
            while len(self._failed) > REMEMBERED:
                self._failed.popitem(last=False)
            raise
        finally:
            self._taken[host] -= 1
            if not self._taken[host]:
                del self._taken[host], self._turns[host]

    def _settle(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled():
            task.exception()  # mark it as retrieved, also when all clients have gone

    def _check(self, host: str) -> None:
        left = self._silent.get(host, 0.0) - monotonic()
        if left > 0:
            raise self._unanswered(left)
        self._silent.pop(host, None)

    @staticmethod
    def _unanswered(seconds: float) -> ApiError:
        wait = max(1, math.ceil(seconds))
        return ApiError(
            "host_silent",
            f"the host of this photo does not answer; try again in {wait} s",
            details={"retry_after": wait},
            headers={"Retry-After": str(wait)},
        )
