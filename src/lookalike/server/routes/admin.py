"""`POST /v1/admin/reload`: settings, keys and galleries are read again."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from lookalike.errors import LookalikeError
from lookalike.server.access import ASK
from lookalike.server.auth import BEARER
from lookalike.server.context import App, CallerOf
from lookalike.server.errors import ApiError
from lookalike.server.gallery_schemas import Reloaded
from lookalike.server.openapi import QUERY_ERRORS, errors

router = APIRouter(tags=["operation"])


@router.post(
    "/v1/admin/reload",
    operation_id="reload",
    summary="Read settings, keys and galleries again",
    response_model=Reloaded,
    responses=errors("reload_failed", "forbidden", *QUERY_ERRORS),
)
async def reload(context: App, caller: CallerOf, _: Annotated[object, Depends(BEARER)] = None) -> JSONResponse:
    """Put into effect what the files of settings, keys and token say now, as the signal SIGHUP does.

    Galleries are opened again where their folder, address or model is another one. Requests that have begun are
    finished with what they began with. If anything is wrong, nothing is changed.
    """
    if not caller.may_operate:
        if caller.key is not None:
            raise ApiError(
                "forbidden", f"the key {caller.name} may not reload: that needs one that may write everywhere"
            )
        raise ApiError("unauthorized", "reloading needs the token, or a key that may write everywhere", headers=ASK)
    assert context.reload is not None
    report = await asyncio.shield(asyncio.ensure_future(context.reload()))
    if context.siblings is not None:
        try:
            await asyncio.to_thread(context.siblings.ask, "reload")
        except LookalikeError as error:
            raise ApiError("reload_failed", f"not all processes have reloaded: {error}") from error
    return JSONResponse(report)
