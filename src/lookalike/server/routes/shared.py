"""`POST /shared` and `GET /shared/{id}`: photos that visitors of the page share by a link, where the settings allow it.

They belong to the page and not to the API: another client has the photo itself.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lookalike.images import Limits, open_image
from lookalike.server.context import AppContext, caller_of
from lookalike.server.errors import ApiError
from lookalike.server.shared_photos import SharedPhotos, Sharing

HEADERS: Final = {
    "Cache-Control": "private, max-age=3600",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "X-Robots-Tag": "noindex",
}


def sharing_router(sharing: Sharing) -> APIRouter:
    """Routes for shared photos; none if the settings do not allow sharing.

    Raises:
        ConfigError: The folder cannot be written to.
    """
    router = APIRouter()
    if not sharing.folder:
        return router
    shared = SharedPhotos(sharing)

    async def share(request: Request) -> Response:
        """Keep a photo for a while; the body is its file."""
        await caller_of(request)
        context: AppContext = request.app.state.context
        settings = context.settings
        limits = Limits(bytes=settings.upload_bytes, pixels=settings.pixels)
        with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
            if not body.media_type.startswith("image/"):
                raise ApiError("unsupported_media_type", f"expected the file of a photo, got {body.media_type!r:.60}")
            data = await body.whole()

            def keep() -> str:
                with context.decoding.in_use(refuse=True):
                    return shared.add(open_image(data, limits=limits, name="the photo"))

            photo_id = await context.pictures.run(keep, request=request)
        return JSONResponse({"id": photo_id, "hours": sharing.hours}, status_code=201)

    async def show(request: Request) -> Response:
        """Send a shared photo."""
        context: AppContext = request.app.state.context
        photo_id = request.path_params["id"]
        data = await context.pictures.run(lambda: shared.get(photo_id), request=request)
        if data is None:
            raise ApiError("not_found", "there is no such shared photo, or it has expired")
        return Response(data, media_type="image/jpeg", headers=HEADERS)

    router.add_route("/shared", share, methods=["POST"])
    router.add_route("/shared/{id}", show, methods=["GET"])
    return router
