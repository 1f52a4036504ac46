"""Bounded work: a few threads, a few places to wait, and an immediate refusal for whatever comes beyond.

Work that blocks never runs on the event loop. Each kind of work has a lane of its own, so that a page full of
thumbnails does not stand in the way of searches, nor a long write in that of anything.
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
from lookalike.server.errors import Refusal, busy

T = TypeVar("T")

CLIENT_GONE = 499
"""The status that the log shows when nobody waits for the answer any more; it is never sent."""


class ClientGone(Exception):
    """The client has closed the connection, so there is nobody to answer."""


class Lane:
    """Runs functions in threads; safe to use from one event loop.

    Attributes:
        name: In metrics and messages, such as `searches`.
        taken: Places in use: what runs and what waits.
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
        """Make the threads ready.

        Args:
            name: Of what runs here.
            workers: Threads.
            waiting: Places for what waits.
            seconds: Longest time from being admitted to the answer.
            stops: Whether work that looks at its deadline is stopped when nobody waits for its answer any longer.
            observe: Is told the lane's name and how many seconds each piece of work has waited.
        """
        self.name, self.taken = name, 0
        self._workers, self._places, self._seconds = workers, workers + waiting, seconds
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix=f"lookalike-{name}")
        self._observe, self._stops = observe, stops
        self._usual = 0.05  # seconds that a piece of work takes, as a moving mean

    @property
    def waiting(self) -> int:
        """How many pieces of work wait for a thread."""
        return max(0, self.taken - self._workers)

    async def run(self, work: Callable[[], T], *, request: Request) -> T:
        """Run a function in a thread and wait for it.

        When the client goes away or time is up, work that has not begun never will; what runs keeps its place until
        it has finished.

        Raises:
            Refusal: All places are taken, or there was no answer in time.
            ClientGone: The client has closed the connection.
        """
        if self.taken >= self._places:
            wait = max(1, math.ceil(self._usual * self.taken / self._workers))
            raise busy(f"{self.taken} {self.name} are running or waiting", seconds=wait)
        self.taken += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        future = self._pool.submit(self._timed, work, perf_counter())
        future.add_done_callback(lambda _: _tell(loop, lambda: self._settle(future, answer)))
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
        raise Refusal("timeout", f"there was no answer within {self._seconds:g} s", facts={"limit": self._seconds})

    def close(self) -> None:
        """Finish what runs and waits, and stop the threads."""
        self._pool.shutdown(wait=True)

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
        """Free the place of work that is done, and tell who waits for it; on the event loop."""
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
    """Return when the client has closed the connection; its body has been read by now."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
