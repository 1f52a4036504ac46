"""Concurrency limiters: a few threads, a bounded queue, and an immediate error when the queue is full.

Blocking work never runs on the event loop. Each kind of work has a limiter of its own, so that thumbnails do not delay
searches, nor long writes anything else.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from time import perf_counter
from typing import Any, TypeVar

from starlette.requests import Request

from lookalike.deadline import within
from lookalike.server.errors import ApiError, busy

T = TypeVar("T")

CLIENT_GONE = 499
"""Status logged when the client has closed the connection; never sent."""


class ClientGone(Exception):
    """The client has closed the connection; no response is sent."""


class ConcurrencyLimiter:
    """Runs functions in a few threads, with a bounded queue; for use from one event loop.

    Attributes:
        name: Name in metrics and messages, such as `searches`.
        taken: Number of functions that run or wait.
    """

    def __init__(
        self,
        name: str,
        *,
        workers: int,
        waiting: int,
        seconds: float,
        observe: Callable[[str, float], None] | None = None,
        stops: bool = True,
    ) -> None:
        """Start a thread pool.

        Args:
            name: Name in metrics and messages.
            workers: Number of threads.
            waiting: Length of the queue.
            seconds: Longest time from admission to the result.
            stops: Whether work that checks its deadline is stopped when its time is up.
            observe: Called with the name and the seconds that a function has waited in the queue.
        """
        self.name, self.taken = name, 0
        self._workers, self._queue, self._seconds = workers, waiting, seconds
        self._pool = self._make_pool()
        self._former: list[ThreadPoolExecutor] = []
        self._observe, self._stops = observe, stops
        self._usual = 0.05  # seconds that a function takes, as a moving mean

    @property
    def waiting(self) -> int:
        """Number of functions in the queue."""
        return max(0, self.taken - self._workers)

    async def run(self, work: Callable[[], T], *, request: Request) -> T:
        """Run a function in a thread and wait for its result.

        When the client disconnects or the time is up, a function still in the queue is cancelled; one that runs keeps
        its thread until it has finished.

        Raises:
            ApiError: The queue is full, or there was no result in time.
            ClientGone: The client has closed the connection.
        """
        if self.taken >= self._workers + self._queue:
            wait = max(1, math.ceil(self._usual * self.taken / self._workers))
            raise busy(f"{self.taken} {self.name} are running or waiting", seconds=wait)
        self.taken += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        future = self._pool.submit(self._timed, work, perf_counter())
        # Its argument, not `future`: a future that its own callback holds is freed by the garbage collector only.
        future.add_done_callback(lambda done: _tell(loop, lambda: self._settle(done, answer)))
        gone = asyncio.ensure_future(_disconnected(request))
        either: set[asyncio.Future[Any]] = {answer, gone}
        try:
            await asyncio.wait(either, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            if not answer.done():
                answer.cancel()
                future.cancel()  # unless it runs
        if not answer.cancelled():
            return answer.result()
        if gone.done() and not gone.cancelled():
            raise ClientGone
        raise ApiError("timeout", f"there was no answer within {self._seconds:g} s", details={"limit": self._seconds})

    def submit(self, work: Callable[[], T]) -> Future[T]:
        """Run a function of the server itself in the same threads; it takes no place in the queue."""
        return self._pool.submit(work)

    def resize(self, workers: int) -> None:
        """Change the number of threads; what runs or waits keeps those that it has."""
        if workers != self._workers:
            self._workers = workers
            self._pool.shutdown(wait=False)
            self._former.append(self._pool)
            self._pool = self._make_pool()

    def close(self) -> None:
        """Finish running and queued functions, and stop the threads."""
        for pool in (*self._former, self._pool):
            pool.shutdown(wait=True)

    def _make_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix=f"lookalike-{self.name}")

    def _timed(self, work: Callable[[], T], admitted: float) -> T:
        started = perf_counter()
        if self._observe is not None:
            self._observe(self.name, started - admitted)
        try:
            with within(max(0.0, admitted + self._seconds - started)) if self._stops else nullcontext():
                return work()
        finally:
            self._usual += 0.1 * (perf_counter() - started - self._usual)

    def _settle(self, done: Future[T], answer: asyncio.Future[T]) -> None:
        """Free the place of a finished function, and pass its result on; runs on the event loop."""
        self.taken -= 1
        if answer.done():
            return
        error = done.exception()
        if error is None:
            answer.set_result(done.result())
        else:
            answer.set_exception(error)


def _tell(loop: asyncio.AbstractEventLoop, function: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(function)


async def _disconnected(request: Request) -> None:
    """Return when the client has closed the connection; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
