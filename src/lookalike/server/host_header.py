"""Middleware that checks the `Host` and `Origin` headers.

DNS rebinding: a hostile web page can let its own host name resolve to 127.0.0.1, and then has the same origin as a
server there. Requests on a loopback address must therefore name that address, or a host that the operator allows.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.server.errors import ApiError

SAFE: Final = ("GET", "HEAD", "OPTIONS")
HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+(?:%[\w.~%-]+)?)\]|([^\s\[\]:/?#@,]*?)\.?)(?::\d{0,5})?")
"""A `Host` header in lower case. Source: RFC 9110, section 7.2."""


class AllowedHostsMiddleware:
    """Refuses requests that name other hosts, and writing requests from web pages of other origins."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], origins: Sequence[str]) -> None:
        """Wrap an application.

        Args:
            app: Application.
            hosts: Allowed host names, beside `localhost` and loopback addresses; without any, requests on other than
                loopback addresses may name any host.
            origins: Allowed origins, beside the server's own.
        """
        self._app = app
        self._hosts = {host.lower().strip("[]").rstrip(".") for host in hosts}
        self._origins = set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            api_error = self._error(scope)
            if api_error is not None:
                scope["state"]["exchange"].code = api_error.code
                response = JSONResponse(api_error.to_json(), status_code=api_error.status, headers=api_error.headers)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _error(self, scope: Scope) -> ApiError | None:
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(named) > 1 or (not named and scope["http_version"] == "1.1"):
            return ApiError("bad_request", f"expected one Host header, got {len(named)}")
        host = name_in(named[0]) if named else None
        if named and host is None:
            return ApiError("bad_request", f"expected a Host header such as shop.example:8000, got {named[0][:100]!r}")
        if host is not None and not self._answers_to(host, scope):
            message = f"this server does not answer to the name {host[:100]!r}; to allow it, add the name to `hosts`"
            return ApiError("unknown_host", message, details={"host": host[:100]})
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
        if scope["method"] in SAFE or origin is None or origin in self._origins:
            return None
        netloc = netloc_of(origin)
        if netloc and netloc in ((named[0].lower() if named else ""), *self._hosts):
            return None
        message = f"web pages of {origin[:100]} may not send this request; to allow it, add the origin to `origins`"
        return ApiError("foreign_origin", message, details={"origin": origin[:100]})

    def _answers_to(self, host: str, scope: Scope) -> bool:
        if host in self._hosts or host == "localhost" or is_loopback(host):
            return True
        server = scope.get("server")
        return not self._hosts and not (server and is_loopback(server[0]))


def name_in(host: str) -> str | None:
    """Host name of a `Host` header: lower case, without port, trailing dot, and brackets of IPv6.

    Returns:
        None if the header is malformed.
    """
    found = HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2]) if found else None


def netloc_of(origin: str) -> str:
    """Host and port of an origin; empty for an opaque origin such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host is a loopback address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
