"""The web component: its modules, read once at start, below `/component/`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from fastapi import APIRouter

from lookalike.server.routes.page import MEDIA_TYPES, PageFile

FOLDER: Final = Path(__file__).parents[2] / "component"


def component_router() -> APIRouter:
    """Routes for the modules of the component, and for their types."""
    router = APIRouter()
    for file in sorted(FOLDER.glob("*.js")) + sorted(FOLDER.glob("*.ts")):
        media_type = MEDIA_TYPES.get(file.suffix, "text/plain; charset=utf-8")
        router.add_route(f"/component/{file.name}", PageFile(file.read_bytes(), media_type).__call__, methods=["GET"])
    return router
