"""OpenAPI document: error responses, and bodies that routes parse themselves."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from lookalike.server.decision_schemas import DecisionsBody
from lookalike.server.errors import ERROR_CODES
from lookalike.server.event_schemas import UsageEventBody
from lookalike.server.gallery_names import NAME
from lookalike.server.schemas import ErrorBody
from lookalike.server.search_schema import Question
from lookalike.server.write_schemas import BulkItem, ItemBody, ItemPatch

MEANINGS = {
    400: "The request cannot be understood.",
    401: "The key or the token is missing or wrong.",
    403: "The request needs the token or another key, or comes from a web page of another origin.",
    404: "There is no such item, photo or route.",
    405: "The route does not support this method.",
    408: "The body took too long to arrive.",
    413: "The body is too long, or has too many parts.",
    414: "The URL is too long.",
    415: "The body has a media type or encoding that the route does not read.",
    416: "The range lies outside of the photo.",
    421: "The server does not answer to the name in the `Host` header.",
    422: "A value is invalid, or the photo cannot be read.",
    429: "Too many requests, at once or with this key; try again after `Retry-After` seconds.",
    431: "The head of the request is too long.",
    500: "A bug in Lookalike.",
    503: "The server cannot answer at present; try again after `Retry-After` seconds.",
    507: "The disk of the server is full.",
}
RETRY_AFTER = {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 1}}
REQUEST_ID = {
    "name": "X-Request-Id",
    "in": "header",
    "required": False,
    "description": "Request id for the answer and the log: 1 to 64 letters, digits, dots, hyphens or underscores.",
    "schema": {"type": "string"},
}
COMMON_ERRORS = ("bug", "failed", "damaged", "gallery_gone", "unreachable", "not_ready", "busy", "timeout")
"""Error codes of every route that reads the gallery."""

QUERY_ERRORS = ("bad_request", "unknown_name", "unauthorized", "foreign_origin", "rate_limited", *COMMON_ERRORS)
"""Error codes of every route with query parameters."""


def errors(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Responses of error codes, each with an example.

    Args:
        codes: Keys of `lookalike.server.errors.ERROR_CODES`.
    """
    responses: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = ERROR_CODES[code]
        response = responses.setdefault(
            kind.status,
            {
                "model": ErrorBody,
                "description": MEANINGS[kind.status],
                "content": {"application/json": {"examples": {}}},
            },
        )
        body = {"error": {"code": code, "message": kind.message, **kind.details}}
        response["content"]["application/json"]["examples"][code] = {"value": body}
        if kind.status in (429, 503):
            response["headers"] = {"Retry-After": RETRY_AFTER}
    return dict(sorted(responses.items()))


@dataclass(frozen=True, slots=True)
class FormShape:
    """Description of a form.

    Attributes:
        name: Name of the schema; generated clients name their class after it.
        schema: JSON schema of the parts: plain properties, since client generators make no class of `oneOf`.
        encoding: Media types of parts.
    """

    name: str
    schema: Mapping[str, Any]
    encoding: Mapping[str, Any]


def body_of(
    *,
    json: type[BaseModel] | None = None,
    form: FormShape | None = None,
    more: Mapping[str, dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """OpenAPI entry of a request body that the route parses itself.

    Args:
        json: Model of a JSON body.
        form: Description of a form.
        more: Entries of other media types.
    """
    content: dict[str, Any] = {}
    if form is not None:
        content["multipart/form-data"] = {"schema": reference(form.name), "encoding": form.encoding}
    if json is not None:
        content["application/json"] = {"schema": reference(json.__name__)}
    content.update(more or {})
    return {"requestBody": {"required": True, "content": content}}


def reference(name: str) -> dict[str, str]:
    """A reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


MANUAL_BODIES: tuple[type[BaseModel], ...] = (Question, ItemBody, ItemPatch, BulkItem, DecisionsBody, UsageEventBody)
"""Models of bodies that routes parse themselves."""

FASTAPI_SCHEMAS = ("HTTPValidationError", "ValidationError")
"""Schemas of FastAPI for invalid values, which this API does not use."""


GALLERY: Final = {
    "name": "gallery",
    "in": "path",
    "required": True,
    "description": "Name of the gallery; `/v1/galleries` lists them.",
    "schema": {"type": "string", "pattern": f"^{NAME.pattern}$", "examples": ["bags"]},
}


def complete_document(app: FastAPI, *, forms: Sequence[FormShape], gallery_paths: Collection[str]) -> None:
    """Complete the OpenAPI document of FastAPI: bodies, forms, headers and the paths with the name of a gallery.

    Args:
        app: Application.
        forms: Forms that the routes parse.
        gallery_paths: Paths of one gallery, which are also there with its name.
    """
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document["components"]["schemas"]
            _, given = models_json_schema(
                [(model, "validation") for model in MANUAL_BODIES], ref_template="#/components/schemas/{model}"
            )
            schemas.update(given["$defs"])
            schemas.update({form.name: form.schema for form in forms})
            for path in document["paths"].values():
                for operation in path.values():
                    _drop_fastapi_error(operation["responses"])
                    operation.setdefault("parameters", []).append(REQUEST_ID)
            for name in FASTAPI_SCHEMAS:
                schemas.pop(name, None)
            for path in [path for path in document["paths"] if path in gallery_paths]:
                document["paths"][named_path(path)] = of_gallery(document["paths"][path])
            document["components"]["schemas"] = {name: without_defaults(schema) for name, schema in schemas.items()}
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def named_path(path: str) -> str:
    """Path of a route with the name of a gallery."""
    return path.replace("/v1/", "/v1/{gallery}/", 1)


def of_gallery(operations: Mapping[str, Any]) -> dict[str, Any]:
    """Operations of a path with the name of a gallery."""
    named = deepcopy(dict(operations))
    for operation in named.values():
        operation["operationId"] += "_in_gallery"
        operation["parameters"] = [GALLERY, *operation["parameters"]]
        missing = deepcopy(errors("unknown_gallery")[404])
        missing["content"]["application/json"]["schema"] = reference("ErrorBody")
        del missing["model"]
        known = operation["responses"].setdefault("404", missing)
        known["content"]["application/json"]["examples"] |= missing["content"]["application/json"]["examples"]
        operation["responses"] = dict(sorted(operation["responses"].items()))
    return named


def without_defaults(schema: Any) -> Any:  # noqa: ANN401 - any JSON
    """A schema with its defaults in words: openapi-typescript takes fields with a `default` for required ones."""
    if isinstance(schema, list):
        return [without_defaults(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    told = {name: without_defaults(part) for name, part in schema.items()}
    if "default" in schema and not isinstance(schema["default"], dict):
        default = told.pop("default")
        if default not in (None, "", []):
            sentence = f"The default is {json.dumps(default)}."
            told["description"] = f"{told['description']} {sentence}" if told.get("description") else sentence
    return told


def _drop_fastapi_error(responses: dict[str, Any]) -> None:
    schema = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith(FASTAPI_SCHEMAS):
        del responses["422"]
