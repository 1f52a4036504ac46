"""Photos of indexed items: as they are, or small. What is opened is what was indexed, never what a request names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Annotated, BinaryIO, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lookalike.errors import PhotoError
from lookalike.remote.addresses import Reach, is_address
from lookalike.server.context import AppContext, Context
from lookalike.server.convertors import ITEM
from lookalike.server.errors import ApiError
from lookalike.server.openapi import QUERY_ERRORS, errors
from lookalike.server.originals import Original, from_elsewhere, public_reason
from lookalike.server.routes.items import ItemPath
from lookalike.server.schemas import THUMBNAIL_SIDES
from lookalike.types import Item

router = APIRouter(tags=["items"])

PIECE: Final = 65_536

ONE_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
SHOWN: Final = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "image/bmp")
"""What every browser shows; other photos are sent as JPEG to clients that do not name their type."""

ALIKE: Final = {"image/heif": "image/heic"}
REFUSED: Final = re.compile(r";\s*q=0(\.0*)?\s*(;|$)", re.IGNORECASE)
WHOLE: Final = 65_500
"""Longest side of a JPEG, in pixels."""

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
        **errors("bad_request", "unknown_item", "photo_gone", "bad_range", "invalid", "host_silent", *QUERY_ERRORS),
    },
)
async def get_photo(
    request: Request,
    context: Context,
    id: ItemPath,
    size: Annotated[
        int | None,
        Query(
            ge=THUMBNAIL_SIDES[0],
            le=THUMBNAIL_SIDES[1],
            description="Longest side in pixels, at most: a JPEG, upright and in sRGB. Without it the original comes, "
            "of which parts can be asked for (`Range`); one that browsers do not show (HEIC, TIFF, JPEG 2000, PNM) "
            "comes as a JPEG of its full size, unless `Accept` names its type.",
        ),
    ] = None,
) -> Response:
    """The original file, or a small JPEG of it."""
    asked = {name: request.headers.get(name) for name in ("if-none-match", "if-range", "range", "accept")}
    found = await context.pictures.run(lambda: find(context, id, side=size, asked=asked), request=request)
    if isinstance(found, Response):
        return found
    item, reach = found
    try:
        key = (item.location, item.root)
        seconds = context.photo_hosts.seconds
        original = await context.photo_hosts.run(
            reach.address.origin, key, lambda: from_elsewhere(item, reach, seconds=seconds)
        )
        return await context.pictures.run(
            lambda: photo_response(context, item, original, None, side=size, asked=asked), request=request
        )
    except PhotoError as error:
        raise gone(item, error) from None


def find(
    context: AppContext, item_id: str, *, side: int | None, asked: Mapping[str, str | None]
) -> Response | tuple[Item, Reach]:
    """Answer with a photo of this machine, or say where else it is; runs in a worker.

    Args:
        context: The server.
        item_id: The item.
        side: Of the small picture; None for the original.
        asked: Headers of the request.

    Raises:
        UnknownNameError: There is no such item.
        ApiError: Its photo cannot be shown, or has no such bytes.
    """
    item = context.retriever.gallery.get(item_id)
    try:
        roots = context.roots_for(item)
        if is_address(item.location):
            return item, roots.reach(item)
        with ExitStack() as closing:
            file = closing.enter_context(roots.open(item))
            original = Original.of_file(item, file)
            response = photo_response(context, item, original, file, side=side, asked=asked)
            if isinstance(response, StreamingResponse):
                closing.pop_all()  # `sent` closes it, when its last byte has gone
            return response
    except PhotoError as error:
        now = context.retriever.gallery.get(item_id)
        if now.location != item.location:  # it was replaced just now, and its photo deleted
            return find(context, item_id, side=side, asked=asked)
        raise gone(item, error) from None


def photo_response(
    context: AppContext,
    item: Item,
    original: Original,
    file: BinaryIO | None,
    *,
    side: int | None,
    asked: Mapping[str, str | None],
) -> Response:
    """What to answer with a photo that has been found; runs in a worker.

    Args:
        context: The server.
        item: Whose photo.
        original: What was found.
        file: Open for reading; None where `original` has the data.
        side: Of the small picture; None for the original.
        asked: Headers of the request.

    Raises:
        PhotoError: It is no photo any more.
        ApiError: It has no such bytes.
    """
    source = file if file is not None else original.data or b""
    kind = ""
    if side is None:
        with context.decoding.in_use():
            kind = context.decoded_photos.media_type(original, source)
        if kind not in SHOWN and not accepts(asked["accept"] or "", kind):
            side = WHOLE
    tag = original.tag(side)
    headers = {"ETag": tag, **CACHE, **({} if kind in ("", *SHOWN) else {"Vary": "Accept"})}
    known = asked["if-none-match"]
    if known is not None and names(known, tag):
        return Response(status_code=304, headers=headers)
    if side is not None:
        with context.decoding.in_use():
            picture = context.thumbnails.make(original, source, side=side)
        return Response(picture, media_type="image/jpeg", headers=headers)
    if file is None:
        return Response(original.data, media_type=kind, headers=headers)
    ranged = asked["range"] if asked["if-range"] in (None, tag) else None
    first, last = part_of(ranged, size=original.size) or (0, original.size - 1)
    headers |= {"Accept-Ranges": "bytes", "Content-Length": str(last - first + 1)}
    part = (first, last) != (0, original.size - 1)
    if part:
        headers["Content-Range"] = f"bytes {first}-{last}/{original.size}"
    pieces = sent(file, first, last - first + 1)
    return StreamingResponse(pieces, 206 if part else 200, headers=headers, media_type=kind)


def gone(item: Item, error: PhotoError) -> ApiError:
    """Say why the photo of an item cannot be shown."""
    reason = public_reason(error)
    return ApiError("photo_gone", f"the photo of {item.id!r} cannot be shown: {reason}", details={"reason": reason})


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
        ApiError: It is not there.
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
        details = {"Content-Range": f"bytes */{size}"}
        raise ApiError("bad_range", f"the photo has {size:,} bytes", details={"size": size}, headers=details)
    return first, last


def accepts(accept: str, kind: str) -> bool:
    """Whether an `Accept` header names a media type itself; `*/*` is sent by browsers that do not show it, too."""
    for part in accept.split(","):
        named = part.partition(";")[0].strip().lower()
        if ALIKE.get(named, named) == ALIKE.get(kind, kind) and not REFUSED.search(part):
            return True
    return False


def names(tags: str, tag: str) -> bool:
    """Whether an `If-None-Match` names a tag."""
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))
