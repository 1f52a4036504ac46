"""One of several processes of a server, as its supervisor starts it."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Protocol

from lookalike.embedding.model_loading import share_processors
from lookalike.errors import LookalikeError, UsageError
from lookalike.server.connection_counts import ConnectionCounts
from lookalike.server.context import AppContext
from lookalike.server.rate_table import RateTable
from lookalike.server.rates import Bucket, Rate
from lookalike.server.run import serve_app
from lookalike.server.siblings import Siblings


class OpenServer(Protocol):
    """Opens galleries and models for serving, in each process; picklable."""

    def __call__(self, *, say: Callable[[str], None], bucket: Callable[[str, Rate], Bucket]) -> AppContext:
        """Open them.

        Args:
            say: Called with messages for the operator.
            bucket: Makes the token bucket of a key, by its name and rate.

        Raises:
            LookalikeError: One of them cannot be opened.
        """
        ...


def serve_process(
    open_server: OpenServer,
    listening: socket.socket,
    channel: Connection,
    rates: RateTable,
    counts: ConnectionCounts,
    number: int,
    processes: int,
    say: Callable[[str], None],
) -> None:
    """Serve until SIGTERM, or until the supervisor has ended.

    Args:
        open_server: Opens galleries and models.
        listening: Listening socket of all processes.
        channel: Channel to the supervisor.
        rates: Token buckets of all processes.
        counts: Open connections of all processes.
        number: Number of this process, from 1.
        processes: Number of all processes, which share the processors.
        say: Called with messages for the operator.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until it serves; the supervisor stops all
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    share_processors(processes)
    siblings = Siblings(channel, number)
    try:
        context = open_server(say=say, bucket=rates.bucket)
    except LookalikeError as error:
        siblings.failed(error, is_usage=isinstance(error, UsageError))
        return
    context.siblings = siblings
    loops: list[asyncio.AbstractEventLoop] = []

    def serving() -> None:
        loops.append(asyncio.get_running_loop())
        siblings.listen(
            {
                "metrics": lambda: context.metrics.text().decode(),
                "reload": lambda: reload(context, loops[0]),
                "write_events": lambda: write_searches(context),
                "fetch": lambda: look_at_queues(context),
            },
            abandoned=lambda: os.kill(os.getpid(), signal.SIGTERM),
        )
        siblings.ready(context.described)

    serve_app(context, listening, serving=serving, counts=counts)


def reload(context: AppContext, loop: asyncio.AbstractEventLoop) -> str:
    """Reload, as another process has done.

    Raises:
        ApiError: This one goes on as before.
    """
    assert context.reload is not None
    asyncio.run_coroutine_threadsafe(context.reload(), loop).result()
    return ""


def write_searches(context: AppContext) -> str:
    """Write the searches that wait."""
    context.recorders.write()
    return ""


def look_at_queues(context: AppContext) -> str:
    """Look at the queues of photos to fetch."""
    for gallery in [*context.galleries.values()]:
        gallery.look_at_jobs()
    return ""
