"""The ASGI application: routes, error handlers and middleware."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute

from lookalike.errors import LookalikeError
from lookalike.server.compression import CompressionMiddleware
from lookalike.server.context import AppContext, context_of, photo_context_of
from lookalike.server.convertors import EncodedItemPathsMiddleware
from lookalike.server.cross_origin import CrossOriginMiddleware
from lookalike.server.errors import ApiError, api_error_of
from lookalike.server.gallery_paths import GalleryPathsMiddleware
from lookalike.server.host_header import AllowedHostsMiddleware
from lookalike.server.middleware import LOG, HeadAsGetMiddleware, RequestMiddleware, note_code
from lookalike.server.openapi import complete_document
from lookalike.server.presentation import public_error
from lookalike.server.query_strings import KNOWN_QUERY
from lookalike.server.request_bodies import invalid
from lookalike.server.routes import (
    admin,
    bulk,
    docs_page,
    duplicates,
    events,
    galleries,
    garments,
    health,
    item_writes,
    items,
    jobs,
    photo_ticket,
    photos,
    search,
)
from lookalike.server.routes.component import component_router
from lookalike.server.routes.page import page_router
from lookalike.server.settings import Settings

DESCRIPTION: Final = """A photo of a garment in, the same and similar garments out.

Every error is `{"error": {"code": ..., "message": ..., more details}}`: go by `code`, show `message`.
Every response has the header `X-Request-Id`; quote it when you report a problem.

Paths of one gallery, such as `/v1/search`, mean the default gallery; each is also there with the name of a gallery, as
`/v1/{gallery}/search`.
"""

MODULES: Final = (
    search,
    garments,
    photos,
    photo_ticket,
    items,
    item_writes,
    bulk,
    duplicates,
    jobs,
    events,
    galleries,
    admin,
)
"""Modules of the routes below `/v1/`."""


def create_app(context: AppContext) -> FastAPI:
    """Build the application.

    Args:
        context: Shared state of the routes; it is started and stopped with the application.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        context.start()
        try:
            yield
        finally:
            context.stop()

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
    app.state.context = context
    for module in MODULES:
        app.include_router(module.router, dependencies=[KNOWN_QUERY])
    for module in (health, docs_page):
        app.include_router(module.router)
    prepare = page_of(app)
    prepare(context.settings)()
    context.parts.append(prepare)
    app.include_router(component_router())
    forms = [module.FORM_SHAPE for module in (search, garments, item_writes, bulk)]
    complete_document(app, forms=forms, gallery_paths=gallery_paths())
    handle_errors(app)
    app.add_middleware(EncodedItemPathsMiddleware)
    app.add_middleware(GalleryPathsMiddleware, context=context)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(HeadAsGetMiddleware)
    app.add_middleware(CrossOriginMiddleware, shared=context)
    app.add_middleware(AllowedHostsMiddleware, shared=context)
    app.add_middleware(RequestMiddleware, shared=context)
    return app


def page_of(app: FastAPI) -> Callable[[Settings], Callable[[], None]]:
    """Function that makes the page of settings, and returns what puts it into the place of the present one."""
    shown: list[BaseRoute] = []

    def prepare(settings: Settings) -> Callable[[], None]:
        routes = page_router(settings).routes

        def show() -> None:
            app.router.routes[:] = [*(route for route in app.router.routes if route not in shown), *routes]
            shown[:] = routes

        return show

    return prepare


def gallery_paths() -> set[str]:
    """Paths of the routes of one gallery, which are also there with its name."""
    routes = [route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    return {
        route.path_format
        for route in routes
        if any(each.call in (context_of, photo_context_of) for each in route.dependant.dependencies)
    }


def handle_errors(app: FastAPI) -> None:
    """Register handlers that turn every error into `{"error": {...}}`."""

    async def refuse(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, LookalikeError)
        api_error = api_error_of(error)
        if api_error.status >= 500 and not isinstance(error, ApiError):
            LOG.error("failed", extra={"fields": {"request": request.state.exchange.id, "problem": str(error)}})
        note_code(request.state, api_error.code)
        body = public_error(api_error, request.app.state.context.private_locations)
        return JSONResponse(body, status_code=api_error.status, headers=api_error.headers)

    async def refuse_values(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return await refuse(request, invalid(error.errors(), skip=1))

    async def refuse_route(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return await refuse(request, routing_error(request, error))

    app.add_exception_handler(LookalikeError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_values)
    app.add_exception_handler(HTTPException, refuse_route)


def routing_error(request: Request, error: HTTPException) -> ApiError:
    """Translate an error of the framework: unknown path or method, malformed request."""
    headers: dict[str, str] = {}
    if error.status_code == 405:
        allowed = methods_at(request)
        headers["Allow"] = ", ".join(allowed)
        message = f"{request.state.exchange.path} does not support {request.method}"
        return ApiError("method_not_allowed", message, details={"allowed": list[Any](allowed)}, headers=headers)
    if error.status_code == 404:
        return ApiError("not_found", f"no route at {request.state.exchange.path}; /docs lists the routes")
    return ApiError("bad_request", str(error.detail))


def methods_at(request: Request) -> list[str]:
    """Methods of the path of a request, over all routers."""
    shown = getattr(request.scope.get("route"), "path_format", "")
    methods = {method.upper() for method in request.app.openapi()["paths"].get(shown, {"get": None})}
    return sorted(methods | {"HEAD"} if "GET" in methods else methods)
