"""Ids in paths: any text is an id, slashes, quotes and spaces included.

Servers decode a path before routes see it, and then the id `a/photo` and the photo of the item `a` look the same. So
paths of items are routed as they were sent, and only the id is decoded: `/v1/items/a%2Fphoto` is the item and
`/v1/items/a/photo` the photo.
"""

from __future__ import annotations

from typing import ClassVar, Final
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

BELOW: Final = "/v1/items/"


class ItemIdConvertor(Convertor[str]):
    """An id, percent-encoded."""

    regex: ClassVar[str] = "[^/]+"

    def convert(self, value: str) -> str:
        """Decode it; bytes that are not UTF-8 become text that no item has."""
        return unquote_to_bytes(value).decode("utf-8", "surrogateescape")

    def to_string(self, value: str) -> str:
        """Encode it."""
        return quote(value, safe="", errors="surrogateescape")


class EncodedItemPaths:
    """Lets routes of items see the path as it was sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            raw = scope.get("raw_path")
            if raw is not None and scope["path"].startswith(root + BELOW):
                encoded = raw.decode("latin-1").partition("?")[0]
                scope["path"] = root + encoded.removeprefix(quote(root))
        await self._app(scope, receive, send)


register_url_convertor("item", ItemIdConvertor())

ITEM: Final = BELOW + "{id:item}"
"""The path of an item, for routes."""
