"""Middleware that lets web pages of other origins read what is answered: those of the settings, and those of keys."""

from __future__ import annotations

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.server.shared_state import SharedState


class CrossOriginMiddleware(CORSMiddleware):
    """CORS by the present settings and keys.

    A preflight has no key, so an origin of any key is let through here; whether the key that a request then has is one
    for its origin, `AllowedHostsMiddleware` checks.
    """

    def __init__(self, app: ASGIApp, *, shared: SharedState) -> None:
        """Wrap an application.

        Args:
            app: Application.
            shared: State of the server.
        """
        super().__init__(
            app,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["ETag", "Retry-After", "X-Request-Id"],
        )
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if self._shared.has_origins:
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of an origin may read answers."""
        return origin in self._shared.settings.origins or origin in self._shared.access.origins
