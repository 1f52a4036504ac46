"""`GET /v1/photo-ticket`: a ticket for the photos of a gallery, for web pages with a key."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.server.context import Context
from lookalike.server.gallery_schemas import PhotoTicket
from lookalike.server.openapi import QUERY_ERRORS, errors

router = APIRouter(tags=["items"])


@router.get(
    "/v1/photo-ticket",
    operation_id="get_photo_ticket",
    summary="Get a ticket for photos",
    response_model=PhotoTicket,
    responses=errors(*QUERY_ERRORS),
)
async def get_photo_ticket(request: Request, context: Context) -> JSONResponse:
    """Return a ticket for the parameter `ticket` of photos, since an `<img>` cannot send a key.

    It is for the photos of one gallery, and the same for an hour; a new one is needed when it ends. Where searching
    needs no key, photos need no ticket.
    """
    ticket, expires = context.shared.access.ticket_of(request.state.caller, context.name)
    return JSONResponse({"ticket": ticket, "expires": expires})
