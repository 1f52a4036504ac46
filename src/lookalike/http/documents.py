"""What the OpenAPI document says of errors and of bodies that are read by hand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from lookalike.http.models import ErrorBody
from lookalike.http.refusals import KINDS

MEANINGS = {
    400: "What was asked makes no sense, or cannot be understood.",
    401: "The token is missing or wrong.",
    404: "It is not there.",
    405: "There is no such method here.",
    408: "The body took too long to arrive.",
    413: "The body is too long, or has too many parts.",
    415: "The body is of another kind than is read here.",
    416: "The photo has no such bytes.",
    422: "A value is out of its range, or the photo cannot be read.",
    429: "Too much is asked at once; try again after `Retry-After` seconds.",
    500: "A bug in Lookalike.",
    503: "It cannot be done at present.",
}
RETRY_AFTER = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1}}
ALWAYS = ("bug", "failed", "damaged", "not_ready", "busy", "timeout")
"""What may come of anything that touches the gallery."""


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """The responses of some errors, each with an example.

    Args:
        codes: Of `lookalike.http.refusals.KINDS`.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        response = responses.setdefault(
            kind.status,
            {
                "model": ErrorBody,
                "description": MEANINGS[kind.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        body = {"error": {"code": code, "message": kind.message, **kind.facts}}
        response["content"]["application/json"]["examples"][code] = {"value": body}
        if kind.status in (429, 503):
            response["headers"] = {"Retry-After": RETRY_AFTER}
    return dict(sorted(responses.items()))


def body_of(*, json: type[BaseModel] | None = None, form: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """A request body that the route reads by itself.

    Args:
        json: The model of a JSON body.
        form: The schema of a form.
        more: Other entries of `content`, with `_` for `/`.
    """
    content: dict[str, Any] = {}
    if form is not None:
        content["multipart/form-data"] = form
    if json is not None:
        schema = {"$ref": f"#/components/schemas/{json.__name__}"}
        content["application/json"] = {"schema": schema}
    content.update(more)
    return {"requestBody": {"required": True, "content": content}}
