"""Photos of indexed items: as they are, or small. What is opened is what was indexed, never what a request names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lookalike.errors import PhotoError
from lookalike.http.documents import ASKED, errors
from lookalike.http.item_paths import ITEM
from lookalike.http.items import ItemPath
from lookalike.http.models import THUMBNAIL_SIDES
from lookalike.http.refusals import Refusal
from lookalike.http.serving import Served, Serving
from lookalike.http.thumbnails import Original
from lookalike.images import content_type, read_bytes
from lookalike.types import Item

router = APIRouter(tags=["items"])

LOOKED_AT: Final = 64
"""Bytes at the beginning of a file that tell what it is."""

PIECE: Final = 65_536

ONE_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
CACHE: Final = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""A browser may keep photos, and asks whether they are still the same; nothing in one ever runs."""

PHOTO: Final = {"schema": {"type": "string", "format": "binary"}}
TAG: Final = {"ETag": {"description": "Changes when the photo does.", "schema": {"type": "string"}}}


@router.get(
    ITEM + "/photo",
    operation_id="get_photo",
    summary="The photo of an item",
    response_class=Response,
    responses={
        200: {"description": "The photo.", "content": {"image/*": PHOTO}, "headers": TAG},
        206: {"description": "A part of the original.", "content": {"image/*": PHOTO}, "headers": TAG},
        304: {"description": "It has not changed since the `If-None-Match` given.", "headers": TAG},
        **errors("bad_request", "unknown_item", "photo_gone", "bad_range", "invalid", *ASKED),
    },
)
async def get_photo(
    request: Request,
    serving: Served,
    id: ItemPath,
    size: Annotated[
        int | None,
        Query(
            ge=THUMBNAIL_SIDES[0],
            le=THUMBNAIL_SIDES[1],
            description="Longest side in pixels, at most: a JPEG, upright and in sRGB. Without it the original comes, "
            "of which parts can be asked for (`Range`).",
        ),
    ] = None,
) -> Response:
    """The original file, or a small JPEG of it."""
    asked = {name: request.headers.get(name) for name in ("if-none-match", "if-range", "range")}
    return await serving.pictures.run(lambda: photo_response(serving, id, side=size, asked=asked), request=request)


def photo_response(serving: Serving, item_id: str, *, side: int | None, asked: Mapping[str, str | None]) -> Response:
    """What to answer; runs in a worker.

    Args:
        serving: The server.
        item_id: The item.
        side: Of the small picture; None for the original.
        asked: Headers of the request.

    Raises:
        UnknownNameError: There is no such item.
        Refusal: Its photo cannot be shown, or has no such bytes.
    """
    item = serving.retriever.gallery.get(item_id)
    try:
        return response_of(serving, item, side=side, asked=asked)
    except PhotoError as error:
        now = serving.retriever.gallery.get(item_id)
        if now.location != item.location:  # it was replaced just now, and its photo deleted
            return photo_response(serving, item_id, side=side, asked=asked)
        message = f"the photo of {item_id!r} cannot be shown: {error.reason}"
        raise Refusal("photo_gone", message, facts={"reason": error.reason}) from None


def response_of(serving: Serving, item: Item, *, side: int | None, asked: Mapping[str, str | None]) -> Response:
    """The photo of an item as it is now; see `photo_response`.

    Raises:
        PhotoError: It cannot be shown.
        Refusal: It has not the bytes that are asked for.
    """
    original = Original.of(item)
    tag = original.tag(side)
    headers = {"ETag": tag, **CACHE}
    known = asked["if-none-match"]
    if known is not None and original.size and names(known, tag):
        return Response(status_code=304, headers=headers)
    if side is not None:
        picture = serving.thumbnails.make(original, side=side, name=item.photo)
        return Response(picture, media_type="image/jpeg", headers=headers)
    if original.is_elsewhere:
        data = read_bytes(original.location, name=item.photo)
        return Response(data, media_type=content_type(data[:LOOKED_AT], name=item.photo), headers=headers)
    ranged = asked["range"] if asked["if-range"] in (None, tag) else None
    return file_response(original, item, headers=headers, ranged=ranged)


def file_response(original: Original, item: Item, *, headers: dict[str, str], ranged: str | None) -> Response:
    """The file itself, or a part of it. It is opened now: what becomes of its name later does not matter.

    Raises:
        PhotoError: It is not a photo, or not any more.
        Refusal: It has not the bytes that are asked for.
    """
    with ExitStack() as closing:
        try:
            file = closing.enter_context(Path(original.location).open("rb"))
            size = os.fstat(file.fileno()).st_size
            kind = content_type(file.read(LOOKED_AT), name=item.photo)
        except OSError as error:
            raise PhotoError(item.photo, (error.strerror or "cannot be read").lower()) from None
        first, last = part_of(ranged, size=size) or (0, size - 1)
        closing.pop_all()  # `sent` closes it, when its last byte has gone
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    part = (first, last) != (0, size - 1)
    if part:
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    pieces = sent(file, first, last - first + 1)
    return StreamingResponse(pieces, 206 if part else 200, headers=headers, media_type=kind)


def sent(file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    """The bytes of a file from a place on, in pieces."""
    with file:
        file.seek(first)
        while count > 0 and (piece := file.read(min(count, PIECE))):
            count -= len(piece)
            yield piece


def part_of(ranged: str | None, *, size: int) -> tuple[int, int] | None:
    """First and last byte of a range; None where no single range is asked for, and all is sent.

    Raises:
        Refusal: It is not there.
    """
    found = ONE_RANGE.fullmatch(ranged or "")
    if found is None or not any(found.groups()):
        return None
    start, end = found.groups()
    if not start:
        first, last = max(0, size - int(end)), size - 1
    else:
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        if end and int(end) < first:
            return None
    if first >= size:
        facts = {"Content-Range": f"bytes */{size}"}
        raise Refusal("bad_range", f"the photo has {size:,} bytes", facts={"size": size}, headers=facts)
    return first, last


def names(tags: str, tag: str) -> bool:
    """Whether an `If-None-Match` names a tag."""
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))
