"""HTTP/1.1 protocol with limits of bytes and seconds before and after the application.

uvicorn's protocol accepts heads, trailers and pipelined requests of any length, waits for them without limit, and
refuses new connections while old ones stay silent. This one counts bytes and seconds, parses no request before the last
one is answered, and closes the longest silent connection when a new one needs its place.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lookalike.server.connection_limits import Priority, State, network_of
from lookalike.server.errors import ApiError
from lookalike.server.transport import BoundedFlow, LingeringTransport, framing_problem, raw_response, with_host_of

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from lookalike.server.connection_limits import ConnectionLimits
    from lookalike.server.settings import Settings

PIECE: Final = 4096
"""Bytes parsed at once if a request may end within them; at most 227 requests fit."""

MOST_HEADERS: Final = 100
STALLED_S: Final = 0.1
STUCK_S: Final = 2.0
"""Seconds without a byte of the body (stalled), or without the client reading the response (stuck), after which a
connection may be closed to make room for another."""

LINGER_S: Final = 3.0
LINGER_BYTES: Final = 2**20
"""Seconds and bytes that a refused client may go on sending; they are read and discarded, so that it reads the error
before the connection is reset."""


class Connection(HttpToolsProtocol):
    """One connection; uvicorn makes an instance for each that it accepts. Times are in seconds of `time.monotonic`.

    Attributes:
        connection_limits: Open connections of the server.
        settings: Limits of the server.
        state: State of the connection.
        since: Time of the last change of state.
        heard: Time of the last byte from the client.
        stuck_since: Time since which the client reads nothing; None while it reads.
        network: Network that `connections_each` counts it under.
    """

    def __init__(self, *args: Any, connection_limits: ConnectionLimits, settings: Settings, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **options)
        self.connection_limits, self.settings = connection_limits, settings
        self.state, self.since = State.NEW, monotonic()
        self.heard = self.since
        self.stuck_since: float | None = None
        self.network = ""
        self._wire: asyncio.Transport
        self._held = b""
        self._api_error: ApiError | None = None
        self._head = self._headers = self._frame = self._body = 0
        self._length: int | None = None
        self._spared = LINGER_BYTES

    @property
    def leaving(self) -> bool:
        """Whether the connection is closing: nothing is sent, and what comes is discarded."""
        return self.state is State.LEAVING

    @property
    def receiving(self) -> bool:
        """Whether the body of a request is incomplete."""
        return self.state is State.BUSY and self.cycle is not None and self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place; send an error when there is none."""
        self._wire = transport
        super().connection_made(LingeringTransport(transport, self))  # type: ignore[arg-type]
        self.flow = BoundedFlow(transport)
        self.network = network_of(self.client[0] if self.client else "")
        api_error = self.connection_limits.admit(self)
        if api_error is not None:
            self.refuse(api_error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Free the place."""
        self.connection_limits.forget(self)
        self.state, self._held = State.LEAVING, b""
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """Close a connection that waited for the client to stop sending."""
        if self.state is State.LEAVING:
            self._wire.close()

    def data_received(self, data: bytes) -> None:
        """Parse up to the end of the current request, and buffer the rest."""
        self.heard = monotonic()
        if self.state is State.LEAVING:
            self._spared -= len(data)
            if self._spared < 0:
                self.drop()
            return
        self._held = self._held + data if self._held else data
        self._parse()

    def _parse(self) -> None:
        at, data = 0, self._held
        while at < len(data) and self.state is not State.LEAVING and not self._answering:
            end = self._end_of_piece(data, at)
            self._feed(data if at == 0 and end >= len(data) else data[at:end])
            at = end
        self._held = b"" if self.state is State.LEAVING else data[at:] if at else data
        flow: Any = self.flow
        flow.holding = bool(self._held)
        if flow.holding:
            flow.pause_reading()

    @property
    def _answering(self) -> bool:
        """Whether a complete request is being answered; the next one waits unparsed."""
        cycle = self.cycle
        return self.state is State.BUSY and not cycle.response_complete and not cycle.more_body

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """Offset at which parsing stops next: the end of the head or body if known, else after `PIECE` bytes."""
        if self.state is not State.BUSY:
            end = data.find(b"\r\n\r\n", at, at + PIECE)
            return at + PIECE if end < 0 else end + 4
        if self._length is not None:
            return at + max(1, self._length - self._body)
        return at + PIECE

    def _feed(self, piece: bytes) -> None:
        if self.state in (State.NEW, State.IDLE):
            self._enter(State.HEAD)
            self._head = self._headers = 0
        body, before = self._body, self.state
        try:
            self.parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # no other protocol is supported; the request is answered as HTTP/1.1
        except httptools.HttpParserError:
            self._api_error = self._api_error or ApiError("bad_request", "expected a request of HTTP/1.1")
        if before is State.HEAD:
            self._head += len(piece)
            if self.state is State.HEAD and self._head > self.settings.head_bytes:
                self._too_large("head_too_large", "the head of the request", self.settings.head_bytes)
        elif self._length is None:
            self._frame += len(piece) - (self._body - body)
            if self._frame > self.settings.head_bytes + self._body:
                self._too_large("head_too_large", "the chunk sizes and trailers of the body", self.settings.head_bytes)
        if self._api_error is not None:
            self.refuse(self._api_error)

    def _too_large(self, code: str, what: str, limit: int) -> None:
        message = f"{what} is longer than the {limit:,} bytes allowed"
        self._api_error = self._api_error or ApiError(code, message, details={"limit": limit})

    def on_url(self, url: bytes) -> None:
        """Add a part of the URL."""
        if len(self.url) + len(url) > self.settings.url_bytes:
            self._too_large("url_too_long", "the URL", self.settings.url_bytes)
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header; trailers are dropped."""
        if self.state is not State.HEAD:
            return
        self._headers += 1
        if self._headers > MOST_HEADERS:
            message = f"the request has more than the {MOST_HEADERS} headers allowed"
            self._api_error = self._api_error or ApiError("head_too_large", message, details={"limit": MOST_HEADERS})
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering."""
        self._api_error = self._api_error or framing_problem(self.parser.get_http_version(), self.headers)
        if self._api_error is not None:
            return
        self.headers[:] = with_host_of(self.url, self.headers)
        self._enter(State.BUSY)
        self._frame = self._body = 0
        self._length = self._declared()
        super().on_headers_complete()

    def _declared(self) -> int | None:
        """Content length in bytes; None for a chunked body."""
        names = dict(self.headers)
        if b"transfer-encoding" in names:
            return None
        return int(names.get(b"content-length", b"0"))

    def on_body(self, body: bytes) -> None:
        """Add a part of the body."""
        self._body += len(body)
        if self._api_error is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Mark the request as complete."""
        if self._api_error is None:
            super().on_message_complete()

    def on_message_begin(self) -> None:
        """Begin a request."""
        if self.state is not State.HEAD:  # pipelined behind the previous request
            self._enter(State.HEAD)
            self._head = self._headers = 0
        super().on_message_begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Run the application; a response that starts before the whole body has come ends the connection."""

        async def announcing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def announce(message: ASGISendEvent) -> None:
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, announce)

        super()._start_asgi_task(cycle, announcing)

    def on_response_complete(self) -> None:
        """Continue with the next request."""
        self.server_state.total_requests += 1
        if self.state is State.LEAVING or self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._enter(State.BUSY)
            self._start_asgi_task(cycle, app)
            return
        self._enter(State.IDLE)
        if self._held:
            self._parse()
        self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Record that the client reads more slowly than the server sends."""
        self.stuck_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """Record that the client reads again."""
        self.stuck_since = None
        super().resume_writing()

    def refuse(self, api_error: ApiError) -> None:
        """Send an error in place of the application, and close."""
        started = self._disown()
        self.connection_limits.refused(self, api_error)
        if not started:
            self._wire.write(raw_response(api_error, self.server_state.default_headers))
        self.leave(lingering=True)

    def leave(self, *, lingering: bool | None = None) -> None:
        """Close when everything is sent.

        Args:
            lingering: Whether to discard what the client still sends, so that it can read the response; None decides
                by whether the client is sending.
        """
        if self.state is State.LEAVING:
            return
        if lingering is None:
            lingers, self._spared = self.receiving or bool(self._held), self.settings.upload_bytes
        else:
            lingers = lingering
        self._enter(State.LEAVING)
        self._held = b""
        if not lingers:
            self._wire.close()
        else:
            self._wire.write_eof()
            flow: Any = self.flow
            flow.holding = False
            flow.resume_reading()

    def drop(self) -> None:
        """Close at once."""
        self._disown()
        self._wire.abort()

    def _disown(self) -> bool:
        """Tell the running application that the client is gone.

        Returns:
            Whether the response had started.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return cycle.response_started

    def shutdown(self) -> None:
        """Close after the current response."""
        if self.state is State.LEAVING:
            self._wire.close()
        else:
            super().shutdown()

    @property
    def unsent(self) -> int:
        """Bytes of responses that the client has not read."""
        return self._wire.get_write_buffer_size()

    def priority(self, now: float) -> Priority:
        """Priority of the connection at a time `now` when another one needs its place."""
        if self.state in (State.NEW, State.HEAD, State.LEAVING):
            return Priority.SILENT
        if self.state is State.IDLE:
            return Priority.IDLE
        stuck = self.stuck_since is not None and now - self.stuck_since > STUCK_S
        stalled = self.receiving and now - self.heard > STALLED_S
        return Priority.SLOW if stuck or stalled else Priority.BUSY

    def overdue(self, now: float) -> str | None:
        """Name of the time limit that the connection has exceeded, or None.

        Args:
            now: Time, in seconds of `time.monotonic`.
        """
        settings, waited = self.settings, now - self.since
        if self.stuck_since is not None and now - self.stuck_since > settings.send_seconds:
            return "stuck"
        limits = {
            State.NEW: settings.head_seconds,
            State.HEAD: settings.head_seconds,
            State.IDLE: settings.idle_seconds,
        }
        if self.state is State.LEAVING:
            limits[State.LEAVING] = settings.send_seconds if self.unsent else LINGER_S
        limit = limits.get(self.state)
        return self.state.value if limit is not None and waited > limit else None

    def _enter(self, state: State) -> None:
        self.state, self.since = state, monotonic()
