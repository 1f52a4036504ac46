"""`POST /v1/search`: what looks like a photo, an item, or several of them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.deadline import within
from lookalike.errors import UsageError
from lookalike.server.auth import is_owner
from lookalike.server.context import AppContext, Context
from lookalike.server.errors import ApiError
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.permissions import check_allowed
from lookalike.server.presentation import public_answer
from lookalike.server.request_bodies import FORM, JSON_TYPE, Form, Upload, invalid, unsupported_media_type, validated
from lookalike.server.schemas import FARTHEST, LONGEST_FILTER, LONGEST_ID, MOST, Answer, Options, Question
from lookalike.types import Answer as Found
from lookalike.types import Box

router = APIRouter(tags=["search"])

FILES: Final = ("photo", "unlike")
SEVERAL: Final = ("id", "unlike_id")
AS_JSON: Final = ("weights", "metrics")

_FILE: Final = {"type": "string", "format": "binary", "contentMediaType": "image/*"}
_ID: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
FORM_SHAPE: Final = FormShape(
    "SearchForm",
    schema={
        "type": "object",
        "description": "Give at least one photo or id to look like.",
        "properties": {
            "photo": {
                "type": "array",
                "items": _FILE,
                "minItems": 1,
                "maxItems": MOST,
                "description": "A photo, or several that show alike things.",
            },
            "id": {
                "type": "array",
                "items": _ID,
                "minItems": 1,
                "maxItems": MOST,
                "description": "An indexed item, or several.",
            },
            "unlike": {"type": "array", "items": _FILE, "maxItems": MOST, "description": "Photos to look less like."},
            "unlike_id": {"type": "array", "items": _ID, "maxItems": MOST, "description": "Items to look less like."},
            "box": {
                "type": "string",
                "format": "box",
                "description": "The part of the photo to look at: x1,y1,x2,y2 in pixels of the upright photo at its "
                "full size, such as 40,60,220,330. Goes with one photo.",
            },
            "k": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
            "offset": {"type": "integer", "minimum": 0, "maximum": 1000},
            "weights": {
                "type": "object",
                "propertyNames": {"format": "space"},
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e6},
                "minProperties": 1,
                "description": 'Of the spaces, as JSON: {"deep": 1, "color": 0.3}',
            },
            "where": {"type": "string", "format": "filter", "minLength": 1, "maxLength": LONGEST_FILTER},
            "index": {"type": "string", "enum": ["auto", "exact", "kmeans", "ivf", "hnsw"], "default": "auto"},
            "probes": {"type": "integer", "minimum": 1, "maximum": 100_000},
            "expand": {"type": "integer", "minimum": 0, "maximum": FARTHEST, "default": 0},
            "rerank": {"type": "integer", "minimum": 0, "maximum": FARTHEST, "default": 0},
            "metrics": {
                "type": "object",
                "propertyNames": {"format": "space"},
                "additionalProperties": {"type": "string", "format": "metric"},
                "description": "A metric of SciPy's cdist by space, as JSON. Goes with one photo or item.",
            },
        },
        "if": {"not": {"required": ["photo"]}},
        "then": {"required": ["id"]},
        "additionalProperties": False,
    },
    encoding={
        "photo": {"contentType": "image/*"},
        "unlike": {"contentType": "image/*"},
        "weights": {"contentType": "application/json"},
        "metrics": {"contentType": "application/json"},
    },
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks, checked."""

    photos: Sequence[Upload]
    ids: Sequence[str]
    unlike_photos: Sequence[Upload]
    unlike_ids: Sequence[str]
    box: Box | None
    options: Options


@router.post(
    "/v1/search",
    operation_id="search",
    summary="Find what looks like a photo or an item",
    response_model=Answer,
    responses=errors(
        *("bad_request", "bad_filter", "unknown_name", "unknown_item", "too_slow", "too_large", "too_many_parts"),
        *("unsupported_media_type", "invalid", "unreadable_photo", "mismatch", "owner_only", "too_complex"),
        *QUERY_ERRORS,
    ),
    openapi_extra=body_of(json=Question, form=FORM_SHAPE),
)
async def search(request: Request, context: Context) -> JSONResponse:
    """Send a photo as a form, or ask with indexed items as a form or JSON.

    Scores are weighted means of cosines, in [-1, 1]; higher is better. With several photos or items, the answer looks
    like their mean; what is given as `unlike` is taken away from it. Items that are asked with are left out.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.media_type == FORM:
            asked = asked_in_form(await body.form(parts=settings.parts))
        elif body.media_type == JSON_TYPE:
            asked = asked_in_json(await body.json(Question))
        else:
            raise unsupported_media_type(body.media_type, [FORM, JSON_TYPE])
        owner = is_owner(request, context)
        answer = await context.searches.run(lambda: answer_to(asked, context, owner=owner), request=request)
    context.metrics.searched(answer.took_ms)
    return JSONResponse(public_answer(answer))


def asked_in_json(question: Question) -> Asked:
    """A question of items only."""
    return Asked((), as_list(question.id), (), as_list(question.unlike_id), None, question)


def asked_in_form(form: Form) -> Asked:
    """A question with photos.

    Raises:
        ApiError: A part is unknown, comes too often, or is not what it should be.
    """
    check_parts(form)
    check_examples(form)
    values: dict[str, object] = {}
    for name, given in form.fields.items():
        if name in SEVERAL:
            continue
        if len(given) > 1:
            raise ApiError("bad_request", f"{name} comes {len(given)} times in the form")
        values[name] = parse_json(given[0]) if name in AS_JSON else given[0]
    box = values.pop("box", None)
    return Asked(
        photos=form.files.get("photo", ()),
        ids=form.fields.get("id", ()),
        unlike_photos=form.files.get("unlike", ()),
        unlike_ids=form.fields.get("unlike_id", ()),
        box=None if box is None else box_of(str(box)),
        options=validated(Options, values),
    )


def check_parts(form: Form) -> None:
    """Refuse parts that a search has not.

    Raises:
        ApiError: There are some, or a file came as a field, or the other way round.
    """
    known = (*FILES, *SEVERAL, "box", *Options.model_fields)
    for name in (*form.fields, *form.files, *form.untouched):
        if name not in known:
            raise ApiError("bad_request", f"unknown part {name!r} in the form; known: {', '.join(known)}")
    for name in form.files:
        if name not in FILES:
            raise ApiError("bad_request", f"{name} is a field and was sent as a file: leave out its file name")
    for name in form.fields:
        if name in FILES:
            raise ApiError("bad_request", f"{name} must be sent as a file: give it a file name")


def check_examples(form: Form) -> None:
    """Refuse to search for nothing, and for too much at once.

    Raises:
        ApiError: That is what is asked.
    """
    for name in (*FILES, *SEVERAL):
        if len(form.files.get(name, form.fields.get(name, ()))) > MOST:
            raise invalid([{"loc": [name], "msg": f"at most {MOST} can be given"}])
    for name in SEVERAL:
        if not all(0 < len(item_id) <= LONGEST_ID for item_id in form.fields.get(name, ())):
            raise invalid([{"loc": [name], "msg": f"an id has 1 to {LONGEST_ID} characters"}])
    if not form.files.get("photo") and not form.fields.get("id"):
        raise invalid([{"loc": ["photo"], "msg": "give a photo, or the id of an item"}])


def box_of(text: str) -> Box:
    """Read a box.

    Raises:
        ApiError: It is none.
    """
    try:
        return Box.parse(text)
    except UsageError as error:
        raise invalid([{"loc": ["box"], "msg": str(error)}]) from None


def answer_to(asked: Asked, context: AppContext, *, owner: bool) -> Found:
    """Ask the retriever; runs in a worker.

    Raises:
        ApiError: It asks for what only the owner may have.
    """
    options = asked.options
    if not owner:
        check_allowed(options, context)
    stopped = within(context.settings.scan_seconds) if options.metrics and not owner else nullcontext()
    with context.decoding.in_use(refuse=True), stopped:
        return context.retriever.search(
            asked.photos,
            item=asked.ids,
            unlike=asked.unlike_photos,
            unlike_item=asked.unlike_ids,
            k=options.k,
            offset=options.offset,
            weights=options.weights,
            where=options.where,
            box=asked.box,
            metrics=options.metrics,
            index=options.index,
            probes=options.probes,
            expand=options.expand,
            rerank=options.rerank,
        )


def as_list(given: str | list[str] | None) -> list[str]:
    """One or several, as several."""
    if given is None:
        return []
    return [given] if isinstance(given, str) else given
