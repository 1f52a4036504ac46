"""`POST /v1/garments`: the garments in photos."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.images import DEFAULT_LIMITS, one_photo
from lookalike.server.context import Context
from lookalike.server.errors import ApiError
from lookalike.server.form_parser import Form, Upload
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.request_bodies import FORM, invalid, unsupported_media_type
from lookalike.server.schemas import GarmentsFound
from lookalike.server.search_schema import MOST

router = APIRouter(tags=["search"])

PHOTO: Final = "photo"
"""The one part of the form, which may be repeated."""

FORM_SHAPE: Final = FormShape(
    "GarmentsForm",
    schema={
        "type": "object",
        "properties": {
            PHOTO: {
                "type": "array",
                "items": {"type": "string", "format": "binary", "contentMediaType": "image/*"},
                "minItems": 1,
                "maxItems": MOST,
                "description": "A photo, or several.",
            }
        },
        "required": [PHOTO],
        "additionalProperties": False,
    },
    encoding={PHOTO: {"contentType": "image/*"}},
)


@router.post(
    "/v1/garments",
    operation_id="find_garments",
    summary="Find the garments in photos",
    response_model=GarmentsFound,
    responses=errors(
        *("bad_request", "too_slow", "too_large", "too_many_parts", "unsupported_media_type", "invalid"),
        *("unreadable_photo", "no_finder"),
        *QUERY_ERRORS,
    ),
    openapi_extra=body_of(form=FORM_SHAPE),
)
async def garments(request: Request, context: Context) -> JSONResponse:
    """Send photos as a form; each garment has a box, a kind and a score."""
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.media_type != FORM:
            raise unsupported_media_type(body.media_type, [FORM])
        photos = read_form(await body.form(parts=settings.parts))
        found = await context.searches.run(lambda: find(photos, context), request=request)
    return JSONResponse({"photos": found})


def read_form(form: Form) -> Sequence[Upload]:
    """Read the photos.

    Raises:
        ApiError: There is no photo, there are too many, or another part.
    """
    for name in (*form.fields, *form.files, *form.untouched):
        if name != PHOTO:
            raise ApiError("bad_request", f"unknown part {name!r} in the form; known: {PHOTO}")
    if PHOTO in form.fields:
        raise ApiError("bad_request", f"{PHOTO} must be sent as a file: give it a file name")
    photos = form.files.get(PHOTO, ())
    if not 1 <= len(photos) <= MOST:
        raise invalid([{"loc": [PHOTO], "msg": f"give 1 to {MOST} photos"}])
    return photos


def find(photos: Sequence[Upload], context: GalleryContext) -> list[dict[str, Any]]:
    """Find the garments of each photo, in a worker thread.

    Raises:
        NoFinderError: The server has no finder.
        PhotoError: A photo cannot be read.
    """
    finder, limits = context.retriever.finder, context.retriever.limits or DEFAULT_LIMITS
    found = []
    with context.decoding.in_use(refuse=True):
        for photo in photos:
            with one_photo():
                garments = finder.find(photo, limits=limits)
            found.append({"photo": photo.name, "garments": [garment.to_json() for garment in garments]})
    return found
