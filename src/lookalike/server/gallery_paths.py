"""Paths of galleries: `/v1/bags/search` is routed as `/v1/search` of the gallery `bags`."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs, unquote

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.server.context import AppContext
from lookalike.server.gallery_names import NAME, RESERVED
from lookalike.server.keys import Key

VERSION: Final = b"/v1/"


class GalleryPathsMiddleware:
    """Takes the name of a gallery out of the path of a request, and keeps the gallery open until it is answered."""

    def __init__(self, app: ASGIApp, *, context: AppContext) -> None:
        """Wrap an application.

        Args:
            app: Application.
            context: Application context with the galleries.
        """
        self._app, self._context = app, context

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        root = scope.get("root_path", "").encode()
        raw = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0]
        name, rest = split_path(raw.removeprefix(root))
        if name is not None:
            scope["raw_path"] = root + rest
            scope["path"] = unquote((root + rest).decode("latin-1"))
        key = scope["state"]["caller"].key or self._key_of_ticket(scope)
        asked = name
        if name is None and key is not None and key.galleries:
            asked = next((each for each in self._context.galleries if key.allows(each)), key.galleries[0])
        with self._context.using(asked) as gallery:
            scope["state"] |= {"gallery": gallery, "gallery_name": name, "asked_gallery": asked}
            await self._app(scope, receive, send)

    def _key_of_ticket(self, scope: Scope) -> Key | None:
        """Key of the ticket of a photo, whose URL without a name means the gallery that the key means by that."""
        tickets = parse_qs(scope["query_string"].decode("latin-1")).get("ticket") if scope["query_string"] else None
        return self._context.access.key_in_ticket(tickets[-1]) if tickets else None


def split_path(path: bytes) -> tuple[str | None, bytes]:
    """Split the name of a gallery from a percent-encoded path.

    The name is one segment of the path as it was sent, so that an encoded slash never makes two segments of one.

    Returns:
        The name, or None if the path has none, and the path without it.
    """
    if not path.startswith(VERSION):
        return None, path
    segment, slash, rest = path.removeprefix(VERSION).partition(b"/")
    name = unquote(segment.decode("latin-1"))
    if not slash or NAME.fullmatch(name) is None or name in RESERVED:
        return None, path
    return name, VERSION + rest
