"""Whether the server lives, whether it can answer, and its figures."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.errors import LookalikeError, MismatchError
from lookalike.server.context import Served
from lookalike.server.errors import Refusal, refusal_of
from lookalike.server.metrics import CONTENT_TYPE
from lookalike.server.openapi import ALWAYS, errors
from lookalike.server.schemas import Health

router = APIRouter(tags=["operation"])


@router.get("/healthz", operation_id="healthz", summary="Whether the server lives", response_model=Health)
async def healthz() -> JSONResponse:
    """Answer as long as there is anybody to answer."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Whether the server can answer",
    response_model=Health,
    responses=errors("not_ready", *ALWAYS),
)
async def readyz(request: Request, serving: Served) -> JSONResponse:
    """The model is loaded, and the gallery is there, can be read and was filled by that model."""
    if not serving.ready:
        raise Refusal("not_ready", "the server is stopping")
    try:
        await serving.checks.run(serving.check, request=request)
    except MismatchError:
        raise Refusal("not_ready", "the gallery is now one that was filled by another model") from None
    except Refusal:
        raise
    except LookalikeError as error:
        raise Refusal("not_ready", str(refusal_of(error))) from error
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "In Prometheus' text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **errors(*ALWAYS),
    },
)
async def metrics(request: Request, serving: Served) -> Response:
    """Counts, latencies, queues and the gallery's size."""
    text = await serving.checks.run(serving.metrics.text, request=request)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
