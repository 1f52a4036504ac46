"""`POST /v1/admin/reload`: settings, keys and galleries are read again."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import JSONResponse

from lookalike.server.access import ASK
from lookalike.server.auth import BEARER
from lookalike.server.context import App, AppContext, CallerOf, ReloadReport
from lookalike.server.errors import ApiError
from lookalike.server.gallery_schemas import Reloaded
from lookalike.server.openapi import QUERY_ERRORS, errors

router = APIRouter(tags=["operation"])


@router.post(
    "/v1/admin/reload",
    operation_id="reload",
    summary="Read settings, keys and galleries again",
    response_model=Reloaded,
    responses=errors("reload_failed", "forbidden", "not_ready", *QUERY_ERRORS),
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
    return JSONResponse(await asyncio.shield(asyncio.ensure_future(reload_all(context))))


async def reload_all(context: AppContext) -> ReloadReport:
    """Reload this process, and then the others of the server.

    Raises:
        ApiError: This process, or another one, goes on as before.
    """
    assert context.reload is not None
    report = await context.reload()
    if context.siblings is not None:
        answered = await context.siblings.ask("reload")
        for number, answer in answered.answers.items():
            if answer.is_problem:
                raise ApiError("reload_failed", f"process {number} alone goes on as before: {answer.answer}")
        if answered.missing:
            raise ApiError("not_ready", f"process {answered.missing[0]} has not told yet whether it has reloaded")
    return report
