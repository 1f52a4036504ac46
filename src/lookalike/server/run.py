"""Running the application under uvicorn until a signal stops it."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

import uvicorn

from lookalike.server.app import create_app
from lookalike.server.connection_limits import ConnectionLimits
from lookalike.server.connections import Connection
from lookalike.server.context import AppContext
from lookalike.server.logs import log_as_lines

SHUTDOWN_S: Final = 30
SWITCH_S: Final = 5e-5
"""Switch interval of the interpreter, in seconds. A search releases the lock dozens of times, at each decoding and
multiplication; with Python's default of 5 ms it then waits for the event loop each time, and throughput drops."""


class Server(uvicorn.Server):
    """A uvicorn server that returns after SIGINT or SIGTERM instead of raising the signal again.

    Attributes:
        connection_limits: Open connections and their limits.
    """

    def __init__(self, config: uvicorn.Config, connection_limits: ConnectionLimits) -> None:
        super().__init__(config)
        self.connection_limits = connection_limits

    async def on_tick(self, counter: int) -> bool:
        """Enforce time limits of connections; called ten times a second."""
        self.connection_limits.enforce()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT and SIGTERM while the context lasts."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def make_server(context: AppContext) -> Server:
    """Configure uvicorn for an application context."""
    settings = context.settings
    log_as_lines()
    connection_limits = ConnectionLimits(settings, context.metrics)
    context.metrics.watch_connections(lambda: len(connection_limits.open))
    config = uvicorn.Config(
        create_app(context),
        http=partial(Connection, connection_limits=connection_limits, settings=settings),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="on",
        ws="none",
    )
    return Server(config, connection_limits)


def serve_app(context: AppContext, listening: socket.socket) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM; requests under way are finished first."""
    sys.setswitchinterval(SWITCH_S)
    server = make_server(context)
    # Objects loaded by now stay. A garbage collection over all of them takes some 40 ms, in which no request proceeds.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listening])
