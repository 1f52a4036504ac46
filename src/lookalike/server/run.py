"""Running the application under uvicorn, with our log, until a signal asks it to stop."""

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
from lookalike.server.connection_limits import Crowd
from lookalike.server.connections import Connection
from lookalike.server.context import Serving
from lookalike.server.logs import log_settings

SHUTDOWN_S: Final = 30
SWITCH_S: Final = 5e-5
"""How long a thread may keep the interpreter from another. A search lets go of it dozens of times, whenever it decodes
or multiplies; with Python's usual 5 ms it then waits for the event loop, and in a crowd hardly any gets done."""


class Server(uvicorn.Server):
    """Stops as asked and then returns, instead of raising the signal once more: being stopped is no failure.

    Attributes:
        crowd: The connections.
    """

    def __init__(self, config: uvicorn.Config, crowd: Crowd) -> None:
        super().__init__(config)
        self.crowd = crowd

    async def on_tick(self, counter: int) -> bool:
        """Look after the connections, ten times a second."""
        self.crowd.tend()
        return await super().on_tick(counter)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals that ask to stop, for as long as the context lasts."""
        if threading.current_thread() is not threading.main_thread():  # the only one that signals come to
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def make_server(serving: Serving) -> Server:
    """Configure a server.

    Args:
        serving: What to serve.
    """
    settings = serving.settings
    crowd = Crowd(settings, serving.metrics)
    serving.metrics.watch_connections(lambda: len(crowd.members))
    config = uvicorn.Config(
        create_app(serving),
        http=partial(Connection, crowd=crowd, bounds=settings),  # type: ignore[arg-type]
        log_config=log_settings(),
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=SHUTDOWN_S,
        lifespan="on",
        ws="none",
    )
    return Server(config, crowd)


def serve_app(serving: Serving, listening: socket.socket) -> None:
    """Serve until a signal asks to stop; what runs then is finished first.

    Args:
        serving: What to serve.
        listening: Where.
    """
    sys.setswitchinterval(SWITCH_S)
    server = make_server(serving)
    # What is loaded by now stays. To look through all of it for garbage takes some 40 ms, in which nobody is answered.
    gc.collect()
    gc.freeze()
    server.run(sockets=[listening])
