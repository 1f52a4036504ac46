"""`GET /v1/items`, `/v1/facets` and `/v1/info`: reading items, facets and the gallery's metadata."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.embedding.compatibility import model_ids_of
from lookalike.gallery.editing import stored_item
from lookalike.gallery.request import OPTIONS
from lookalike.server.auth import is_owner
from lookalike.server.context import Context
from lookalike.server.convertors import ITEM
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.openapi import QUERY_ERRORS, errors
from lookalike.server.presentation import public_item, public_stored_item
from lookalike.server.schemas import Facets, Info, Item, Page, Where
from lookalike.spaces import resolve_weights
from lookalike.types import JSON

router = APIRouter(tags=["items"])

ItemPath = Annotated[str, Path(description="Item id, percent-encoded: a slash is `%2F`.", examples=["d013-1"])]
Group = Annotated[
    Literal["product"] | None,
    Query(description="`product` counts products; an item without one is one by itself."),
]
MOST_VALUES = 200


@router.get(
    "/v1/items",
    operation_id="list_items",
    summary="List items in the order they were added",
    response_model=Page,
    responses=errors("bad_filter", "invalid", *QUERY_ERRORS),
)
async def list_items(
    request: Request,
    context: Context,
    where: Annotated[Where | None, Query()] = None,
    offset: Annotated[int, Query(ge=0, le=2**53)] = 0,
    limit: Annotated[int, Query(ge=0, le=1000)] = 50,
    group: Group = None,
) -> JSONResponse:
    """Count the items that pass a filter, and return a page of them; of a product, its first item."""
    gallery = context.retriever.gallery
    limiter = context.reads if where is None and group is None else context.scans
    total, items = await limiter.run(
        lambda: gallery.list(where=where, offset=offset, limit=limit, group=group), request=request
    )
    return JSONResponse({"total": total, "items": [public_item(item) for item in items]})


@router.get(
    ITEM,
    operation_id="get_item",
    summary="Get an item",
    response_model=Item,
    responses=errors("bad_request", "unknown_item", *QUERY_ERRORS),
)
async def get_item(request: Request, context: Context, id: ItemPath) -> JSONResponse:
    """Return an item with its product and attributes; with the token also its overrides."""
    gallery = context.retriever.gallery
    if is_owner(request, context):
        stored = await context.reads.run(lambda: stored_item(gallery, id), request=request)
        return JSONResponse(public_stored_item(stored))
    return JSONResponse(public_item(await context.reads.run(lambda: gallery.get(id), request=request)))


@router.get(
    "/v1/facets",
    operation_id="get_facets",
    summary="Count the values of attributes",
    response_model=Facets,
    responses=errors("bad_filter", "invalid", "too_many_values", *QUERY_ERRORS),
)
async def get_facets(
    request: Request,
    context: Context,
    where: Annotated[Where | None, Query()] = None,
    values: Annotated[int, Query(ge=1, le=MOST_VALUES, description="Largest number of values of each attribute.")] = 50,
    group: Group = None,
) -> JSONResponse:
    """Count the values of each attribute among the items that pass a filter, and give the ranges of numbers."""
    gallery, facets = context.retriever.gallery, context.facets
    return JSONResponse(
        await context.scans.run(lambda: facets.of(gallery, where, values, group=group), request=request)
    )


@router.get(
    "/v1/info",
    operation_id="get_info",
    summary="Describe the gallery and the server",
    response_model=Info,
    responses=errors(*QUERY_ERRORS),
)
async def get_info(request: Request, context: Context) -> JSONResponse:
    """Return the model, spaces and attributes of the gallery, and the limits of the server."""
    return JSONResponse(await context.reads.run(lambda: info_of(context), request=request))


def info_of(context: GalleryContext) -> dict[str, JSON]:
    """Body of `/v1/info`; runs under the `reads` limiter."""
    from importlib.metadata import version

    gallery, settings = context.retriever.gallery, context.settings
    spaces = gallery.spaces
    weights = resolve_weights(None, spaces, stored=gallery.stored_weights.weights)
    return {
        "version": version("lookalike"),
        "model": "+".join(model_ids_of(spaces)) or None,
        "items": len(gallery),
        "spaces": [
            {"name": space.name, "dimension": space.dimension, "weight": weights[space.name]} for space in spaces
        ],
        "attributes": {name: list(kinds) for name, kinds in gallery.attributes().items()},
        "garments": context.garments,
        "photos": context.photos,
        "writable": context.shared.access.writable,
        "limits": {
            "upload_bytes": settings.upload_bytes,
            "pixels": settings.pixels,
            "k": OPTIONS["k"].most_served,
            "offset": OPTIONS["offset"].most_served,
        },
    }
