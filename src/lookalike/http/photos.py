"""Photos of indexed items: as they are, or small. What is opened is what was indexed, never what a request names."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from lookalike.errors import PhotoError
from lookalike.http.documents import ALWAYS, errors
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
        **errors("bad_request", "unknown_item", "photo_gone", "bad_range", "invalid", *ALWAYS),
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
    known = request.headers.get("if-none-match")
    ranged = request.headers.get("range") if size is None else None
    return await serving.pictures.run(
        lambda: photo_response(serving, id, side=size, known=known, ranged=ranged), request=request
    )


def photo_response(
    serving: Serving, item_id: str, *, side: int | None, known: str | None, ranged: str | None
) -> Response:
    """What to answer; runs in a worker.

    Raises:
        UnknownNameError: There is no such item.
        Refusal: Its photo cannot be shown, or has no such bytes.
    """
    item = serving.retriever.gallery.get(item_id)
    try:
        original = Original.of(item)
        tag = original.tag(side)
        headers = {"ETag": tag, **CACHE}
        if known is not None and original.size and names(known, tag):
            return Response(status_code=304, headers=headers)
        if side is not None:
            picture = serving.thumbnails.make(original, side=side, name=item.photo)
            return Response(picture, media_type="image/jpeg", headers=headers)
        return original_response(original, item, headers=headers, ranged=ranged)
    except PhotoError as error:
        message = f"the photo of {item_id!r} cannot be shown: {error.reason}"
        raise Refusal("photo_gone", message, facts={"reason": error.reason}) from None


def original_response(original: Original, item: Item, *, headers: dict[str, str], ranged: str | None) -> Response:
    """The file itself.

    Raises:
        PhotoError: It is not a photo, or not any more.
        Refusal: It has not the bytes that are asked for.
    """
    if not original.size:
        data = read_bytes(original.location, name=item.photo)
        return Response(data, media_type=content_type(data[:LOOKED_AT], name=item.photo), headers=headers)
    path = Path(original.location)
    with path.open("rb") as file:
        kind = content_type(file.read(LOOKED_AT), name=item.photo)
    check_range(ranged, size=original.size)
    return FileResponse(path, media_type=kind, headers=headers, stat_result=path.stat())


def check_range(ranged: str | None, *, size: int) -> None:
    """Refuse a range that is not there.

    Raises:
        Refusal: It is not.
    """
    found = ONE_RANGE.fullmatch(ranged or "")
    if found is None or not any(found.groups()):
        return
    first, last = found.groups()
    if (first and int(first) >= size) or (not first and int(last) == 0):
        raise Refusal(
            "bad_range",
            f"the photo has {size:,} bytes",
            facts={"size": size},
            headers={"Content-Range": f"bytes */{size}"},
        )


def names(tags: str, tag: str) -> bool:
    """Whether an `If-None-Match` names a tag."""
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))
