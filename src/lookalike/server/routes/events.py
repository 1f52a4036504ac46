"""`POST /v1/events`: what visitors did with the answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.server.context import Context
from lookalike.server.errors import ApiError
from lookalike.server.event_schemas import EventReport, UsageEvent, UsageEventBody, UsageEvents
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, body_of, errors
from lookalike.server.request_bodies import JSON_TYPE, invalid, unsupported_media_type, validated
from lookalike.usage.events_file import UnknownEventError
from lookalike.usage.recorder import UsageRecorder
from lookalike.usage.records import Event

router = APIRouter(tags=["events"])

LONGEST: Final = 65_536
"""Longest body in bytes."""


@router.post(
    "/v1/events",
    operation_id="add_events",
    summary="Tell what visitors did with the items of an answer",
    status_code=202,
    response_model=EventReport,
    responses=errors(
        *("bad_request", "not_found", "too_slow", "too_large", "unsupported_media_type", "invalid", "too_complex"),
        *("storage_full", *QUERY_ERRORS),
    ),
    openapi_extra=body_of(json=UsageEventBody),
)
async def add_events(request: Request, context: Context) -> JSONResponse:
    """Send an event, or a list of up to 100: all of them are written durably, or none.

    An event is known by query, type and item: sending it again changes nothing. Only answers of this server are taken
    that are still remembered, and of each the first 100 items.
    """
    recorder = context.recorder
    if recorder is None:
        raise ApiError("not_found", "this server keeps no events; its setting `events = true` changes that")
    with context.intake.body(request, limit=LONGEST, seconds=context.settings.upload_seconds) as body:
        if body.media_type != JSON_TYPE:
            raise unsupported_media_type(body.media_type, [JSON_TYPE])
        given = parse_json(await body.whole())
    events = validated(UsageEvents, given).root if isinstance(given, list) else [validated(UsageEvent, given)]
    given_events = [Event(each.query_id, each.type, each.id, each.rank) for each in events]
    try:
        added = await written(given_events, recorder, context, request)
    except UnknownEventError as error:
        place = [error.field] if len(events) == 1 else [error.place, error.field]
        raise invalid([{"loc": place, "msg": error.problem}]) from None
    for event in added:
        context.metrics.noted(context.name, event.type)
    return JSONResponse({"added": len(added), "known": len(events) - len(added)}, status_code=202)


async def written(
    events: Sequence[Event], recorder: UsageRecorder, context: GalleryContext, request: Request
) -> Sequence[Event]:
    """Write events, under the `events` limiter; returns those that are new.

    Raises:
        UnknownEventError: A query is not remembered, or an item was not in its answer.
        ApiError: The server is too busy.
        LookalikeError: They cannot be written.
    """
    siblings = context.shared.siblings
    try:
        return await context.events.run(lambda: recorder.add_events(events), request=request)
    except UnknownEventError as error:
        if siblings is None or error.field != "query_id":
            raise
    await siblings.ask("write_events")  # another process may have answered the search a moment ago
    return await context.events.run(lambda: recorder.add_events(events), request=request)
