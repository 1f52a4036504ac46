"""HTTP/1.1 connections with bounds on all that comes before the application, and after it.

uvicorn's own protocol takes a head, trailers and pipelined requests of any length, waits for them for ever, and refuses
every new connection while old ones stay silent. This one counts bytes and seconds, reads no request before the last one
is answered, and when all places are taken gives that of the longest silent connection to the new one.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lookalike.server.connection_limits import State, Worth, place_of
from lookalike.server.errors import Refusal
from lookalike.server.transport import BoundedFlow, LingeringTransport, answer_of, framing_problem, with_host_of

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, ASGISendEvent, Scope
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

    from lookalike.server.connection_limits import Crowd
    from lookalike.server.settings import Settings

PIECE: Final = 4096
"""Bytes given to the parser at once where a request may end within them: at most 227 requests fit."""

MOST_HEADERS: Final = 100
STALLED_S: Final = 0.1
STUCK_S: Final = 2.0
"""A body of which nothing has come, and an answer of which nothing was read, for so long may make room for another
connection when there is none."""

LINGER_S: Final = 3.0
LINGER_BYTES: Final = 2**20
"""How long, and how much of, what a refused client still sends is read and dropped, so that it gets to read why."""


class Connection(HttpToolsProtocol):
    """One connection within bounds; uvicorn makes one for each that it accepts.

    Attributes:
        crowd: All connections of the server.
        state: What it is waiting for.
        since: Since when, in seconds of `time.monotonic`.
        heard: When the client last sent anything.
        stuck_since: Since when the client has not read what was sent; None while it reads.
        place: What `connections_each` counts it under.
    """

    def __init__(self, *args: Any, crowd: Crowd, bounds: Settings, **options: Any) -> None:  # noqa: ANN401 - uvicorn's
        super().__init__(*args, **options)
        self.crowd, self.bounds = crowd, bounds
        self.state, self.since = State.NEW, monotonic()
        self.heard = self.since
        self.stuck_since: float | None = None
        self.place = ""
        self._wire: asyncio.Transport
        self._held = b""
        self._refusal: Refusal | None = None
        self._head = self._headers = self._frame = self._body = 0
        self._length: int | None = None
        self._spared = LINGER_BYTES

    @property
    def leaving(self) -> bool:
        """Whether nothing more is sent, and nothing read of what comes."""
        return self.state is State.LEAVING

    @property
    def receiving(self) -> bool:
        """Whether the body of a request is still on its way."""
        return self.state is State.BUSY and self.cycle is not None and self.cycle.more_body

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a place, or refuse when there is none."""
        self._wire = transport
        super().connection_made(LingeringTransport(transport, self))  # type: ignore[arg-type]
        self.flow = BoundedFlow(transport)
        self.place = place_of(self.client[0] if self.client else "")
        refusal = self.crowd.admit(self)
        if refusal is not None:
            self.refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self.crowd.forget(self)
        self.state, self._held = State.LEAVING, b""
        super().connection_lost(exc)

    def eof_received(self) -> None:
        """The client sends no more, so there is nothing to wait for any longer."""
        if self.state is State.LEAVING:
            self._wire.close()

    def data_received(self, data: bytes) -> None:
        """Parse what may be parsed now, and hold back the rest."""
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
        """Whether a request has come in whole and is not answered yet: then the next one waits, unparsed."""
        cycle = self.cycle
        return self.state is State.BUSY and not cycle.response_complete and not cycle.more_body

    def _end_of_piece(self, data: bytes, at: int) -> int:
        """Where to stop parsing for a look: at the end of a head or body if that can be told."""
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
            self.cycle.keep_alive = False  # other protocols are not spoken here; the request is answered as it is
        except httptools.HttpParserError:
            self._refusal = self._refusal or Refusal("bad_request", "this is not a request of HTTP/1.1")
        if before is State.HEAD:
            self._head += len(piece)
            if self.state is State.HEAD and self._head > self.bounds.head_bytes:
                self._too_large("head_too_large", "the request's head", self.bounds.head_bytes)
        elif self._length is None:
            self._frame += len(piece) - (self._body - body)
            if self._frame > self.bounds.head_bytes + self._body:
                self._too_large("head_too_large", "what frames the body's chunks", self.bounds.head_bytes)
        if self._refusal is not None:
            self.refuse(self._refusal)

    def _too_large(self, code: str, what: str, limit: int) -> None:
        message = f"{what} is longer than the {limit:,} bytes allowed"
        self._refusal = self._refusal or Refusal(code, message, facts={"limit": limit})

    def on_url(self, url: bytes) -> None:
        """Take a part of the URL in."""
        if len(self.url) + len(url) > self.bounds.url_bytes:
            self._too_large("url_too_long", "the URL", self.bounds.url_bytes)
        else:
            super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header in; one that comes after the body is none of the request's, and is dropped."""
        if self.state is not State.HEAD:
            return
        self._headers += 1
        if self._headers > MOST_HEADERS:
            message = f"the request has more than the {MOST_HEADERS} headers allowed"
            self._refusal = self._refusal or Refusal("head_too_large", message, facts={"limit": MOST_HEADERS})
        else:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start answering."""
        self._refusal = self._refusal or framing_problem(self.parser.get_http_version(), self.headers)
        if self._refusal is not None:
            return
        self.headers[:] = with_host_of(self.url, self.headers)
        self._enter(State.BUSY)
        self._frame = self._body = 0
        self._length = self._declared()
        super().on_headers_complete()

    def _declared(self) -> int | None:
        """Bytes that the body has; None where its chunks tell."""
        names = dict(self.headers)
        if b"transfer-encoding" in names:
            return None
        return int(names.get(b"content-length", b"0"))

    def on_body(self, body: bytes) -> None:
        """Take a part of the body in."""
        self._body += len(body)
        if self._refusal is None:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Note that the request has come in whole."""
        if self._refusal is None:
            super().on_message_complete()

    def on_message_begin(self) -> None:
        """Make ready for a request."""
        if self.state is not State.HEAD:  # it came in one piece with the end of the one before
            self._enter(State.HEAD)
            self._head = self._headers = 0
        super().on_message_begin()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Have a request answered; where its body is not taken in before the answer, the connection ends with that."""

        async def announcing(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
            async def announce(message: ASGISendEvent) -> None:
                if message["type"] == "http.response.start" and cycle.more_body:
                    cycle.keep_alive = False
                await send(message)

            await app(scope, receive, announce)

        super()._start_asgi_task(cycle, announcing)

    def on_response_complete(self) -> None:
        """Go on with the next request."""
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
        """The client does not read as fast as is sent."""
        self.stuck_since = monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has read on."""
        self.stuck_since = None
        super().resume_writing()

    def refuse(self, refusal: Refusal) -> None:
        """Answer for the application, and close."""
        started = self._disown()
        self.crowd.refused(self, refusal)
        if not started:
            self._wire.write(answer_of(refusal, self.server_state.default_headers))
        self.leave(lingering=True)

    def leave(self, *, lingering: bool | None = None) -> None:
        """Close when all is sent, and where the client is still sending, after a moment in which it can read why."""
        if self.state is State.LEAVING:
            return
        if lingering is None:  # an answer that a client gets while it sends a body, or more requests
            lingers, self._spared = self.receiving or bool(self._held), self.bounds.upload_bytes
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
        """Close at once, whatever is on its way."""
        self._disown()
        self._wire.abort()

    def _disown(self) -> bool:
        """Let what answers the present request know that there is no client any more.

        Returns:
            Whether it had begun to answer.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return False
        cycle.disconnected = True
        cycle.message_event.set()
        return cycle.response_started

    def shutdown(self) -> None:
        """Close as soon as what runs is answered."""
        if self.state is State.LEAVING:
            self._wire.close()
        else:
            super().shutdown()

    @property
    def unsent(self) -> int:
        """Bytes of answers that the client has not taken yet."""
        return self._wire.get_write_buffer_size()

    def worth(self, now: float) -> Worth:
        """How much would be lost with the connection.

        Args:
            now: As `time.monotonic` tells.
        """
        if self.state in (State.NEW, State.HEAD, State.LEAVING):
            return Worth.SILENT
        if self.state is State.IDLE:
            return Worth.IDLE
        stuck = self.stuck_since is not None and now - self.stuck_since > STUCK_S
        stalled = self.receiving and now - self.heard > STALLED_S
        return Worth.SLOW if stuck or stalled else Worth.BUSY

    def overdue(self, now: float) -> str | None:
        """Why the connection has had its time, or None.

        Args:
            now: As `time.monotonic` tells.
        """
        bounds, waited = self.bounds, now - self.since
        if self.stuck_since is not None and now - self.stuck_since > bounds.send_seconds:
            return "stuck"
        limits = {State.NEW: bounds.head_seconds, State.HEAD: bounds.head_seconds, State.IDLE: bounds.idle_seconds}
        if self.state is State.LEAVING:
            limits[State.LEAVING] = bounds.send_seconds if self.unsent else LINGER_S
        limit = limits.get(self.state)
        return self.state.value if limit is not None and waited > limit else None

    def _enter(self, state: State) -> None:
        self.state, self.since = state, monotonic()
