"""ASGI middleware for every request: request id, security headers, log, metrics, HEAD, and the response to a bug.

Plain ASGI rather than Starlette's `BaseHTTPMiddleware`, which costs time for every chunk of every body.
"""

from __future__ import annotations

import json
import logging
import re
import uuid
from collections.abc import Mapping
from time import perf_counter
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lookalike.server.concurrency import CLIENT_GONE, ClientGone
from lookalike.server.errors import ERROR_CODES, ApiError
from lookalike.server.shared_state import SharedState

LOG: Final = logging.getLogger("lookalike.server")
REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Content security policy: the page loads its own files and nothing else."""

FRAMED_BY_NONE: Final = "frame-ancestors 'none'"

HEADERS: Final = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"permissions-policy": b"camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
    b"cache-control": b"no-store",
}
"""Default headers of every response."""


class RequestMiddleware:
    """Outermost middleware: ids, headers, log and metrics of requests, and error 500 for exceptions that are bugs."""

    def __init__(self, app: ASGIApp, *, shared: SharedState) -> None:
        """Wrap an application.

        Args:
            app: Application.
            shared: State of the server, with its present settings and keys.
        """
        self._app, self._shared, self._metrics = app, shared, shared.metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, headers=headers_of(self._shared))
        scope.setdefault("state", {})["exchange"] = exchange
        error: BaseException | None = None
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except ClientGone:
            exchange.status = CLIENT_GONE
        except Exception as caught:  # noqa: BLE001 - a bug: the client gets error 500, the log the traceback
            error = caught
            if not exchange.started:
                await exchange.fail()
        finally:
            self._account(exchange, error)
            del scope["state"]["exchange"]  # which holds the scope: all of the request would wait for a collection

    def _account(self, exchange: _Exchange, error: BaseException | None) -> None:
        seconds = perf_counter() - exchange.began
        route = exchange.route
        method = exchange.method if exchange.method in METHODS else "other"
        self._metrics.answered(
            method=method, route=route, gallery=exchange.gallery, status=exchange.status, seconds=seconds
        )
        if exchange.code:
            self._metrics.refused(exchange.code)
        details = {
            "request": exchange.id,
            "method": exchange.method[:16],
            "route": route,
            **({"path": KEY.sub(HIDDEN_KEY, exchange.path[:500])} if self._shared.settings.log_paths else {}),
            **({"gallery": exchange.gallery} if exchange.gallery else {}),
            **({"key": exchange.key} if exchange.key else {}),
            "status": exchange.status,
            "ms": round(seconds * 1000, 1),
            "received": exchange.received,
            "sent": exchange.sent,
            **({"code": exchange.code} if exchange.code else {}),
        }
        LOG.log(logging.ERROR if error else logging.INFO, "request", extra={"fields": details}, exc_info=error)


def headers_of(shared: SharedState) -> Mapping[bytes, bytes]:
    """Default headers by the present settings."""
    headers = dict(HEADERS)
    if shared.has_origins:
        headers[b"cross-origin-resource-policy"] = b"cross-origin"
    if shared.settings.frame_ancestors:
        framing = " ".join("'self'" if each == "self" else each for each in shared.settings.frame_ancestors)
        headers[b"content-security-policy"] = POLICY.replace(FRAMED_BY_NONE, f"frame-ancestors {framing}").encode()
        del headers[b"x-frame-options"]  # which can name no origin
    return headers


KEY: Final = re.compile(r"lk_[A-Za-z0-9_-]{43}")
HIDDEN_KEY: Final = "lk_..."
"""What the log has in place of a key that was put into a path by mistake."""

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class _Exchange:
    """State of a request and its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, headers: Mapping[bytes, bytes]) -> None:
        self._scope, self._receive, self._send, self._headers = scope, receive, send, headers
        given = dict(scope["headers"]).get(b"x-request-id", b"")
        self.id = given.decode() if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        self.began = perf_counter()
        self.path: str = scope["path"]
        self.method: str = scope["method"]
        self.started = False
        self.status = 500
        self.code = ""
        self.received = self.sent = 0

    @property
    def route(self) -> str:
        """Pattern of the route, as a metrics label of bounded cardinality."""
        route = self._scope.get("route")
        return getattr(route, "path_format", None) or getattr(route, "path", None) or "none"

    @property
    def gallery(self) -> str:
        """Name of the gallery that was asked; empty if there is none of the name, and for routes without one."""
        gallery = self._scope["state"].get("gallery")
        return gallery.name if gallery is not None and self.route.startswith("/v1/") else ""

    @property
    def key(self) -> str:
        """Name of the key that the request has; empty for the token, and without a key."""
        caller = self._scope["state"].get("caller")
        return "" if caller is None else str(caller.name)

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            own: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
            names = {name for name, _ in own}
            own += [header for header in self._headers.items() if header[0] not in names]
            if b"content-security-policy" in names and b"x-frame-options" not in self._headers:
                own.append((b"x-frame-options", HEADERS[b"x-frame-options"]))  # only the page may be framed
            own.append((b"x-request-id", self.id.encode()))
            message = {**message, "headers": own}
        elif message["type"] == "http.response.body":
            self.sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self) -> None:
        """Send error 500."""
        api_error = ApiError("bug", ERROR_CODES["bug"].message)
        self.code = api_error.code
        body = json.dumps(api_error.to_json()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self.send({"type": "http.response.start", "status": api_error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class HeadAsGetMiddleware:
    """Answers HEAD like GET: the same status and headers, without the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            scope["method"] = "HEAD"  # uvicorn reads it, and expects no body then
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        scope["method"] = "GET"
        await self._app(scope, receive, send_head)


def note_code(state: Any, code: str) -> None:  # noqa: ANN401 - Starlette's state has no type
    """Record the code of an error for the log and the metrics."""
    exchange = getattr(state, "exchange", None)
    if exchange is not None:
        exchange.code = code
