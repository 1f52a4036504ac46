"""Accepting connections in one of several processes, so that each has about as many.

The kernel gives a connection to whichever process accepts first: of 16 clients one process of two got all at times, and
the other one had nothing to do.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from lookalike.server.connection_counts import ConnectionCounts

LOG: Final = logging.getLogger("lookalike.server")

PAUSE_S: Final = 0.002
"""Seconds between two looks at a connection that is left to the others."""

LOOKS: Final = 25
"""Looks after which a connection that is left is accepted here: the event loops of the others may be busy for 50 ms.
The number is halved, down to one, each time that no other process took the connection, and is 25 again when one did."""

RETRY_S: Final = 1.0
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""Errors of a system that has no place for a connection, and seconds after which it is tried again."""


class BalancedListener:
    """Accepts connections on a socket that several processes listen on, and leaves them to processes that have fewer.

    For use from the event loop. uvicorn closes it like a server of asyncio.
    """

    def __init__(
        self,
        listening: socket.socket,
        counts: ConnectionCounts,
        number: int,
        *,
        own: Callable[[], int],
        protocol: Callable[[], asyncio.Protocol],
    ) -> None:
        """Accept connections from now on.

        Args:
            listening: Listening socket of all processes.
            counts: Open connections of all processes.
            number: Number of this process, from 1.
            own: Open connections of this process.
            protocol: Makes the protocol of a connection.
        """
        self._loop = asyncio.get_running_loop()
        self._listening, self._counts, self._number = listening, counts, number
        self._own, self._protocol = own, protocol
        self._beginning: set[asyncio.Task[Any]] = set()
        self._waiting: asyncio.TimerHandle | None = None
        self._accepts, self._closed = True, False
        self._looks = LOOKS
        self._pending = select.poll()
        self._pending.register(listening, select.POLLIN)
        listening.setblocking(False)
        self._listen()

    def tell(self) -> None:
        """Tell the other processes how many connections this one has, while it accepts any."""
        if self._accepts:
            self._counts.tell(self._number, self._open)

    def close(self) -> None:
        """Accept no more connections."""
        if self._waiting is not None:
            self._waiting.cancel()
        self._closed = True
        self._leave()

    async def wait_closed(self) -> None:
        """Wait for the connections that are being accepted."""
        if self._beginning:
            await asyncio.wait(self._beginning)

    @property
    def _open(self) -> int:
        return self._own() + len(self._beginning)

    def _is_ahead(self) -> bool:
        least = self._counts.least_of_others(self._number)
        return least is not None and self._open > least

    def _listen(self) -> None:
        self._accepts = True
        self.tell()
        self._loop.add_reader(self._listening, self._ready)

    def _leave(self) -> None:
        """Stop listening, and let no other process wait for this one."""
        self._loop.remove_reader(self._listening)
        self._accepts = False
        self._counts.withdraw(self._number)

    def _ready(self) -> None:
        """Accept a connection, or leave it to a process that has fewer."""
        if self._is_ahead():
            self._loop.remove_reader(self._listening)
            self._waiting = self._loop.call_later(PAUSE_S, self._look_again, self._looks)
        else:
            self._accept()

    def _look_again(self, looks: int) -> None:
        """Look whether another process has taken the connection that was left; accept it after so many looks."""
        is_left = bool(self._pending.poll(0)) and self._is_ahead()
        if is_left and looks > 1:
            self._waiting = self._loop.call_later(PAUSE_S, self._look_again, looks - 1)
            return
        self._looks = max(1, self._looks // 2) if is_left else LOOKS
        self._listen()
        if is_left:
            self._accept()

    def _accept(self) -> None:
        try:
            connection, _ = self._listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process has taken it, or the client has given it up
        except OSError as error:
            if error.errno not in EXHAUSTED:
                raise  # to the log, by the event loop; the socket is still listened on
            self._leave()
            LOG.error("cannot accept connections", extra={"fields": {"problem": error.strerror}})  # noqa: TRY400
            self._waiting = self._loop.call_later(RETRY_S, self._listen)
            return
        connection.setblocking(False)
        beginning = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(partial(self._begun, connection))
        self.tell()

    def _begun(self, connection: socket.socket, beginning: asyncio.Task[Any]) -> None:
        self._beginning.discard(beginning)
        self.tell()
        if beginning.cancelled():
            connection.close()
        elif (error := beginning.exception()) is not None:
            connection.close()
            LOG.error("a connection could not begin", exc_info=error)
        elif self._closed:  # uvicorn has closed the others already
            beginning.result()[0].close()
