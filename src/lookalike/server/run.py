"""Running the application under uvicorn until a signal stops it."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any, Final, cast

import uvicorn

from lookalike.server.app import create_app
from lookalike.server.balanced_listener import BalancedListener
from lookalike.server.connection_counts import ConnectionCounts
from lookalike.server.connection_limits import ConnectionLimits
from lookalike.server.connections import Connection
from lookalike.server.context import AppContext
from lookalike.server.errors import ApiError
from lookalike.server.logs import log_as_lines
from lookalike.server.middleware import LOG

SHUTDOWN_S: Final = 30
OBJECTS: Final = 10_000
"""New objects after which cycles among them are looked for: a request makes some, and a collection takes 2 ms."""

SWITCH_S: Final = 5e-5
"""Switch interval of the interpreter, in seconds. A search releases the lock dozens of times, at each decoding and
multiplication; with Python's default of 5 ms it then waits for the event loop each time, and throughput drops."""


FOLLOW_TICKS: Final = 10
"""Tenths of a second after which galleries are asked again whether they were given another model."""


class Server(uvicorn.Server):
    """A uvicorn server that returns after SIGINT or SIGTERM instead of raising the signal again.

    Attributes:
        connection_limits: Open connections and their limits.
        context: Context of the application.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        connection_limits: ConnectionLimits,
        context: AppContext,
        *,
        serving: Callable[[], None] = lambda: None,
        counts: ConnectionCounts | None = None,
    ) -> None:
        """Make a server.

        Args:
            config: Configuration of uvicorn.
            connection_limits: Open connections and their limits.
            context: Context of the application.
            serving: Called when connections are accepted.
            counts: Open connections of all processes that listen on the socket; None for one process.
        """
        super().__init__(config)
        self.connection_limits, self.context = connection_limits, context
        self._serving, self._counts = serving, counts
        self._listener: BalancedListener | None = None
        self._has_terminal = has_terminal()
        self._reload_wanted = False
        self._reloading: asyncio.Task[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self._followed: object = ()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application, and accept connections."""
        await super().startup(sockets if self._counts is None else [])
        if self.started and self._counts is not None:
            assert sockets is not None and self.context.siblings is not None
            (listening,) = sockets
            open_connections = self.connection_limits.open
            self._listener = BalancedListener(
                listening,
                self._counts,
                self.context.siblings.number,
                own=lambda: len(open_connections),
                protocol=self._make_connection,
            )
            self.connection_limits.changed = self._listener.tell
            self.servers.append(cast(asyncio.Server, self._listener))  # what uvicorn asks of one, it has
        if self.started:
            self._serving()

    def _make_connection(self) -> asyncio.Protocol:
        make: Any = self.config.http_protocol_class
        made: asyncio.Protocol = make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made

    async def on_tick(self, counter: int) -> bool:
        """Enforce time limits of connections, and begin a reload that is wanted; called ten times a second."""
        self.connection_limits.enforce()
        if self._listener is not None:
            self._listener.tell()
        if counter % FOLLOW_TICKS == 0 and (self._following is None or self._following.done()):
            self._following = asyncio.create_task(self._follow())
        if self._reload_wanted and (self._reloading is None or self._reloading.done()):
            self._reload_wanted = False
            self._reloading = asyncio.create_task(self._reload())
        return await super().on_tick(counter)

    async def _follow(self) -> None:
        """Want a reload when galleries were given other models, once for each change."""
        changed = await asyncio.to_thread(self.context.remodelled)
        if changed and changed != self._followed and self.context.reload is not None:
            self._reload_wanted = True
        self._followed = changed

    async def _reload(self) -> None:
        assert self.context.reload is not None
        try:
            await self.context.reload()
        except ApiError:
            return  # the log has it
        except Exception:  # noqa: BLE001 - a bug, which must not stop the server
            LOG.exception("reload failed")

    def handle_hang_up(self, number: int, frame: FrameType | None) -> None:
        """Reload at SIGHUP; stop if it was sent since the terminal was closed."""
        if self._has_terminal and not has_terminal():
            self.handle_exit(number, frame)
        else:
            self._reload_wanted = True

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle SIGINT, SIGTERM and SIGHUP while the context lasts."""
        if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, self.handle_hang_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, before)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def has_terminal() -> bool:
    """Whether this process has a terminal that controls it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def hold_hang_ups() -> None:
    """Keep a SIGHUP until the server can handle it, which ends the process otherwise."""
    if threading.current_thread() is threading.main_thread():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def make_server(
    context: AppContext, *, serving: Callable[[], None] = lambda: None, counts: ConnectionCounts | None = None
) -> Server:
    """Configure uvicorn for an application context.

    Args:
        context: Context of the application.
        serving: Called when connections are accepted.
        counts: Open connections of all processes that listen on the socket; None for one process.
    """
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
    return Server(config, connection_limits, context, serving=serving, counts=counts)


def serve_app(
    context: AppContext,
    listening: socket.socket,
    *,
    serving: Callable[[], None] = lambda: None,
    counts: ConnectionCounts | None = None,
) -> None:
    """Serve on a listening socket until SIGINT or SIGTERM; requests under way are finished first.

    Args:
        context: Context of the application.
        listening: Listening socket.
        serving: Called when connections are accepted.
        counts: Open connections of all processes that listen on the socket; None for one process.
    """
    sys.setswitchinterval(SWITCH_S)
    server = make_server(context, serving=serving, counts=counts)
    # Objects loaded by now stay. A garbage collection over all of them takes some 40 ms, in which no request proceeds.
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS)
    server.run(sockets=[listening])
