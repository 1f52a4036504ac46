"""The application: routes, limits and layers put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import JSONResponse

from lookalike.errors import LookalikeError
from lookalike.server.allowed_hosts import KnownHosts
from lookalike.server.context import Serving
from lookalike.server.convertors import EncodedItemPaths
from lookalike.server.errors import Refusal, refusal_of
from lookalike.server.head import HeadAsGet
from lookalike.server.middleware import LOG, Edge, note_code
from lookalike.server.openapi import complete_document
from lookalike.server.presentation import shown_refusal
from lookalike.server.query_strings import KNOWN_QUERY
from lookalike.server.request_bodies import invalid
from lookalike.server.routes import bulk, docs_page, health, item_writes, items, photos, search
from lookalike.server.routes.page import page_router

DESCRIPTION: Final = """A photo of a garment in, the same and similar garments out.

Every error is `{"error": {"code": ..., "message": ..., more facts}}`: go by `code`, show `message`.
Every answer has the header `X-Request-Id`; give it when you report a problem.
"""


def create_app(serving: Serving) -> FastAPI:
    """Put the application together.

    Args:
        serving: What it serves; it is started and stopped with the application.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        serving.start()
        try:
            yield
        finally:
            serving.stop()

    app = FastAPI(
        title="Lookalike",
        version=version("lookalike"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False},
    )
    app.state.serving = serving
    for module in (search, photos, items, item_writes, bulk):
        app.include_router(module.router, dependencies=[KNOWN_QUERY])
    for module in (health, docs_page):
        app.include_router(module.router)
    app.include_router(page_router())
    complete_document(app, forms=[module.FORM_SHAPE for module in (search, item_writes, bulk)])
    handle_errors(app)
    app.add_middleware(EncodedItemPaths)
    app.add_middleware(HeadAsGet)
    origins = list(serving.settings.origins)
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "X-Request-Id"],
            expose_headers=["ETag", "Retry-After", "X-Request-Id"],
        )
    app.add_middleware(KnownHosts, hosts=serving.settings.hosts, origins=origins)
    app.add_middleware(Edge, metrics=serving.metrics, shared=bool(origins))
    return app


def handle_errors(app: FastAPI) -> None:
    """Give every error its shape."""

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LookalikeError)
        refusal = refusal_of(error)
        if refusal.status >= 500 and not isinstance(error, Refusal):
            LOG.error("failed", extra={"facts": {"problem": str(error)}})
        note_code(request.state, refusal.kind)
        told = shown_refusal(refusal, request.app.state.serving.places)
        return JSONResponse(told, status_code=refusal.status, headers=refusal.headers)

    async def refuse_values(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return await refuse(request, invalid(error.errors(), skip=1))

    async def refuse_route(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return await refuse(request, of_route(request, error))

    app.add_exception_handler(LookalikeError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_values)
    app.add_exception_handler(HTTPException, refuse_route)


def of_route(request: Request, error: HTTPException) -> Refusal:
    """What the framework itself refuses: paths and methods that there are not."""
    headers: dict[str, str] = {}
    if error.status_code == 405:
        allowed = methods_at(request)
        headers["Allow"] = ", ".join(allowed)
        message = f"{request.scope['path']} does not know {request.method}"
        return Refusal("method_not_allowed", message, facts={"allowed": list[Any](allowed)}, headers=headers)
    if error.status_code == 404:
        return Refusal("not_found", f"there is nothing at {request.scope['path']}; /docs lists what there is")
    return Refusal("bad_request", str(error.detail))


def methods_at(request: Request) -> list[str]:
    """The methods of a path; its routes may lie in several routers."""
    shown = getattr(request.scope.get("route"), "path_format", "")
    methods = {method.upper() for method in request.app.openapi()["paths"].get(shown, {"get": None})}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
