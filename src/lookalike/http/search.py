"""`POST /v1/search`: what looks like a photo, an item, or several of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.http.bodies import FORM, JSON_TYPE, Form, Upload, checked, other_kind, parsed
from lookalike.http.documents import ALWAYS, body_of, errors
from lookalike.http.models import LONGEST_FILTER, LONGEST_ID, Answer, Options, Question
from lookalike.http.refusals import Refusal
from lookalike.http.serving import Served, Serving
from lookalike.types import Answer as Found
from lookalike.types import Box

router = APIRouter(tags=["search"])

FILES: Final = ("photo", "unlike")
SEVERAL: Final = ("id", "unlike_id")
AS_JSON: Final = ("weights", "metrics")

_FILE: Final = {"type": "string", "format": "binary", "contentMediaType": "image/*"}
_ID: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
FORM_SCHEMA: Final[dict[str, Any]] = {
    "schema": {
        "type": "object",
        "description": "Give at least one photo or id to look like.",
        "properties": {
            "photo": {
                "type": "array",
                "items": _FILE,
                "minItems": 1,
                "maxItems": 16,
                "description": "A photo, or several that show alike things.",
            },
            "id": {"type": "array", "items": _ID, "maxItems": 16, "description": "An indexed item, or several."},
            "unlike": {"type": "array", "items": _FILE, "maxItems": 16, "description": "Photos to look less like."},
            "unlike_id": {"type": "array", "items": _ID, "maxItems": 16, "description": "Items to look less like."},
            "box": {
                "type": "string",
                "format": "box",
                "description": "The part of the photo to look at: x1,y1,x2,y2 in pixels of the upright photo at its "
                "full size. Goes with one photo.",
                "examples": ["40,60,220,330"],
            },
            "k": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 10},
            "offset": {"type": "integer", "minimum": 0, "maximum": 1000},
            "weights": {
                "type": "object",
                "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1e6},
                "description": 'Of the spaces, as JSON: {"deep": 1, "color": 0.3}',
            },
            "where": {"type": "string", "format": "filter", "minLength": 1, "maxLength": LONGEST_FILTER},
            "index": {"type": "string", "enum": ["auto", "exact", "kmeans", "ivf", "hnsw"], "default": "auto"},
            "probes": {"type": "integer", "minimum": 1, "maximum": 100_000},
            "metrics": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        "required": ["photo"],
        "additionalProperties": False,
    }
}


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
        *("unsupported_media_type", "invalid", "unreadable_photo", "mismatch"),
        *ALWAYS,
    ),
    openapi_extra=body_of(json=Question, form=FORM_SCHEMA),
)
async def search(request: Request, serving: Served) -> JSONResponse:
    """Send a photo as a form, or ask with indexed items as a form or JSON.

    Scores are weighted means of cosines, in [-1, 1]; higher is better. With several photos or items, the answer looks
    like their mean; what is given as `unlike` is taken away from it. Items that are asked with are left out.
    """
    settings = serving.settings
    with serving.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.kind == FORM:
            asked = asked_in_form(await body.form(parts=settings.parts))
        elif body.kind == JSON_TYPE:
            asked = asked_in_json(await body.json(Question))
        else:
            raise other_kind(body.kind, [FORM, JSON_TYPE])
        check_size(asked, serving)
        answer = await serving.searches.run(lambda: answer_to(asked, serving), request=request)
    serving.metrics.searched(answer.took_ms)
    return JSONResponse(answer.to_json())


def asked_in_json(question: Question) -> Asked:
    """A question of items only."""
    return Asked((), as_list(question.id), (), as_list(question.unlike_id), None, question)


def asked_in_form(form: Form) -> Asked:
    """A question with photos.

    Raises:
        Refusal: A part is unknown, comes too often, or is not what it should be.
    """
    known = (*FILES, *SEVERAL, "box", *Options.model_fields)
    for name in (*form.fields, *form.files):
        if name not in known:
            raise Refusal("bad_request", f"unknown part {name!r} in the form; known: {', '.join(known)}")
    for name in form.files:
        if name not in FILES:
            raise Refusal("bad_request", f"{name} is a field and was sent as a file: leave out its filename")
    values: dict[str, object] = {}
    for name, given in form.fields.items():
        if name in FILES:
            raise Refusal("bad_request", f"{name} must be sent as a file: give it a filename")
        if name in SEVERAL:
            continue
        if len(given) > 1:
            raise Refusal("bad_request", f"{name} comes {len(given)} times in the form")
        values[name] = parsed(given[0]) if name in AS_JSON else given[0]
    text = values.pop("box", None)
    options = checked(Options, values)
    return Asked(
        photos=form.files.get("photo", ()),
        ids=form.fields.get("id", ()),
        unlike_photos=form.files.get("unlike", ()),
        unlike_ids=form.fields.get("unlike_id", ()),
        box=None if text is None else box_of(str(text)),
        options=options,
    )


def box_of(text: str) -> Box:
    """Read a box.

    Raises:
        Refusal: It is none.
    """
    from lookalike.errors import UsageError

    try:
        return Box.parse(text)
    except UsageError as error:
        problems = [{"field": "box", "problem": str(error)}]
        raise Refusal("invalid", f"box: {error}", facts={"problems": problems}) from None


def check_size(asked: Asked, serving: Serving) -> None:
    """Refuse what goes beyond the server's limits.

    Raises:
        Refusal: It does.
    """
    settings, options = serving.settings, asked.options
    examples = len(asked.photos) + len(asked.ids) + len(asked.unlike_photos) + len(asked.unlike_ids)
    if examples > settings.examples:
        raise Refusal("invalid", f"at most {settings.examples} photos and items can be asked with, got {examples}")
    if (options.offset or 0) + options.k > settings.matches:
        raise Refusal(
            "invalid", f"offset and k may be {settings.matches:,} together, got {options.offset} and {options.k}"
        )


def answer_to(asked: Asked, serving: Serving) -> Found:
    """Ask the retriever; runs in a worker."""
    options = asked.options
    return serving.retriever.search(
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
    )


def as_list(given: str | list[str] | None) -> list[str]:
    """One or several, as several."""
    if given is None:
        return []
    return [given] if isinstance(given, str) else given
