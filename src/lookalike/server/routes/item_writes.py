"""`PUT`, `PATCH` and `DELETE` of `/v1/items/{id}`: add, change and remove an item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.gallery.record_batch import PRODUCT
from lookalike.server.auth import Writer
from lookalike.server.context import Context
from lookalike.server.convertors import ITEM
from lookalike.server.errors import ApiError
from lookalike.server.form_parser import Form, Upload
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.item_write import ABSENT, ItemWrite
from lookalike.server.job_schemas import Job
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.presentation import public_stored_item
from lookalike.server.request_bodies import (
    FORM,
    JSON_TYPE,
    Body,
    invalid,
    unsupported_media_type,
    validated,
)
from lookalike.server.routes.items import ItemPath
from lookalike.server.routes.search import box_of
from lookalike.server.schemas import LONGEST_ID, LONGEST_NAME, Item
from lookalike.server.write_schemas import GARMENTS_TEXT, ItemBody, ItemPatch, ItemText
from lookalike.types import Box

T = TypeVar("T")

router = APIRouter(tags=["writing"], dependencies=[Writer])

BODY: Final = ("too_slow", "too_large", "too_complex", "unsupported_media_type", "invalid", "storage_full")
FORM_SHAPE: Final = FormShape(
    "ItemForm",
    schema={
        "type": "object",
        "properties": {
            "photo": {"type": "string", "format": "binary", "contentMediaType": "image/*"},
            "product": {"type": "string", "maxLength": LONGEST_ID},
            "box": {"type": "string", "format": "box", "description": "x1,y1,x2,y2 in pixels of the upright photo."},
            "garments": {"type": "boolean", "description": GARMENTS_TEXT},
            "attributes": {
                "type": "object",
                "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
                "description": 'As JSON: {"colour": "Green", "price": 79.9}',
            },
        },
        "required": ["photo"],
        "additionalProperties": False,
    },
    encoding={"photo": {"contentType": "image/*"}, "attributes": {"contentType": "application/json"}},
)


@router.put(
    ITEM,
    operation_id="put_item",
    summary="Add or replace an item",
    response_model=Item,
    responses={
        200: {"description": "The item was replaced."},
        201: {"description": "The item was added.", "model": Item},
        202: {"description": "The photo is fetched in the background.", "model": Job},
        **errors(
            *(
                "bad_request",
                "unauthorized",
                "too_many_parts",
                "unreadable_photo",
                "no_finder",
                "photo_needed",
                "foreign_photo_host",
                "mismatch",
                "locked",
            ),
            *BODY,
            *QUERY_ERRORS,
        ),
    },
    openapi_extra=body_of(json=ItemBody, form=FORM_SHAPE),
)
async def put_item(request: Request, context: Context, id: ItemPath) -> JSONResponse:
    """Send photo, product and attributes as a form: nothing of an earlier item of the id stays.

    JSON replaces product and all attributes of an item, and keeps its photo and box. To change single attributes, use
    PATCH. A photo that the item has already is not embedded again. The next search finds the item.

    JSON with `photo_url` replaces the whole item when its photo was fetched (202); `/v1/jobs/{id}` tells of the job.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        write = await write_of(body, id, context)
        written, job = await context.writes.run(lambda: context.item_writes.put(write), request=request)
    if job is not None:
        return await queued(job, request, context)
    assert written.stored is not None
    return JSONResponse(public_stored_item(written.stored), status_code=201 if written.status == "added" else 200)


@router.patch(
    ITEM,
    operation_id="patch_item",
    summary="Change some values of an item",
    response_model=Item,
    responses=errors("bad_request", "unauthorized", "unknown_item", "locked", *BODY, *QUERY_ERRORS),
    openapi_extra=body_of(json=ItemPatch),
)
async def patch_item(request: Request, context: Context, id: ItemPath) -> JSONResponse:
    """Set the given attributes, and remove those given as null; everything else stays.

    Attributes and the product of an item of a catalogue are set by hand: they stay when the catalogue is indexed again.
    `unset` gives them the values of the catalogue again.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.media_type != JSON_TYPE:
            raise unsupported_media_type(body.media_type, [JSON_TYPE])
        write = changes_of(id, await body.json(ItemPatch))
        stored = await context.writes.run(lambda: context.item_writes.change(write), request=request)
    return JSONResponse(public_stored_item(stored))


@router.delete(
    ITEM,
    operation_id="delete_item",
    summary="Remove an item",
    status_code=204,
    response_class=Response,
    responses=errors("bad_request", "unauthorized", "unknown_item", "locked", "storage_full", *QUERY_ERRORS),
)
async def delete_item(request: Request, context: Context, id: ItemPath) -> Response:
    """Remove the item from the gallery, and delete its photo if it was uploaded."""
    await context.writes.run(lambda: context.item_writes.remove(id), request=request)
    return Response(status_code=204)


async def queued(job_id: str, request: Request, context: GalleryContext) -> JSONResponse:
    """Response for an item that waits for its photo."""
    context.wake_jobs()
    queue = context.item_writes.queue
    assert queue is not None
    job = await context.reads.run(lambda: queue.job(job_id), request=request)
    named = request.state.gallery_name
    place = f"/v1/jobs/{job_id}" if named is None else f"/v1/{named}/jobs/{job_id}"
    return JSONResponse(job.to_json(), status_code=202, headers={"Location": place})


def changes_of(item_id: str, patch: ItemPatch) -> ItemWrite:
    """The changes that a patch, or a line of many, describes.

    Raises:
        ApiError: An attribute is to be set and unset.
    """
    product = patch.product if "product" in patch.model_fields_set else ABSENT
    given = {*patch.attributes, *([] if product is ABSENT else [PRODUCT])}
    both = next((name for name in patch.unset if name in given), None)
    if both is not None:
        raise ApiError("invalid", f"unset: {both[:LONGEST_NAME]!r} is among the values to set, too")
    return ItemWrite(item_id, attributes=patch.attributes, product=product, unset=patch.unset)


async def write_of(body: Body, item_id: str, context: GalleryContext) -> ItemWrite:
    """The item that a body describes.

    Raises:
        ApiError: The body is malformed.
    """
    if body.media_type == JSON_TYPE:
        told = await body.json(ItemBody)
        write = ItemWrite(item_id, attributes=told.attributes, product=told.product, replace=True)
        if told.photo_url is not None:
            part = None if told.box is None else Box(*told.box)
            return replace(write, photo_url=told.photo_url, box=part, garments=told.garments)
        if given := sorted(told.model_fields_set & {"box", "garments"}):
            raise ApiError("photo_needed", f"{given[0]}: send the photo with it, or give photo_url")
        return write
    if body.media_type != FORM:
        raise unsupported_media_type(body.media_type, [FORM, JSON_TYPE])
    form = await body.form(parts=context.settings.parts)
    if unknown := set(form.untouched) - {"photo", "box", "garments", *ItemText.model_fields}:
        raise ApiError("bad_request", f"unknown part {min(unknown)!r} in the form")
    fields = {name: only(form.fields[name], name) for name in form.fields}
    box, garments = fields.pop("box", None), fields.pop("garments", "false")
    if garments not in ("true", "false"):
        raise invalid([{"loc": ["garments"], "msg": "expected true or false"}])
    values: dict[str, object] = dict(fields)
    if "attributes" in fields:
        values["attributes"] = parse_json(fields["attributes"])
    text = validated(ItemText, values)
    photo = photo_of(form)
    if photo is None:
        raise invalid([{"loc": ["photo"], "msg": "the form has no file named photo"}])
    return ItemWrite(
        item_id,
        attributes=text.attributes,
        product=text.product,
        box=None if box is None else box_of(box),
        photo=photo.getvalue(),
        name=photo.name,
        garments=garments == "true",
        replace=True,
    )


def photo_of(form: Form) -> Upload | None:
    """Photo of a form, or None.

    Raises:
        ApiError: The form has another file, or several.
    """
    for name in form.files:
        if name != "photo":
            raise ApiError("bad_request", f"unknown file {name!r} in the form; the photo's name is `photo`")
    return only(form.files["photo"], "photo") if "photo" in form.files else None


def only(given: Sequence[T], name: str) -> T:
    """Single value of a form part.

    Raises:
        ApiError: The part is repeated.
    """
    if len(given) > 1:
        raise ApiError("bad_request", f"{name} comes {len(given)} times in the form")
    return given[0]
