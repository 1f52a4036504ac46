"""Transport and flow control of a connection: buffering of pipelined requests, and closing without a reset."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from typing import Any, Final, Protocol, TypeAlias

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from lookalike.server.errors import ApiError
from lookalike.server.middleware import HEADERS

Headers: TypeAlias = list[tuple[bytes, bytes]]

WHOLE_URL: Final = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?([^/?#]*)")
"""A URL in absolute form, as sent to proxies."""


class Leaving(Protocol):
    """Interface of a connection towards its transport."""

    @property
    def leaving(self) -> bool:
        """Whether the connection is closing."""
        ...

    def leave(self) -> None:
        """Close so that the client can read the response."""
        ...


class BoundedFlow(FlowControl):
    """Flow control that pauses reading while bytes are buffered.

    Attributes:
        holding: Whether the protocol has unparsed bytes.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self.holding = False

    def pause_reading(self) -> None:
        """Pause reading, unless the connection is closing."""
        if not self._transport.is_closing():
            super().pause_reading()

    def resume_reading(self) -> None:
        """Resume reading, unless bytes are buffered."""
        if not self.holding and not self._transport.is_closing():
            super().resume_reading()


class LingeringTransport:
    """A transport whose `close` lets the client read the answer before the connection is reset."""

    def __init__(self, transport: asyncio.Transport, connection: Leaving) -> None:
        self._transport, self._connection = transport, connection

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of a transport
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        """Whether the transport is closing."""
        return self._connection.leaving or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes, unless the connection is closing."""
        if not self.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Send what is buffered, and close; see `Connection.leave`."""
        self._connection.leave()


def raw_response(api_error: ApiError, headers: Headers) -> bytes:
    """Bytes of an error response, for errors before the application."""
    body = json.dumps(api_error.to_json()).encode()
    fields = [*headers, *HEADERS.items(), (b"content-type", b"application/json")]
    fields += [
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", uuid.uuid4().hex.encode()),
    ]
    fields += [(name.lower().encode(), value.encode()) for name, value in api_error.headers.items()]
    return STATUS_LINE[api_error.status] + b"".join(b"%s: %s\r\n" % header for header in fields) + b"\r\n" + body


def framing_problem(version: str, headers: Headers) -> ApiError | None:
    """Check the version and transfer coding of a request; returns the error to send, or None.

    Source: RFC 9112, section 6.1.
    """
    codings = [value.strip().lower() for name, value in headers if name == b"transfer-encoding"]
    if version not in ("1.0", "1.1"):
        return ApiError("bad_request", f"expected HTTP/1.1, got HTTP/{version}")
    if codings not in ([], [b"chunked"]):
        got = b", ".join(codings)[:100].decode("latin-1")
        return ApiError("bad_request", f"expected Transfer-Encoding: chunked, got {got!r}")
    return None


def with_host_of(url: bytes, headers: Headers) -> Headers:
    """Headers of a request; the host of a URL in absolute form replaces the `Host` header.

    Source: RFC 9112, section 3.2.2.
    """
    whole = WHOLE_URL.match(url)
    if whole is None:
        return headers
    return [(name, whole[1] if name == b"host" else value) for name, value in headers]
