"""What a connection writes to and reads from, so that it can hold back what it has read, and close without a reset."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any, Final, Protocol, TypeAlias

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lookalike.server.errors import Refusal
from lookalike.server.middleware import HEADERS

Headers: TypeAlias = list[tuple[bytes, bytes]]

WHOLE_URL: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)")
"""A URL with its host, as proxies are asked with."""


class Leaving(Protocol):
    """A connection, as its transport knows it."""

    @property
    def leaving(self) -> bool:
        """Whether it sends nothing more."""
        ...

    def leave(self) -> None:
        """Close, in a way that lets the client read what was sent."""
        ...


class BoundedFlow(FlowControl):
    """Flow control that does not read on while bytes are held back.

    Attributes:
        holding: Whether the protocol has bytes that it has not parsed yet.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.holding = False

    def pause_reading(self) -> None:
        """Read no more, unless the connection is closed already."""
        if not self._transport.is_closing():
            super().pause_reading()

    def resume_reading(self) -> None:
        """Read on, unless what was read has to wait."""
        if not self.holding and not self._transport.is_closing():
            super().resume_reading()


class LingeringTransport:
    """A transport whose `close` lets the client read the answer before the connection is reset."""

    def __init__(self, transport: asyncio.Transport, connection: Leaving) -> None:
        self._transport, self._connection = transport, connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a transport has
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether nothing more is sent."""
        return self._connection.leaving or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send something, unless the connection is closed already."""
        if not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what is left, and close; where the client is still sending, wait a little for it to stop."""
        self._connection.leave()


def answer_of(refusal: Refusal, headers: Headers) -> bytes:
    """A refusal as it is sent where no application answers."""
    body = json.dumps(refusal.to_json()).encode()
    told = [*headers, *HEADERS.items(), (b"content-type", b"application/json")]
    told += [
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", uuid.uuid4().hex.encode()),
    ]
    told += [(name.lower().encode(), value.encode()) for name, value in refusal.headers.items()]
    return STATUS_LINE[refusal.status] + b"".join(b"%s: %s\r\n" % header for header in told) + b"\r\n" + body


def framing_problem(version: str, headers: Headers) -> Refusal | None:
    """Refuse requests of versions, and with transfer codings, that are not read here.

    Source: RFC 9112, section 6.1.
    """
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if version not in ("1.0", "1.1"):
        return Refusal("bad_request", f"expected HTTP/1.1, got HTTP/{version}")
    if codings not in ([], [b"chunked"]):
        got = b", ".join(codings)[:100].decode("latin-1")
        return Refusal("bad_request", f"expected Transfer-Encoding: chunked, got {got!r}")
    return None


def with_host_of(url: bytes, headers: Headers) -> Headers:
    """The headers of a request; where its URL names the host, that replaces the `Host` header.

    Source: RFC 9112, section 3.2.2.
    """
    whole = WHOLE_URL.match(url)
    if whole is None:
        return headers
    return [(name, whole[1] if name == b"host" else value) for name, value in headers]
