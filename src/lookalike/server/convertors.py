"""Path convertor for item ids, which may be any text: slashes, quotes and spaces included.

Servers decode a path before routing, after which the id `a/photo` and the photo of the item `a` look the same. Paths of
items are therefore routed undecoded, and only the id is decoded: `/v1/items/a%2Fphoto` is an item, and
`/v1/items/a/photo` a photo.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final
from urllib.parse import quote, unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

BELOW: Final = "/v1/items/"
NOT_ASCII: Final = re.compile(rb"[^\x00-\x7f]")
"""Bytes that some clients send without percent-encoding."""


class ItemIdConvertor(Convertor[str]):
    """Percent-encoded item id."""

    regex: ClassVar[str] = "[^/]+"

    def convert(self, value: str) -> str:
        """Decode an id; bytes that are not UTF-8 become surrogates, which no id contains."""
        return unquote_to_bytes(value).decode("utf-8", "surrogateescape")

    def to_string(self, value: str) -> str:
        """Percent-encode an id."""
        return quote(value, safe="", errors="surrogateescape")


class EncodedItemPathsMiddleware:
    """Routes paths of items as they were sent, undecoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "http":
            root = scope.get("root_path", "")
            raw = scope.get("raw_path")
            if raw is not None and scope["path"].startswith(root + BELOW):
                encoded = NOT_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], raw).decode("ascii").partition("?")[0]
                scope["path"] = root + encoded.removeprefix(quote(root))
        await self._app(scope, receive, send)


register_url_convertor("item", ItemIdConvertor())

ITEM: Final = BELOW + "{id:item}"
"""Route path of an item."""
