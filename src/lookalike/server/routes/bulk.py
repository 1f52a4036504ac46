"""`POST /v1/items`: writing many items, with a report on each line."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.errors import LookalikeError
from lookalike.server.auth import Writer
from lookalike.server.context import Context
from lookalike.server.errors import ApiError, api_error_of
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.item_write import ABSENT, Absent, ItemWrite
from lookalike.server.item_writer import Outcome
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.ordered_writes import RequestWrites
from lookalike.server.presentation import public_error
from lookalike.server.request_bodies import FORM, Body, unsupported_media_type, validated
from lookalike.server.routes.item_writes import BODY, changes_of
from lookalike.server.write_schemas import BulkItem, BulkReport
from lookalike.types import Box

router = APIRouter(tags=["writing"], dependencies=[Writer])

Photos: TypeAlias = Mapping[str, bytes | None]
"""Contents by file name; None if several files have the same name."""

NDJSON: Final = "application/x-ndjson"
LINES_TEXT: Final = (
    "One JSON object a line: id, photo, photo_base64 or photo_url, product, box, garments, attributes, unset, replace, "
    "delete."
)
CHANGES_AT_ONCE: Final = 500
"""Lines, of which few have photos, that are written in one transaction."""
FORM_SHAPE: Final = FormShape(
    "BulkForm",
    schema={
        "type": "object",
        "properties": {
            "items": {"type": "string", "format": "ndjson", "description": LINES_TEXT},
            "photo": {
                "type": "array",
                "items": {"type": "string", "format": "binary", "contentMediaType": "image/*"},
                "description": "Photos, which the lines refer to by file name.",
            },
        },
        "required": ["items"],
        "additionalProperties": False,
    },
    encoding={"photo": {"contentType": "image/*"}},
)
STANDARD: Final = str.maketrans("-_", "+/")
STATUSES: Final = ("added", "updated", "unchanged", "deleted", "queued", "failed")
AS_LINES: Final = {NDJSON: {"schema": {"type": "string", "format": "ndjson", "description": LINES_TEXT}}}


@router.post(
    "/v1/items",
    operation_id="put_items",
    summary="Add, change and delete many items",
    response_model=BulkReport,
    responses={
        202: {"description": "Some photos are fetched in the background.", "model": BulkReport},
        **errors("bad_request", "unauthorized", "too_many_parts", *BODY, *QUERY_ERRORS),
    },
    openapi_extra=body_of(form=FORM_SHAPE, more=AS_LINES),
)
async def put_items(request: Request, context: Context) -> JSONResponse:
    """Send lines of JSON, alone (`application/x-ndjson`) or in a form together with the photos.

    Each line adds or changes an item. Fields that a line does not have stay as they are, and so do attributes that it
    does not name; null removes one. `"replace": true` removes what is not named, and `"delete": true` the item. Lines
    take effect in their order. One that fails does not stop the others; the report has the status of each. Repeating
    the request is safe, and what changes nothing is `unchanged`.

    Lines with `photo_url` are `queued` (202): their photos are fetched in the background, and each is written as a
    whole when its photo is there. `/v1/jobs/{id}` tells of the `job`.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.bulk_bytes, seconds=10 * settings.upload_seconds) as body:
        lines, photos = await lines_of(body, context)
        report = await context.writes.run(lambda: write_lines(lines, photos, context), request=request)
    context.wake_jobs()
    return JSONResponse(report, status_code=202 if report["queued"] else 200)


async def lines_of(body: Body, context: GalleryContext) -> tuple[list[bytes], Photos]:
    """Read the lines of a body, and the photos of a form.

    Raises:
        ApiError: The body is malformed, or has too many lines.
    """
    photos: dict[str, bytes | None] = {}
    most = context.settings.bulk_items
    if body.media_type == NDJSON:
        text = await body.whole()
    elif body.media_type == FORM:
        form = await body.form(parts=most + 1)
        given = [text.encode() for text in form.fields.get("items", ())]
        given += [file.getvalue() for file in form.files.get("items", ())]
        given += [b"" for name in form.untouched if name == "items"]
        unknown = ({*form.fields} - {"items"}) | ({*form.files, *form.untouched} - {"items", "photo"})
        if len(given) != 1 or unknown:
            raise ApiError("bad_request", "expected one part `items`, files `photo`, and no other parts")
        text = given[0]
        for file in form.files.get("photo", ()):
            photos[file.name] = None if file.name in photos else file.getvalue()
    else:
        raise unsupported_media_type(body.media_type, [NDJSON, FORM])
    lines = text.split(b"\n")
    check_end(lines)
    if sum(1 for line in lines if line.strip()) > most:
        raise ApiError("too_large", f"at most {most:,} items can be sent at once", details={"limit": most})
    return lines, photos


def check_end(lines: Sequence[bytes]) -> None:
    """Check that the last line is complete.

    Raises:
        ApiError: The last line has no newline and is not JSON.
    """
    if lines[-1].strip():
        try:
            parse_json(lines[-1])
        except ApiError as error:
            message = f"the body is cut off in line {len(lines)}, nothing was written: {error}"
            raise ApiError("bad_request", message) from None


@dataclass
class Report:
    """Report on the lines that were processed.

    Attributes:
        lines: JSON of each line.
        private_locations: Paths and addresses that are redacted from errors.
        writes: Writes of the request, which know its job.
    """

    lines: list[dict[str, Any]]
    private_locations: Sequence[str]
    writes: RequestWrites

    def done(self, line: int, item_id: str, outcome: Outcome) -> None:
        """Record the outcome of a line."""
        if isinstance(outcome, LookalikeError):
            self.failed(line, item_id, outcome)
        else:
            self.lines.append({"line": line, "id": item_id, "status": outcome.status, "error": None})

    def failed(self, line: int, item_id: str | None, error: LookalikeError) -> None:
        """Record a failed line."""
        told = public_error(api_error_of(error), self.private_locations)["error"]
        self.lines.append({"line": line, "id": item_id, "status": "failed", "error": told})

    def to_json(self) -> dict[str, Any]:
        """Body of the response."""
        counts = {status: sum(line["status"] == status for line in self.lines) for status in STATUSES}
        return {**counts, "job": self.writes.job, "lines": sorted(self.lines, key=lambda line: int(line["line"]))}


def write_lines(lines: list[bytes], photos: Photos, context: GalleryContext) -> dict[str, Any]:
    """Write all lines in batches; runs under the `writes` limiter."""
    report = Report([], context.private_locations, context.item_writes.request())
    waiting: dict[str, tuple[int, ItemWrite]] = {}
    with_photo = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item_id = None
        try:
            item = validated(BulkItem, parse_json(line))
            item_id = item.id
            write = write_of(item, photos)
        except LookalikeError as error:
            report.failed(number, item_id, error)
            continue
        with_photo += write.photo is not None
        if item_id in waiting or len(waiting) >= CHANGES_AT_ONCE or with_photo > context.settings.batch:
            write_batch(waiting, report)
            with_photo = int(write.photo is not None)
        waiting[item_id] = number, write
    write_batch(waiting, report)
    return report.to_json()


def write_batch(waiting: dict[str, tuple[int, ItemWrite]], report: Report) -> None:
    """Write lines of distinct ids."""
    batch = [*waiting.values()]
    waiting.clear()
    outcomes: Sequence[Outcome]
    try:
        outcomes = report.writes.write(batch)
    except LookalikeError as error:  # the gallery is locked or cannot be read
        outcomes = [error] * len(batch)
    for (number, write), outcome in zip(batch, outcomes, strict=True):
        report.done(number, write.id, outcome)


def write_of(item: BulkItem, photos: Photos) -> ItemWrite:
    """The write that a line asks for.

    Raises:
        ApiError: The photo is missing or ambiguous, or fields contradict each other.
    """
    given = item.model_fields_set
    if item.delete:
        if others := sorted(given - {"id", "delete"}):
            raise ApiError("invalid", f"delete: a line that deletes an item has only its id, and not {others[0]}")
        return ItemWrite(item.id, delete=True)
    if item.replace and item.unset:
        raise ApiError("invalid", "unset: a line with replace has no attributes of before that it could unset")
    data, name = photo_of(item, photos)
    box: Box | Absent | None = ABSENT
    if "box" in given:
        box = None if item.box is None else Box(*item.box)
    return replace(
        changes_of(item.id, item),
        box=box,
        garments=ABSENT if item.garments is None else item.garments,
        photo=data,
        name=name,
        photo_url=item.photo_url,
        replace=item.replace,
    )


def photo_of(item: BulkItem, photos: Photos) -> tuple[bytes | None, str]:
    """Photo of a line with its name in errors; None without one.

    Raises:
        ApiError: The photo is missing or ambiguous.
    """
    if sum(given is not None for given in (item.photo, item.photo_base64, item.photo_url)) > 1:
        raise ApiError("invalid", "photo: give only one of photo, photo_base64 and photo_url")
    if item.photo_base64 is not None:
        return from_base64(item.photo_base64), "photo_base64"
    if item.photo is None:
        return None, "photo"
    if item.photo not in photos:
        raise ApiError("photo_needed", f"the form has no file named {item.photo!r}")
    data = photos[item.photo]
    if data is None:
        raise ApiError("invalid", f"photo: the form has several files named {item.photo!r}")
    return data, item.photo


def from_base64(text: str) -> bytes:
    """Decode base64, standard or URL-safe, with or without line breaks and padding, or a `data:` URI.

    Raises:
        ApiError: The text is not base64.
    """
    text = text.strip()
    if text[:5].lower() == "data:":
        kind, comma, text = text.partition(",")
        if not comma or not kind.replace(" ", "").lower().endswith(";base64"):
            raise ApiError("invalid", "photo_base64: expected data:image/...;base64,... or base64 alone")
        text = unquote(text)
    plain = "".join(text.split()).translate(STANDARD).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError("invalid", "photo_base64: not base64") from None
