"""`POST /v1/duplicates`: apply what was decided of duplicates."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.errors import LookalikeError
from lookalike.server.auth import Writer
from lookalike.server.context import Context
from lookalike.server.decision_schemas import ApartBody, DecisionsBody, DecisionsReport, MergeBody, RemoveBody
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.item_write import ItemWrite
from lookalike.server.openapi import QUERY_ERRORS, body_of, errors
from lookalike.server.request_bodies import JSON_TYPE, unsupported_media_type
from lookalike.server.routes.item_writes import BODY
from lookalike.tuning.duplicates.applying import carried_out
from lookalike.tuning.duplicates.decisions import Decision
from lookalike.tuning.duplicates.plan import AppliedDecisions

router = APIRouter(tags=["writing"], dependencies=[Writer])


@router.post(
    "/v1/duplicates",
    operation_id="apply_decisions",
    summary="Apply what was decided of duplicates",
    response_model=DecisionsReport,
    responses=errors("bad_request", "unauthorized", "locked", *BODY, *QUERY_ERRORS),
    openapi_extra=body_of(json=DecisionsBody),
)
async def apply_decisions(request: Request, context: Context) -> JSONResponse:
    """Make one product of several, remove copies of photos, and remember what is not the same.

    With a product all of its items become the other one, set by hand: `unset` of an item gives the product of its
    catalogue again; an uploaded item is given its `before`. Decisions that were applied already change nothing.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.media_type != JSON_TYPE:
            raise unsupported_media_type(body.media_type, [JSON_TYPE])
        told = await body.json(DecisionsBody)
    decisions = [decision_of(each) for each in told.decisions]
    done = await context.writes.run(lambda: applied(decisions, context, dry_run=told.dry_run), request=request)
    return JSONResponse(done.to_json())


def decision_of(told: MergeBody | RemoveBody | ApartBody) -> Decision:
    """The decision that a part of a body describes."""
    return Decision(
        told.decision,
        tuple(item.id for item in told.items),
        told.product if isinstance(told, MergeBody) else None,
        told.keep if isinstance(told, RemoveBody) else None,
        {item.id: item.model_dump(include=item.model_fields_set - {"id"}) for item in told.items},
    )


def applied(decisions: Sequence[Decision], context: GalleryContext, *, dry_run: bool) -> AppliedDecisions:
    """Apply decisions in the order of writes, also for items that wait for their photos; under the `writes` limiter.

    Raises:
        LookalikeError: The gallery cannot be read, or something cannot be written; the rest was.
    """

    def write(found: AppliedDecisions) -> None:
        writes = [ItemWrite(each.id, product=each.product) for each in found.moved]
        writes += [ItemWrite(item_id, delete=True) for item_id in found.removed]
        for outcome in context.item_writes.request().write(list(enumerate(writes, start=1))):
            if isinstance(outcome, LookalikeError):
                raise outcome

    return carried_out(context.item_writes.gallery, decisions, dry_run=dry_run, write=write)
