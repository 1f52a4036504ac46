"""Request bodies: JSON and forms, read within limits of bytes, parts and seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from lookalike.server.concurrency import ClientGone
from lookalike.server.errors import ApiError, busy
from lookalike.server.form_parser import LONGEST_NAME, Form, FormParser
from lookalike.server.json_limits import LONGEST, parse_json
from lookalike.types import JSON

Model = TypeVar("Model", bound=BaseModel)

FORM: Final = "multipart/form-data"
JSON_TYPE: Final = "application/json"
SHORT_JSON: Final = 16_384
"""Longest JSON in bytes that is parsed on the event loop."""


class Intake:
    """Budget of bytes for the bodies of all requests together."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    @contextmanager
    def body(self, request: Request, *, limit: int, seconds: float) -> Iterator[Body]:
        """Body of a request; its bytes count until the context ends.

        Args:
            request: Request to read.
            limit: Longest body in bytes.
            seconds: Longest time until the whole body has arrived.
        """
        body = Body(self, request, limit=limit, seconds=seconds)
        try:
            yield body
        finally:
            self.held -= body.taken


class Body:
    """The body of one request.

    Attributes:
        taken: Number of bytes that have arrived.
    """

    def __init__(self, intake: Intake, request: Request, *, limit: int, seconds: float) -> None:
        self._intake, self._request, self._limit, self._seconds = intake, request, limit, seconds
        self.taken = 0

    @property
    def media_type(self) -> str:
        """Declared media type, without parameters."""
        return self._request.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def whole(self) -> bytes:
        """Read the whole body.

        Raises:
            ApiError: The body is too long or too slow, or the budget of all bodies is spent.
            ClientGone: The client has closed the connection.
        """
        with _arriving(self._seconds):
            async with asyncio.timeout(self._seconds):
                return b"".join([chunk async for chunk in self._chunks()])

    async def json(self, model: type[Model]) -> Model:
        """Read and validate a JSON body.

        Raises:
            ApiError: The body is not JSON, or not valid for the model; and see `whole`.
        """
        self._limit = min(self._limit, LONGEST)
        data = await self.whole()
        value = parse_json(data) if len(data) < SHORT_JSON else await asyncio.to_thread(parse_json, data)
        return validated(model, value)

    async def form(self, *, parts: int) -> Form:
        """Read a form.

        Args:
            parts: Largest number of fields, and of files.

        Raises:
            ApiError: The form is malformed, not UTF-8, or has too many parts; and see `whole`.
        """
        parser = FormParser(self._request.headers.get("content-type", ""), parts=parts)
        with _arriving(self._seconds):
            async with asyncio.timeout(self._seconds):
                async for chunk in self._chunks():
                    parser.write(chunk)
        return parser.form()

    async def _chunks(self) -> AsyncGenerator[bytes]:
        encoding = self._request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("identity", ""):
            message = f"expected an unencoded body, got Content-Encoding: {encoding[:LONGEST_NAME]}"
            details: dict[str, JSON] = {"expected": ["identity"], "got": encoding[:LONGEST_NAME]}
            raise ApiError("unsupported_media_type", message, details=details, headers={"Accept-Encoding": "identity"})
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()
        async for chunk in self._request.stream():
            self.taken += len(chunk)
            self._intake.held += len(chunk)
            if self.taken > self._limit:
                raise self._too_large()
            if self._intake.held > self._intake.limit:
                raise busy("too many uploads at once", seconds=1)
            yield chunk

    def _too_large(self) -> ApiError:
        message = f"the body is longer than the {self._limit:,} bytes allowed"
        return ApiError("too_large", message, details={"limit": self._limit})


@contextmanager
def _arriving(seconds: float) -> Iterator[None]:
    """Translate a timeout or disconnection while a body arrives."""
    try:
        yield
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        # the rest may still come, and would be parsed as the next request
        raise ApiError("too_slow", message, details={"limit": seconds}, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientGone from None


def unsupported_media_type(got: str, expected: Sequence[str]) -> ApiError:
    """Error 415, for a body of an unexpected media type."""
    return ApiError(
        "unsupported_media_type",
        f"expected a body of {' or '.join(expected)}, got {got[:LONGEST_NAME] or 'none'}",
        details={"expected": list(expected), "got": got[:LONGEST_NAME]},
    )


def validated(model: type[Model], value: object) -> Model:
    """Validate a value by a pydantic model.

    Raises:
        ApiError: The value is not valid.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None


def invalid(problems: Sequence[Mapping[str, Any]], *, skip: int = 0) -> ApiError:
    """Error 422, for values that pydantic rejects.

    Args:
        problems: Errors as pydantic lists them.
        skip: Number of leading parts of each location to leave out.
    """
    listed = [
        {
            "field": ".".join(str(part)[:LONGEST_NAME] for part in problem["loc"][skip:]) or "body",
            "problem": problem["msg"],
        }
        for problem in problems[:20]
    ]
    first = listed[0]
    return ApiError("invalid", f"{first['field']}: {first['problem']}", details={"problems": list[Any](listed)})
