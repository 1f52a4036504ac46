"""Errors of the API: one table of codes for the handlers, the OpenAPI document and the docs.

The body is always `{"error": {"code": ..., "message": ..., more details}}`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from lookalike.deadline import DeadlineError
from lookalike.errors import FilterError, LookalikeError, NoGarmentError, PhotoError, UnknownNameError, UsageError
from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """Description of an error code.

    Attributes:
        status: HTTP status code.
        message: Example message.
        details: Example details, beside code and message.
    """

    status: int
    message: str
    details: Mapping[str, JSON]


ERROR_CODES: Final[Mapping[str, ErrorCode]] = {
    "bad_request": ErrorCode(400, "give a photo, the id of an item, or words as text", {}),
    "bad_filter": ErrorCode(
        400,
        "filter 'price <', at character 8: expected a value",
        {"expression": "price <", "position": 7, "expected": "expected a value"},
    ),
    "unknown_name": ErrorCode(
        400,
        "unknown space 'colour'; did you mean 'color'?",
        {"kind": "space", "name": "colour", "known": ["deep", "color"]},
    ),
    "unauthorized": ErrorCode(401, "writing needs the header `Authorization: Bearer TOKEN`", {}),
    "owner_only": ErrorCode(
        403,
        "the index 'hnsw' is not built, and building it needs the token; send the token, or change the setting "
        "`build_indexes`",
        {"setting": "build_indexes"},
    ),
    "forbidden": ErrorCode(403, "the key page may search, and not write", {}),
    "foreign_origin": ErrorCode(
        403,
        "web pages of http://shop.example may not send this request; to allow it, add the origin to `origins`, or to a "
        "key that the page sends",
        {"origin": "http://shop.example"},
    ),
    "unknown_item": ErrorCode(
        404, "unknown item 'd01'; did you mean 'd001'?", {"kind": "item", "name": "d01", "known": ["d001"]}
    ),
    "unknown_gallery": ErrorCode(404, "there is no gallery 'bags'", {"name": "bags"}),
    "foreign_photo_host": ErrorCode(
        403,
        "photos are not fetched from cdn.example; to allow it, add the host to the setting `photo_hosts`",
        {"host": "cdn.example", "setting": "photo_hosts"},
    ),
    "unknown_job": ErrorCode(
        404, "unknown job '5f1c9a02b7e4d318'; known: none", {"kind": "job", "name": "5f1c9a02b7e4d318", "known": []}
    ),
    "photo_gone": ErrorCode(404, "the photo of 'd001' cannot be shown: no such file", {"reason": "no such file"}),
    "not_found": ErrorCode(404, "no route at /v2/search; /docs lists the routes", {}),
    "method_not_allowed": ErrorCode(405, "/v1/search does not support GET", {"allowed": ["POST"]}),
    "too_slow": ErrorCode(408, "the body did not arrive within 30 s", {"limit": 30.0}),
    "too_large": ErrorCode(413, "the body is longer than the 20,971,520 bytes allowed", {"limit": 20971520}),
    "too_many_parts": ErrorCode(413, "the form has more than the 64 parts allowed", {"limit": 64}),
    "too_complex": ErrorCode(413, "the JSON has more than the 10,000 values allowed", {"limit": 10000}),
    "url_too_long": ErrorCode(414, "the URL is longer than the 32,768 bytes allowed", {"limit": 32768}),
    "unsupported_media_type": ErrorCode(
        415,
        "expected a body of multipart/form-data or application/json, got text/plain",
        {"expected": ["multipart/form-data", "application/json"], "got": "text/plain"},
    ),
    "bad_range": ErrorCode(416, "the range is outside of the photo, which has 18,204 bytes", {"size": 18204}),
    "unknown_host": ErrorCode(
        421,
        "this server does not answer to the name 'shop.example'; to allow it, add the name to `hosts`",
        {"host": "shop.example"},
    ),
    "invalid": ErrorCode(
        422,
        "k: Input should be greater than or equal to 1",
        {"problems": [{"field": "k", "problem": "Input should be greater than or equal to 1"}]},
    ),
    "too_many_values": ErrorCode(
        422,
        "the attributes have too many values to be counted within 5 s; count fewer items with `where`",
        {"limit": 5.0},
    ),
    "unknown_words": ErrorCode(422, "text must have a word of letters or digits, got '!?'", {}),
    "unreadable_photo": ErrorCode(422, "q.jpg: the file is cut short", {"reason": "the file is cut short"}),
    "photo_needed": ErrorCode(404, "there is no item 'd99' yet; send its photo with it", {}),
    "no_finder": ErrorCode(422, "no finder of garments is installed; name the .onnx file of one as `finder`", {}),
    "no_garment": ErrorCode(
        422,
        "q.jpg: garment dress was not found; found: 1 top, 2 trousers",
        {"asked": "dress", "found": ["top", "trousers"]},
    ),
    "mismatch": ErrorCode(422, "the gallery holds imported vectors, which no known model computes from a photo", {}),
    "reload_failed": ErrorCode(422, "nothing was changed: server.toml: not a TOML file: Invalid value", {}),
    "busy": ErrorCode(429, "72 searches are running or waiting; try again in 1 s", {"retry_after": 1}),
    "rate_limited": ErrorCode(429, "this key allows 10/s; try again in 1 s", {"retry_after": 1, "limit": "10/s"}),
    "head_too_large": ErrorCode(
        431, "the head of the request is longer than the 65,536 bytes allowed", {"limit": 65536}
    ),
    "bug": ErrorCode(500, "this is a bug in lookalike; the log has the details under the id of this request", {}),
    "locked": ErrorCode(503, "another process is writing to the gallery; try again in 5 s", {"retry_after": 5}),
    "damaged": ErrorCode(503, "the gallery cannot be read; the log says why", {}),
    "gallery_gone": ErrorCode(503, "the gallery is not where it was; the log has the details", {}),
    "unreachable": ErrorCode(503, "the server that keeps the gallery does not answer", {}),
    "storage_full": ErrorCode(507, "the disk of the server is full; nothing was changed", {}),
    "failed": ErrorCode(503, "the request failed; the log says why", {}),
    "host_silent": ErrorCode(503, "the host of this photo does not answer; try again in 10 s", {"retry_after": 10}),
    "timeout": ErrorCode(503, "there was no answer within 20 s", {"limit": 20.0}),
    "full": ErrorCode(503, "all 512 connections are in use; try again in 1 s", {"retry_after": 1}),
    "not_ready": ErrorCode(503, "the server is stopping", {}),
}


class ApiError(LookalikeError):
    """An error response: status, code, message and details.

    Attributes:
        code: Key of `ERROR_CODES`.
        details: Values for programs, beside the message.
        headers: Headers of the response.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: Mapping[str, JSON] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code, self.details, self.headers = code, dict(details or {}), dict(headers or {})
        if self.status in (429, 503):
            self.headers.setdefault("Retry-After", str(LATER_S))

    @property
    def status(self) -> int:
        """HTTP status code."""
        return ERROR_CODES[self.code].status

    def to_json(self) -> dict[str, Any]:
        """Body of the response."""
        return {"error": {"code": self.code, "message": str(self), **self.details}}


LATER_S: Final = 5
"""Default of `Retry-After`, in seconds."""


def busy(what: str, *, seconds: int) -> ApiError:
    """Error 429, for a full queue."""
    return ApiError(
        "busy",
        f"{what}; try again in {seconds} s",
        details={"retry_after": seconds},
        headers={"Retry-After": str(seconds)},
    )


def api_error_of(error: LookalikeError) -> ApiError:
    """Translate an error of the core; the details are sent only if the client caused the error."""
    if isinstance(error, ApiError):
        return error
    if error.code == "locked":
        message = f"another process is writing to the gallery; try again in {LATER_S} s"
        return ApiError("locked", message, details={"retry_after": LATER_S})
    if error.code == "no_gallery":  # there was one when the server was started
        return ApiError("gallery_gone", ERROR_CODES["gallery_gone"].message)
    if isinstance(error, DeadlineError):
        return ApiError("timeout", str(error))
    if not isinstance(error, UsageError):
        code = error.code if error.code in ERROR_CODES else "failed"
        return ApiError(code, ERROR_CODES[code].message)
    code = error.code if error.code in ERROR_CODES else "bad_request"
    if isinstance(error, UnknownNameError) and error.kind == "item":
        code = "unknown_item"
    if isinstance(error, UnknownNameError) and error.kind == "job":
        code = "unknown_job"
    return ApiError(code, str(error), details=details_of(error))


def details_of(error: UsageError) -> dict[str, JSON]:
    """Values for programs of an error that the client caused."""
    if isinstance(error, FilterError):
        return {"expression": error.expression, "position": error.position, "expected": error.expected}
    if isinstance(error, UnknownNameError):
        return {"kind": error.kind, "name": error.name[: error.LONGEST], "known": list(error.known)}
    if isinstance(error, NoGarmentError):
        return {"asked": error.asked, "found": list(error.found)}
    return {"reason": error.reason} if isinstance(error, PhotoError) else {}
