"""The web page: static files of this package, read once at start. Paths of requests never reach the file system."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

FOLDER: Final = Path(__file__).parents[2] / "page"
MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}


class PageFile:
    """A static file in memory."""

    def __init__(self, file: Path) -> None:
        self._data = file.read_bytes()
        tag = f'"{hashlib.sha256(self._data).hexdigest()[:32]}"'
        self._headers = {"ETag": tag, "Cache-Control": "no-cache", "Content-Type": MEDIA_TYPES[file.suffix]}

    async def __call__(self, request: Request) -> Response:
        """Send the file, or 304 if the browser has it."""
        if request.headers.get("if-none-match") == self._headers["ETag"]:
            return Response(status_code=304, headers=self._headers)
        return Response(self._data, headers=self._headers)


def page_router(folder: Path = FOLDER) -> APIRouter:
    """Routes for all files of the page; `index.html` is at `/`."""
    router = APIRouter()
    for file in sorted(folder.rglob("*")):
        if file.suffix not in MEDIA_TYPES:
            continue
        name = file.relative_to(folder).as_posix()
        send = PageFile(file)
        router.add_route("/" if name == "index.html" else f"/{name}", send.__call__, methods=["GET"])
    return router
