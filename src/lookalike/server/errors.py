"""Every error that the API answers with: one table of codes, read by the handlers, the OpenAPI document and the docs.

The shape is always `{"error": {"code": ..., "message": ..., more facts}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lookalike.deadline import DeadlineError
from lookalike.errors import FilterError, LookalikeError, PhotoError, UnknownNameError, UsageError
from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class Kind:
    """One code.

    Attributes:
        status: Of HTTP.
        message: As an example.
        facts: Beside code and message, as an example.
    """

    status: int
    message: str
    facts: Mapping[str, JSON]


KINDS: Final[Mapping[str, Kind]] = {
    "bad_request": Kind(400, "give either a photo or the id of an item", {}),
    "bad_filter": Kind(
        400,
        "filter 'price <', at character 8: expected a value",
        {"expression": "price <", "position": 7, "expected": "expected a value"},
    ),
    "unknown_name": Kind(
        400,
        "unknown space 'colour'; did you mean 'color'?",
        {"kind": "space", "name": "colour", "known": ["deep", "color"]},
    ),
    "unauthorized": Kind(401, "writing needs the header `Authorization: Bearer TOKEN`", {}),
    "owner_only": Kind(
        403,
        "the index 'hnsw' is not built, and only the owner may have it built: show the token, or set build_indexes",
        {"setting": "build_indexes"},
    ),
    "foreign_origin": Kind(
        403,
        "pages of http://shop.example may not send this; name the origin in `origins`",
        {"origin": "http://shop.example"},
    ),
    "unknown_item": Kind(
        404, "unknown item 'd01'; did you mean 'd001'?", {"kind": "item", "name": "d01", "known": ["d001"]}
    ),
    "photo_gone": Kind(404, "the photo of 'd001' cannot be shown: no such file", {"reason": "no such file"}),
    "not_found": Kind(404, "there is nothing at /v2/search; /docs lists what there is", {}),
    "method_not_allowed": Kind(405, "/v1/search does not know GET", {"allowed": ["POST"]}),
    "too_slow": Kind(408, "the body did not arrive within 30 s", {"limit": 30.0}),
    "too_large": Kind(413, "the body is longer than the 20,971,520 bytes allowed", {"limit": 20971520}),
    "too_many_parts": Kind(413, "the form has more than the 64 parts allowed", {"limit": 64}),
    "too_complex": Kind(413, "the JSON has more than the 10,000 values allowed", {"limit": 10000}),
    "url_too_long": Kind(414, "the URL is longer than the 32,768 bytes allowed", {"limit": 32768}),
    "unsupported_media_type": Kind(
        415,
        "expected a body of multipart/form-data or application/json, got text/plain",
        {"expected": ["multipart/form-data", "application/json"], "got": "text/plain"},
    ),
    "bad_range": Kind(416, "the photo has 18,204 bytes", {"size": 18204}),
    "unknown_host": Kind(
        421,
        "this server does not answer to the name 'shop.example'; name it in `hosts`",
        {"host": "shop.example"},
    ),
    "invalid": Kind(
        422,
        "k: Input should be greater than or equal to 1",
        {"problems": [{"field": "k", "problem": "Input should be greater than or equal to 1"}]},
    ),
    "too_many_values": Kind(
        422,
        "the attributes have too many values to be counted within 5 s; count fewer items, by `where`",
        {"limit": 5.0},
    ),
    "unreadable_photo": Kind(422, "q.jpg: the file is cut short", {"reason": "the file is cut short"}),
    "photo_needed": Kind(404, "there is no item 'd99' yet; send its photo with it", {}),
    "mismatch": Kind(422, "the gallery holds imported features, and no model makes such from a photo", {}),
    "busy": Kind(429, "72 searches are running or waiting; try again in 1 s", {"retry_after": 1}),
    "head_too_large": Kind(431, "the request's head is longer than the 65,536 bytes allowed", {"limit": 65536}),
    "bug": Kind(500, "this is a bug in lookalike; the log has it under this request's id", {}),
    "locked": Kind(503, "another process is writing to the gallery; try again in 5 s", {"retry_after": 5}),
    "damaged": Kind(503, "the gallery cannot be read; the log says why", {}),
    "gallery_gone": Kind(503, "the gallery is not where it was; the log says more", {}),
    "unreachable": Kind(503, "the server that keeps the gallery does not answer", {}),
    "storage_full": Kind(507, "there is no room left on the server's disk; nothing was changed", {}),
    "failed": Kind(503, "this cannot be done at present; the log says why", {}),
    "host_silent": Kind(
        503, "the computer that has this photo does not answer; try again in 10 s", {"retry_after": 10}
    ),
    "timeout": Kind(503, "there was no answer within 20 s", {"limit": 20.0}),
    "full": Kind(503, "all 512 connections are in use; try again in 1 s", {"retry_after": 1}),
    "not_ready": Kind(503, "the server is stopping", {}),
}


class Refusal(LookalikeError):
    """The server will not do what a request asks.

    Attributes:
        kind: One of `KINDS`.
        facts: What a program may want to know, beside the message.
        headers: For the response.
    """

    def __init__(
        self,
        kind: str,
        message: str,
        *,
        facts: Mapping[str, JSON] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.kind, self.facts, self.headers = kind, dict(facts or {}), dict(headers or {})
        if self.status in (429, 503):
            self.headers.setdefault("Retry-After", str(LATER_S))

    @property
    def status(self) -> int:
        """Of HTTP."""
        return KINDS[self.kind].status

    def to_json(self) -> dict[str, Any]:
        """The body of the response."""
        return {"error": {"code": self.kind, "message": str(self), **self.facts}}


LATER_S: Final = 5
"""Seconds after which it is worth trying again, where nothing better is known."""


def busy(what: str, *, seconds: int) -> Refusal:
    """Turn a request away because there is no room for it now."""
    return Refusal(
        "busy",
        f"{what}; try again in {seconds} s",
        facts={"retry_after": seconds},
        headers={"Retry-After": str(seconds)},
    )


def refusal_of(error: LookalikeError) -> Refusal:
    """What a client is told of an error of the core: all about its own mistakes, nothing of the server's insides."""
    if isinstance(error, Refusal):
        return error
    if error.code == "locked":
        message = f"another process is writing to the gallery; try again in {LATER_S} s"
        return Refusal("locked", message, facts={"retry_after": LATER_S})
    if error.code == "no_gallery":  # there was one when the server was started
        return Refusal("gallery_gone", KINDS["gallery_gone"].message)
    if isinstance(error, DeadlineError):
        return Refusal("timeout", str(error))
    if not isinstance(error, UsageError):
        kind = error.code if error.code in KINDS else "failed"
        return Refusal(kind, KINDS[kind].message)
    facts: dict[str, JSON] = {}
    kind = error.code if error.code in KINDS else "bad_request"
    if isinstance(error, FilterError):
        facts = {"expression": error.expression, "position": error.position, "expected": error.expected}
    elif isinstance(error, UnknownNameError):
        facts = {"kind": error.kind, "name": error.name[: error.LONGEST], "known": list(error.known)}
        if error.kind == "item":
            kind = "unknown_item"
    elif isinstance(error, PhotoError):
        facts = {"reason": error.reason}
    return Refusal(kind, str(error), facts=facts)
