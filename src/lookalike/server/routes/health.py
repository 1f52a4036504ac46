"""`GET /healthz`, `/readyz` and `/metrics`: liveness, readiness and metrics."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.errors import LookalikeError, MismatchError
from lookalike.server.context import App
from lookalike.server.errors import ApiError, api_error_of
from lookalike.server.metrics import CONTENT_TYPE
from lookalike.server.openapi import COMMON_ERRORS, errors
from lookalike.server.process_metrics import together
from lookalike.server.schemas import Health

router = APIRouter(tags=["operation"])


@router.get("/healthz", operation_id="healthz", summary="Check that the server runs", response_model=Health)
async def healthz() -> JSONResponse:
    """Answer while the process runs."""
    return JSONResponse({"status": "ok"})


@router.get(
    "/readyz",
    operation_id="readyz",
    summary="Check that the server can search",
    response_model=Health,
    responses=errors("not_ready", *COMMON_ERRORS),
)
async def readyz(request: Request, context: App) -> JSONResponse:
    """Check that the model is loaded, and that the gallery can be read and was filled by that model."""
    if not context.ready:
        raise ApiError("not_ready", "the server is stopping")
    try:
        await context.checks.run(context.check, request=request)
    except MismatchError:
        raise ApiError(
            "not_ready",
            "the gallery was given another model, which is not loaded; see the log, reload or restart the server",
        ) from None
    except ApiError:
        raise
    except LookalikeError as error:
        raise ApiError("not_ready", str(api_error_of(error))) from error
    return JSONResponse({"status": "ready"})


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={
        200: {"description": "Prometheus text format.", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **errors(*COMMON_ERRORS),
    },
)
async def metrics(request: Request, context: App) -> Response:
    """Return request counts, latencies, queue lengths and the number of items."""
    text = await context.checks.run(context.metrics.text, request=request)
    if (siblings := context.siblings) is not None:
        answers = (await siblings.ask("metrics")).answers.items()
        texts = {siblings.number: text.decode(), **{number: answered.answer for number, answered in answers}}
        text = await context.checks.run(lambda: together(texts), request=request)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})
