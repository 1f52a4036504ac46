"""Middleware that checks the `Host` and `Origin` headers, and knows the caller by the key.

DNS rebinding: a hostile web page can let its own host name resolve to 127.0.0.1, and then has the same origin as a
server there. Requests on a loopback address must therefore name that address, or a host that the operator allows.
"""

from __future__ import annotations

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.server.access import check_origin_of
from lookalike.server.errors import ApiError
from lookalike.server.host_names import is_loopback, name_in
from lookalike.server.shared_state import SharedState


class AllowedHostsMiddleware:
    """Refuses requests that name other hosts, and writing requests from web pages of other origins."""

    def __init__(self, app: ASGIApp, *, shared: SharedState) -> None:
        """Wrap an application.

        Args:
            app: Application.
            shared: State of the server, with its present settings and keys. Of its settings, `hosts` are allowed beside
                `localhost` and loopback addresses; without any, requests on other than loopback addresses may name any
                host.
        """
        self._app, self._shared = app, shared

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
        access, settings = self._shared.access, self._shared.settings
        scope["state"]["caller"] = caller = access.caller_of(scope["headers"])
        is_api = scope["path"].startswith(scope.get("root_path", "") + "/v1/")
        try:
            check_origin_of(
                caller,
                scope["headers"],
                method=scope["method"],
                own=(named[0].lower() if named else "", *self._hosts),
                allowed=settings.origins,
                others=access.origins if is_api else (),
            )
        except ApiError as error:
            return error
        return None

    @property
    def _hosts(self) -> set[str]:
        return {host.lower().strip("[]").rstrip(".") for host in self._shared.settings.hosts}

    def _answers_to(self, host: str, scope: Scope) -> bool:
        hosts = self._hosts
        if host in hosts or host == "localhost" or is_loopback(host):
            return True
        server = scope.get("server")
        return not hosts and not (server and is_loopback(server[0]))
