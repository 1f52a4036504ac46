"""Middleware that compresses texts: JSON, the page, its styles and scripts. Photos are compressed already."""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, TypeAlias

from starlette.types import ASGIApp, Message, Receive, Scope, Send

TEXTS: Final = frozenset(
    {
        *(b"application/json", b"application/manifest+json", b"image/svg+xml"),
        *(b"text/html", b"text/css", b"text/javascript", b"text/plain"),
    }
)
"""Media types that are compressed."""

SHORTEST: Final = 1_000
"""Least length of what is compressed, in bytes; shorter texts fit into one packet as they are."""

IN_THREAD: Final = 65_536
"""Length in bytes from which a text is compressed in a thread: it would hold up the event loop for milliseconds."""

LEVEL: Final = 5
KEPT: Final = 128
"""Largest number of files of the page whose compressed form is kept."""

Headers: TypeAlias = list[tuple[bytes, bytes]]


class CompressionMiddleware:
    """Compresses with gzip what is text, and sent in one piece, for clients that accept it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()  # of files, by their ETag

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        accepted = accepts_gzip(value for name, value in scope["headers"] if name == b"accept-encoding")
        scope["headers"] = [
            (name, strong(value) if name == b"if-none-match" else value) for name, value in scope["headers"]
        ]
        held: list[Message] = []

        async def send_compressed(message: Message) -> None:
            if message["type"] == "http.response.start" and is_text(message["headers"]):
                headers = with_vary(message["headers"])
                # One tag for two forms of a file would be a lie if it were a strong one.
                headers = [(name, weak(value) if name == b"etag" else value) for name, value in headers]
                held.append({**message, "headers": headers})
                return
            if message["type"] != "http.response.body" or not held:
                await send(message)
                return
            start = held.pop()
            body = message.get("body", b"")
            if accepted and not message.get("more_body") and len(body) >= SHORTEST:
                body = await self._compressed(body, dict(start["headers"]).get(b"etag"))
                headers = [header for header in start["headers"] if header[0] != b"content-length"]
                headers += [(b"content-encoding", b"gzip"), (b"content-length", b"%d" % len(body))]
                start, message = {**start, "headers": headers}, {**message, "body": body}
            await send(start)
            await send(message)

        await self._app(scope, receive, send_compressed)

    async def _compressed(self, body: bytes, tag: bytes | None) -> bytes:
        if tag is not None and tag in self._kept:
            self._kept.move_to_end(tag)
            return self._kept[tag]
        if len(body) < IN_THREAD:
            small = gzip.compress(body, LEVEL, mtime=0)
        else:
            small = await asyncio.to_thread(gzip.compress, body, LEVEL, mtime=0)
        if tag is not None:
            self._kept[tag] = small
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return small


def accepts_gzip(values: Iterable[bytes]) -> bool:
    """Whether `Accept-Encoding` headers name gzip, with another weight than 0."""
    for part in b",".join(values).split(b","):
        coding, *parameters = (piece.strip().lower() for piece in part.split(b";"))
        if coding in (b"gzip", b"x-gzip"):
            weights = [piece.partition(b"=")[2].strip() for piece in parameters if piece.startswith(b"q")]
            return not any(weight.strip(b"0.") == b"" for weight in weights)
    return False


def is_text(headers: Headers) -> bool:
    """Whether a response is a text that may be compressed."""
    given = dict(headers)
    media_type = given.get(b"content-type", b"").partition(b";")[0].strip().lower()
    return media_type in TEXTS and b"content-encoding" not in given and b"content-range" not in given


def with_vary(headers: Headers) -> Headers:
    """Headers that tell caches that the response depends on `Accept-Encoding`."""
    varies = b", ".join([*(value for name, value in headers if name == b"vary"), b"Accept-Encoding"])
    return [*(header for header in headers if header[0] != b"vary"), (b"vary", varies)]


def weak(tag: bytes) -> bytes:
    """A weak ETag of a strong one."""
    return tag if tag.startswith(b"W/") else b"W/" + tag


def strong(tags: bytes) -> bytes:
    """Tags of `If-None-Match` without their mark of weakness, which makes no difference there (RFC 9110, 13.1.2)."""
    return tags.replace(b'W/"', b'"')
