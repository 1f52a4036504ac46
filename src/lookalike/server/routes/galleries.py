"""`GET /v1/galleries`: the galleries of the server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.embedding.compatibility import model_ids_of
from lookalike.server.context import App, AppContext, CallerOf
from lookalike.server.gallery_schemas import Galleries
from lookalike.server.openapi import QUERY_ERRORS, errors

router = APIRouter(tags=["galleries"])


@router.get(
    "/v1/galleries",
    operation_id="list_galleries",
    summary="List the galleries of the server",
    response_model=Galleries,
    responses=errors(*QUERY_ERRORS),
)
async def list_galleries(request: Request, context: App, caller: CallerOf) -> JSONResponse:
    """Return the galleries, or those that the key allows, in their order.

    The first is the default one, which paths without the name of a gallery mean.
    """
    names = [name for name in context.galleries if caller.key is None or caller.key.allows(name)]
    return JSONResponse({"galleries": await context.reads.run(lambda: described(context, names), request=request)})


def described(context: AppContext, names: Sequence[str]) -> list[dict[str, Any]]:
    """Descriptions of galleries; runs under the `reads` limiter."""
    galleries = []
    for name in names:
        with context.using(name) as gallery:
            if gallery is None:  # removed meanwhile
                continue
            spaces = gallery.retriever.gallery.spaces
            galleries.append(
                {
                    "name": name,
                    "items": len(gallery.retriever.gallery),
                    "spaces": [space.name for space in spaces],
                    "model": "+".join(model_ids_of(spaces)) or None,
                    "photos": gallery.photos,
                    "words": gallery.words,
                }
            )
    return galleries
