"""`POST /v1/search`: search by photos, items, or both."""

from __future__ import annotations

from contextlib import nullcontext
from functools import lru_cache
from typing import Final, NamedTuple

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.deadline import within
from lookalike.errors import UsageError
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples
from lookalike.server.answer_schema import Answer
from lookalike.server.auth import is_owner
from lookalike.server.context import Context, GalleryRoute
from lookalike.server.errors import ApiError
from lookalike.server.form_parser import Form
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.permissions import check_allowed
from lookalike.server.request_bodies import FORM, JSON_TYPE, invalid, unsupported_media_type, validated
from lookalike.server.schemas import LONGEST_ID
from lookalike.server.search_rules import rules
from lookalike.server.search_schema import (
    AS_JSON,
    DEFAULTS,
    ENCODING,
    FILES,
    FORM_PARTS,
    MOST,
    SEVERAL,
    ItemExamples,
    Options,
    Question,
    Remembering,
    request_of,
)
from lookalike.server.usage import Served, answered, told
from lookalike.types import Box

router = APIRouter(tags=["search"], route_class=GalleryRoute)

FORM_SHAPE: Final = FormShape(
    "SearchForm",
    schema={
        "type": "object",
        "description": "At least one photo or id, or words as text, are required.",
        "properties": FORM_PARTS,
        **rules(
            unused={
                **{name: {"const": DEFAULTS[name]} if DEFAULTS.get(name) is not None else False for name in FORM_PARTS},
                "metrics": {"maxProperties": 0},
            },
            example={"anyOf": [{"required": ["photo"]}, {"required": ["id"]}]},
            text={"required": ["text"], "properties": {"text": {"minLength": 1}}},
        ),
        "additionalProperties": False,
    },
    encoding=ENCODING,
)


@router.post(
    "/v1/search",
    operation_id="search",
    summary="Find items similar to photos or items",
    response_model=Answer,
    responses=errors(
        *("bad_request", "bad_filter", "unknown_name", "unknown_item", "unknown_words", "too_slow", "too_large"),
        "too_many_parts",
        *("unsupported_media_type", "invalid", "unreadable_photo", "mismatch", "owner_only", "too_complex"),
        *("no_finder", "no_garment"),
        *QUERY_ERRORS,
    ),
    openapi_extra=body_of(json=Question, form=FORM_SHAPE),
)
async def search(request: Request, context: Context) -> JSONResponse:
    """Search by photos, sent as a form, or by indexed items or words, sent as a form or JSON.

    Scores are weighted means of cosines, in [-1, 1]; higher is better. Several photos or items are averaged, and the
    vectors of `unlike` and `unlike_id` are subtracted. Items of the query are left out of the answer. Words beside them
    say what is to be different.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.upload_bytes, seconds=settings.upload_seconds) as body:
        if body.media_type == FORM:
            asked = read_form(await body.form(parts=settings.parts))
        elif body.media_type == JSON_TYPE:
            asked = read_json(await body.json(Question))
        else:
            raise unsupported_media_type(body.media_type, [FORM, JSON_TYPE])
        owner = is_owner(request, context)
        served = await context.searches.run(lambda: answer_to(asked, context, owner=owner), request=request)
    return JSONResponse(told(served, context, remember=asked.remember))


class Asked(NamedTuple):
    """A search as it came.

    Attributes:
        examples: What it is by.
        options: Its options.
        remember: Whether it is remembered where searches are.
    """

    examples: Examples
    options: SearchRequest
    remember: bool


def read_json(question: ItemExamples) -> Asked:
    """Read a search by items or words.

    Raises:
        ApiError: There is neither.
    """
    request = request_of(question)
    if not question.id and request.text is None:
        raise invalid([{"loc": ["id"], "msg": "give the id of an item, or words as text"}])
    examples = Examples.of(None, question.id, (), as_list(question.unlike_id), text=request.text)
    return Asked(examples, request, question.remember)


def read_form(form: Form) -> Asked:
    """Read a search by photos.

    Raises:
        ApiError: A part is unknown, repeated or invalid.
    """
    check_parts(form)
    check_examples(form)
    given: list[tuple[str, str]] = []
    for name, texts in form.fields.items():
        if name in SEVERAL:
            continue
        if len(texts) > 1:
            raise ApiError("bad_request", f"{name} comes {len(texts)} times in the form")
        given.append((name, texts[0]))
    is_short = sum(len(text) for _, text in given) <= LONGEST_KEPT
    is_kept = is_short and not any(name in NEVER_KEPT for name, _ in given)
    request, remember = (kept_options if is_kept else read_options)(tuple(given))
    examples = Examples.of(
        form.files.get("photo", ()),
        form.fields.get("id", ()),
        form.files.get("unlike", ()),
        form.fields.get("unlike_id", ()),
        text=request.text,
    )
    return Asked(examples, request, remember)


def read_options(given: tuple[tuple[str, str], ...]) -> tuple[SearchRequest, bool]:
    """Read the options of a form, and whether the search is remembered, from its fields.

    Raises:
        ApiError: An option is invalid.
        UsageError: Two options exclude each other.
    """
    values: dict[str, object] = {name: parse_json(text) if name in AS_JSON else text for name, text in given}
    box, garment = (values.pop(name, None) for name in ("box", "garment"))
    remembering = validated(Remembering, {name: values.pop(name) for name in ("remember",) if name in values})
    request = request_of(
        validated(Options, values),
        box=None if box is None else box_of(str(box)),
        garment=None if garment is None else str(garment),
    )
    return request, remembering.remember


LONGEST_KEPT: Final = 1_000
"""Longest text of options, in characters, that is read once only."""

NEVER_KEPT: Final = ("text", "where", "box", "garment", *AS_JSON)
"""Parts of a form that are not kept after its answer: what a visitor looks for, and long JSON."""

kept_options: Final = lru_cache(maxsize=256)(read_options)
"""Options as they were read before: most searches of a shop have the same ones."""


def check_parts(form: Form) -> None:
    """Check the names of the form's parts.

    Raises:
        ApiError: A part is unknown, or a file was sent as a field, or a field as a file.
    """
    for name in (*form.fields, *form.files, *form.untouched):
        if name not in FORM_PARTS:
            raise ApiError("bad_request", f"unknown part {name!r} in the form; known: {', '.join(FORM_PARTS)}")
    for name in form.files:
        if name not in FILES:
            raise ApiError("bad_request", f"{name} is a field and was sent as a file: leave out its file name")
    for name in form.fields:
        if name in FILES:
            raise ApiError("bad_request", f"{name} must be sent as a file: give it a file name")


def check_examples(form: Form) -> None:
    """Check the number of photos and items.

    Raises:
        ApiError: There is no photo, id or text, there are too many, or an id is empty or too long.
    """
    for name in (*FILES, *SEVERAL):
        if len(form.files.get(name, form.fields.get(name, ()))) > MOST:
            raise invalid([{"loc": [name], "msg": f"at most {MOST} can be given"}])
    for name in SEVERAL:
        if not all(0 < len(item_id) <= LONGEST_ID for item_id in form.fields.get(name, ())):
            raise invalid([{"loc": [name], "msg": f"an id has 1 to {LONGEST_ID} characters"}])
    if not form.files.get("photo") and not form.fields.get("id") and not form.fields.get("text"):
        raise invalid([{"loc": ["photo"], "msg": "give a photo, the id of an item, or words as text"}])


def box_of(text: str) -> Box:
    """Read a box.

    Raises:
        ApiError: The text is not a box.
    """
    try:
        return Box.parse(text)
    except UsageError as error:
        raise invalid([{"loc": ["box"], "msg": str(error)}]) from None


def answer_to(asked: Asked, context: GalleryContext, *, owner: bool) -> Served:
    """Answer a search, in a worker thread.

    Raises:
        ApiError: The search needs the token.
    """
    examples, options, remember = asked
    if not owner:
        check_allowed(options, context)
    may_scan = bool(options.metrics or options.group)
    stopped = within(context.settings.scan_seconds) if may_scan and not owner else nullcontext()
    with context.decoding.in_use(refuse=True), stopped:
        return answered(context, examples, options, remember=remember)


def as_list(given: str | list[str] | None) -> list[str]:
    """Wrap a single id in a list."""
    if given is None:
        return []
    return [given] if isinstance(given, str) else given
