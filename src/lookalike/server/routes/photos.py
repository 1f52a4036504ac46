"""`GET /v1/items/{id}/photo`: the original photo of an item, or a thumbnail.

Only photos that were indexed are opened; a request names an item, never a path.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import Annotated, BinaryIO, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from lookalike.errors import PhotoError
from lookalike.images.formats import LONGEST_SIDES
from lookalike.remote.addresses import Reach, is_address
from lookalike.server.context import PhotoContext
from lookalike.server.convertors import ITEM
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.openapi import QUERY_ERRORS, errors
from lookalike.server.originals import Original, from_elsewhere, public_reason
from lookalike.server.routes.items import ItemPath
from lookalike.server.schemas import THUMBNAIL_SIDES
from lookalike.types import Item

router = APIRouter(tags=["items"])

PIECE: Final = 65_536

ONE_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
SHOWN: Final = ("image/jpeg", "image/png", "image/webp", "image/avif", "image/gif", "image/bmp")
"""Media types that every browser shows. Other photos are sent as JPEG, unless `Accept` names their type."""

EQUIVALENT: Final = {"image/heif": "image/heic"}
"""Media types that clients may name in place of another one."""
REFUSED: Final = re.compile(r";\s*q=0(\.0*)?\s*(;|$)", re.IGNORECASE)

CACHE: Final = {"Cache-Control": "no-cache", "Content-Security-Policy": "default-src 'none'; sandbox"}
"""Headers of photos: browsers may store them but must revalidate, and nothing in a photo may run."""

PHOTO: Final = {"schema": {"type": "string", "format": "binary"}}
TAG: Final = {"ETag": {"description": "Changes when the photo changes.", "schema": {"type": "string"}}}


@router.get(
    ITEM + "/photo",
    operation_id="get_photo",
    summary="The photo of an item",
    response_class=Response,
    responses={
        200: {"description": "The photo.", "content": {"image/*": PHOTO}, "headers": TAG},
        206: {"description": "A byte range of the original.", "content": {"image/*": PHOTO}, "headers": TAG},
        304: {"description": "The photo still has the `ETag` of `If-None-Match`.", "headers": TAG},
        **errors("bad_request", "unknown_item", "photo_gone", "bad_range", "invalid", "host_silent", *QUERY_ERRORS),
    },
)
async def get_photo(
    request: Request,
    context: PhotoContext,
    id: ItemPath,
    _ticket: Annotated[
        str | None,
        Query(
            alias="ticket", description="Ticket of `/v1/photo-ticket`, in place of a key that an `<img>` cannot send."
        ),
    ] = None,
    size: Annotated[
        int | None,
        Query(
            ge=THUMBNAIL_SIDES[0],
            le=THUMBNAIL_SIDES[1],
            description="Longest side of the thumbnail in pixels; thumbnails are upright JPEGs in sRGB. Without `size` "
            "the original file is sent, and `Range` is supported. An original that browsers do not show (HEIC, TIFF, "
            "JPEG 2000, PNM) is sent as a JPEG of full size, unless `Accept` names its type.",
        ),
    ] = None,
) -> Response:
    """Return the original file, or a thumbnail of it."""
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
    context: GalleryContext, item_id: str, *, side: int | None, asked: Mapping[str, str | None]
) -> Response | tuple[Item, Reach]:
    """Find the photo of an item; runs in a worker thread.

    Args:
        context: Application context.
        item_id: Item id.
        side: Longest side of the thumbnail in pixels; None for the original.
        asked: Request headers, by lower-case name.

    Returns:
        The response for a local photo; for one in a store or on the web, the item and where to read it.

    Raises:
        UnknownNameError: There is no such item.
        ApiError: The photo cannot be shown, or the range lies outside of it.
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
                closing.pop_all()  # `sent` closes the file after the last byte
            return response
    except PhotoError as error:
        now = context.retriever.gallery.get(item_id)
        if now.location != item.location:  # replaced meanwhile, and the old photo deleted
            return find(context, item_id, side=side, asked=asked)
        raise gone(item, error) from None


def photo_response(
    context: GalleryContext,
    item: Item,
    original: Original,
    file: BinaryIO | None,
    *,
    side: int | None,
    asked: Mapping[str, str | None],
) -> Response:
    """Response with a photo; runs in a worker thread.

    Args:
        context: Application context.
        item: Item that the photo belongs to.
        original: Identity and size of the photo file.
        file: The file, open for reading; None if `original` holds the data.
        side: Longest side of the thumbnail in pixels; None for the original.
        asked: Request headers, by lower-case name.

    Raises:
        PhotoError: The file is not a photo, or is incomplete.
        ApiError: The range lies outside of the file.
    """
    source = file if file is not None else original.data or b""
    kind = ""
    if side is None:
        with context.decoding.in_use():
            kind = context.decoded_photos.media_type(original, source)
        if kind not in SHOWN and not accepts(asked["accept"] or "", kind):
            side = LONGEST_SIDES["JPEG"]
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
    """Error 404 for a photo that cannot be shown, with the reason."""
    reason = public_reason(error)
    return ApiError("photo_gone", f"the photo of {item.id!r} cannot be shown: {reason}", details={"reason": reason})


def sent(file: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    """Yield `count` bytes of a file from `first` on, in pieces, and close the file."""
    with file:
        file.seek(first)
        while count > 0 and (piece := file.read(min(count, PIECE))):
            count -= len(piece)
            yield piece


def part_of(ranged: str | None, *, size: int) -> tuple[int, int] | None:
    """First and last byte of a `Range` header; None if it does not name a single range, so that all is sent.

    Raises:
        ApiError: The range lies outside of the file.
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
        headers = {"Content-Range": f"bytes */{size}"}
        message = f"the range is outside of the photo, which has {size:,} bytes"
        raise ApiError("bad_range", message, details={"size": size}, headers=headers)
    return first, last


def accepts(accept: str, kind: str) -> bool:
    """Whether an `Accept` header names a media type; `*/*` does not count, since all browsers send it."""
    for part in accept.split(","):
        named = part.partition(";")[0].strip().lower()
        if EQUIVALENT.get(named, named) == EQUIVALENT.get(kind, kind) and not REFUSED.search(part):
            return True
    return False


def names(tags: str, tag: str) -> bool:
    """Whether an `If-None-Match` header names an ETag."""
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))
