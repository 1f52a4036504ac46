"""Which names the server answers to, and whose pages may send it anything.

A page from elsewhere can have its own name resolve to 127.0.0.1, and would then be of the same origin as what listens
there (DNS rebinding). So what comes in on a loopback address must name that address, or a name that the operator gave.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.server.errors import Refusal

SAFE: Final = ("GET", "HEAD", "OPTIONS")
HOST: Final = re.compile(r"(?:\[([0-9a-f:.]+(?:%[\w.~%-]+)?)\]|([^\s\[\]:/?#@,]*?)\.?)(?::\d{0,5})?")
"""A `Host` header in lower case. Source: RFC 9110, section 7.2."""


class KnownHosts:
    """A layer that refuses requests to other names, and requests of other sites' pages that are more than a look."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str], origins: Sequence[str]) -> None:
        """Wrap an application.

        Args:
            app: What answers.
            hosts: Names that it answers to, beside `localhost` and loopback addresses; none given, a server that is
                reached at another address than a loopback one answers to all.
            origins: Whose pages may use it beside its own.
        """
        self._app = app
        self._hosts = {host.lower().strip("[]").rstrip(".") for host in hosts}
        self._origins = set(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            refusal = self._refusal(scope)
            if refusal is not None:
                scope["state"]["exchange"].code = refusal.kind
                response = JSONResponse(refusal.to_json(), status_code=refusal.status, headers=refusal.headers)
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> Refusal | None:
        named = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(named) > 1 or (not named and scope["http_version"] == "1.1"):
            return Refusal("bad_request", f"expected one Host header, got {len(named)}")
        host = name_in(named[0]) if named else None
        if named and host is None:
            return Refusal("bad_request", f"the Host header {named[0][:100]!r} is not a name with or without a port")
        if host is not None and not self._answers_to(host, scope):
            message = f"this server does not answer to the name {host[:100]!r}; name it in `hosts`"
            return Refusal("unknown_host", message, facts={"host": host[:100]})
        origin = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"), None)
        if scope["method"] in SAFE or origin is None or origin in self._origins:
            return None
        netloc = netloc_of(origin)
        if netloc and netloc in ((named[0].lower() if named else ""), *self._hosts):
            return None
        message = f"pages of {origin[:100]} may not send this; name the origin in `origins`"
        return Refusal("foreign_origin", message, facts={"origin": origin[:100]})

    def _answers_to(self, host: str, scope: Scope) -> bool:
        if host in self._hosts or host == "localhost" or is_loopback(host):
            return True
        server = scope.get("server")
        return not self._hosts and not (server and is_loopback(server[0]))


def name_in(host: str) -> str | None:
    """The name in a `Host` header, in lower case, without its port, a last dot, and the brackets of an IPv6 address.

    Returns:
        None where the header is malformed.
    """
    found = HOST.fullmatch(host.strip().lower())
    return (found[1] or found[2]) if found else None


def netloc_of(origin: str) -> str:
    """What an origin says in the place of a `Host` header; empty where it says none, such as `null`."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Whether a host is an address of this machine that no other one reaches."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
