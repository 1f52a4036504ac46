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
        **errors("not_ready", *COMMON_ERRORS),
    },
)
async def metrics(request: Request, context: App) -> Response:
    """Return request counts, latencies, queue lengths and the number of items."""
    text = await context.checks.run(lambda: all_metrics(context), request=request)
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def all_metrics(context: App) -> bytes:
    """Metrics of this process, or of all processes of the server.

    Raises:
        ApiError: A process does not answer. Without its counters, all would look as if they had fallen.
    """
    text, siblings = context.metrics.text(), context.siblings
    return text if siblings is None else together({siblings.number: text.decode(), **siblings.ask("metrics")})
