"""Reading what clients send: within limits of bytes, parts and time, and never trusting what they say of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException
from starlette.requests import ClientDisconnect, Request

from lookalike.server.concurrency import ClientGone
from lookalike.server.errors import Refusal, busy
from lookalike.server.form_parser import LONGEST_NAME, FormParser, check_charset
from lookalike.server.json_limits import LONGEST, parsed
from lookalike.types import JSON

Model = TypeVar("Model", bound=BaseModel)

FORM: Final = "multipart/form-data"
JSON_TYPE: Final = "application/json"
LONGEST_FIELD: Final = 65_536
SHORT_JSON: Final = 16_384
"""Bytes that are read in no time, so that the event loop can do it."""


class Upload(BytesIO):
    """A file that was sent, and what it was called; the name is for people and opens nothing."""

    def __init__(self, data: bytes, *, name: str) -> None:
        super().__init__(data)
        self.name = name


@dataclass(frozen=True, slots=True)
class Form:
    """A form.

    Attributes:
        fields: By the names of the parts; none is empty.
        files: By the names of the parts.
        untouched: Names of parts that are empty: a web page sends its optional inputs like this when nothing was
            entered or chosen, so they count as not given.
    """

    fields: Mapping[str, Sequence[str]]
    files: Mapping[str, Sequence[Upload]]
    untouched: Sequence[str] = ()


class Intake:
    """Takes bodies in, up to so many bytes of all requests together."""

    def __init__(self, limit: int) -> None:
        self.limit, self.held = limit, 0

    @contextmanager
    def body(self, request: Request, *, limit: int, seconds: float) -> Iterator[Body]:
        """Lend the body of a request; its bytes count until the context ends.

        Args:
            request: Whose body.
            limit: Most bytes.
            seconds: Longest time for all of it to arrive.
        """
        body = Body(self, request, limit=limit, seconds=seconds)
        try:
            yield body
        finally:
            self.held -= body.taken


class Body:
    """The body of one request.

    Attributes:
        taken: Bytes that have arrived.
    """

    def __init__(self, intake: Intake, request: Request, *, limit: int, seconds: float) -> None:
        self._intake, self._request, self._limit, self._seconds = intake, request, limit, seconds
        self.taken = 0

    @property
    def kind(self) -> str:
        """The media type that the client declares, without its parameters."""
        return self._request.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def whole(self) -> bytes:
        """All of it.

        Raises:
            Refusal: It is too long or too slow, or there is too much of others.
            ClientGone: The client has closed the connection.
        """
        with _arriving(self._seconds):
            async with asyncio.timeout(self._seconds):
                return b"".join([chunk async for chunk in self._chunks()])

    async def json(self, model: type[Model]) -> Model:
        """A JSON body, checked.

        Raises:
            Refusal: It is no JSON, or not what the model wants; and see `whole`.
        """
        self._limit = min(self._limit, LONGEST)
        data = await self.whole()
        value = parsed(data) if len(data) < SHORT_JSON else await asyncio.to_thread(parsed, data)
        return checked(model, value)

    async def form(self, *, parts: int) -> Form:
        """A form with files.

        Args:
            parts: Most fields, and most files.

        Raises:
            Refusal: It is no form in UTF-8, or has too many parts; and see `whole`.
        """
        check_charset(self._request.headers.get("content-type", ""))
        parser = FormParser(
            self._request.headers,
            self._chunks(),
            max_files=parts,
            max_fields=parts,
            max_part_size=LONGEST_FIELD,
        )
        try:
            with _arriving(self._seconds):
                async with asyncio.timeout(self._seconds):
                    data = await parser.parse()
        except MultiPartException as error:
            raise _form_refusal(error, parts=parts) from None
        except (KeyError, UnicodeDecodeError, ValueError, LookupError) as error:
            # what the parser stumbles over in headers of parts that are not as they should be
            raise Refusal("bad_request", "the form cannot be read: a part's headers are broken") from error
        try:
            return await _sorted_out(data.multi_items())
        finally:
            await data.close()

    async def _chunks(self) -> AsyncGenerator[bytes]:
        encoding = self._request.headers.get("content-encoding", "identity")
        if encoding.strip().lower() not in ("identity", ""):
            message = f"expected a body as it is, got one with Content-Encoding: {encoding[:LONGEST_NAME]}"
            facts: dict[str, JSON] = {"expected": ["identity"], "got": encoding[:LONGEST_NAME]}
            raise Refusal("unsupported_media_type", message, facts=facts, headers={"Accept-Encoding": "identity"})
        declared = self._request.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            raise self._too_large()
        async for chunk in self._request.stream():
            self.taken += len(chunk)
            self._intake.held += len(chunk)
            if self.taken > self._limit:
                raise self._too_large()
            if self._intake.held > self._intake.limit:
                raise busy("too many uploads are on their way", seconds=1)
            yield chunk

    def _too_large(self) -> Refusal:
        message = f"the body is longer than the {self._limit:,} bytes allowed"
        return Refusal("too_large", message, facts={"limit": self._limit})


async def _sorted_out(parts: Sequence[tuple[str, UploadFile | str]]) -> Form:
    fields: dict[str, list[str]] = {}
    files: dict[str, list[Upload]] = {}
    untouched: list[str] = []
    for name, part in parts:
        if isinstance(part, str):
            if part:
                fields.setdefault(name, []).append(part)
            else:
                untouched.append(name)
        else:
            data = await part.read()
            if data or part.filename:
                files.setdefault(name, []).append(Upload(data, name=shown_name(part.filename)))
            else:
                untouched.append(name)
    return Form(fields, files, tuple(untouched))


def _form_refusal(error: MultiPartException, *, parts: int) -> Refusal:
    if error.message.startswith("Too many"):
        return Refusal("too_many_parts", f"the form has more than the {parts} parts allowed", facts={"limit": parts})
    if "maximum size" in error.message:
        message = f"a field is longer than the {LONGEST_FIELD:,} bytes allowed"
        return Refusal("too_large", message, facts={"limit": LONGEST_FIELD})
    return Refusal("bad_request", f"the form cannot be read: {error.message}")


@contextmanager
def _arriving(seconds: float) -> Iterator[None]:
    """Say what it means when a body stops arriving."""
    try:
        yield
    except TimeoutError:
        message = f"the body did not arrive within {seconds:g} s"
        # the rest of it may still come, and would be taken for the next request
        raise Refusal("too_slow", message, facts={"limit": seconds}, headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ClientGone from None


def shown_name(name: str | None) -> str:
    """A file's name as a client sent it, as far as it can be shown; without folders."""
    last = (name or "").replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter for letter in last if letter.isprintable())
    return printable[:LONGEST_NAME] or "photo"


def other_kind(got: str, expected: Sequence[str]) -> Refusal:
    """Refuse a body of a kind that is not read here."""
    return Refusal(
        "unsupported_media_type",
        f"expected a body of {' or '.join(expected)}, got {got[:LONGEST_NAME] or 'none'}",
        facts={"expected": list(expected), "got": got[:LONGEST_NAME]},
    )


def checked(model: type[Model], value: object) -> Model:
    """Fill a model.

    Raises:
        Refusal: It wants something else.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid(error.errors(include_url=False, include_context=False, include_input=False)) from None


def invalid(problems: Sequence[Mapping[str, Any]], *, skip: int = 0) -> Refusal:
    """Refuse values, by what pydantic says of them.

    Args:
        problems: As pydantic lists them.
        skip: So many first parts of each place are of no use to the client.
    """
    listed = [
        {
            "field": ".".join(str(part)[:LONGEST_NAME] for part in problem["loc"][skip:]) or "body",
            "problem": problem["msg"],
        }
        for problem in problems[:20]
    ]
    first = listed[0]
    return Refusal("invalid", f"{first['field']}: {first['problem']}", facts={"problems": list[Any](listed)})
