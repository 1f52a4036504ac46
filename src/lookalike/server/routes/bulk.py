"""`POST /v1/items`: writing many items, with a report on each line."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from lookalike.errors import LookalikeError, UsageError
from lookalike.server.auth import Writer
from lookalike.server.context import Context
from lookalike.server.errors import ApiError, api_error_of
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.item_writer import ItemWrite, ItemWriter, PreparedWrite
from lookalike.server.json_limits import parse_json
from lookalike.server.openapi import QUERY_ERRORS, FormShape, body_of, errors
from lookalike.server.presentation import public_error
from lookalike.server.request_bodies import FORM, Body, unsupported_media_type, validated
from lookalike.server.routes.item_writes import BODY
from lookalike.server.write_schemas import BulkItem, BulkReport
from lookalike.types import Box

router = APIRouter(tags=["writing"], dependencies=[Writer])

Photos: TypeAlias = Mapping[str, bytes | None]
"""Contents by file name; None if several files have the same name."""

NDJSON: Final = "application/x-ndjson"
LINES_TEXT: Final = "One JSON object a line: id, photo or photo_base64, product, box, garments, attributes."
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
AS_LINES: Final = {NDJSON: {"schema": {"type": "string", "format": "ndjson", "description": LINES_TEXT}}}


@router.post(
    "/v1/items",
    operation_id="put_items",
    summary="Add or replace many items",
    response_model=BulkReport,
    responses=errors("bad_request", "unauthorized", "too_many_parts", *BODY, *QUERY_ERRORS),
    openapi_extra=body_of(form=FORM_SHAPE, more=AS_LINES),
)
async def put_items(request: Request, context: Context) -> JSONResponse:
    """Send lines of JSON, alone (`application/x-ndjson`) or in a form together with the photos.

    Each line is an item. A line with a photo adds or replaces the item; a line without one replaces product and
    attributes of an existing item. A line that fails does not stop the others; the report has the status of each.
    Repeating the request is safe.
    """
    settings = context.settings
    with context.intake.body(request, limit=settings.bulk_bytes, seconds=10 * settings.upload_seconds) as body:
        lines, photos = await lines_of(body, context)
        report = await context.writes.run(lambda: write_lines(lines, photos, context), request=request)
    return JSONResponse(report)


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
    """

    lines: list[dict[str, Any]]
    private_locations: Sequence[str]

    def done(self, line: int, item_id: str, *, new: bool) -> None:
        """Record a written line."""
        self.lines.append({"line": line, "id": item_id, "status": "added" if new else "updated", "error": None})

    def failed(self, line: int, item_id: str | None, error: LookalikeError) -> None:
        """Record a failed line."""
        told = public_error(api_error_of(error), self.private_locations)["error"]
        self.lines.append({"line": line, "id": item_id, "status": "failed", "error": told})

    def to_json(self) -> dict[str, Any]:
        """Body of the response."""
        counts = {
            status: sum(line["status"] == status for line in self.lines) for status in ("added", "updated", "failed")
        }
        return {**counts, "lines": sorted(self.lines, key=lambda line: int(line["line"]))}


def write_lines(lines: list[bytes], photos: Photos, context: GalleryContext) -> dict[str, Any]:
    """Write all lines in batches; runs under the `writes` limiter."""
    writer, batch = context.writer, context.settings.batch
    report = Report([], context.private_locations)
    waiting: dict[str, tuple[int, PreparedWrite]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item_id = None
        try:
            item = validated(BulkItem, parse_json(line))
            item_id = item.id
            written = written_of(item, photos)
            if item_id in waiting or written.photo is None:
                write_batch(waiting, writer, report)
            if written.photo is None:
                writer.describe(written)
                report.done(number, item_id, new=False)
            else:
                waiting[item_id] = (number, writer.prepare(written))
        except LookalikeError as error:
            report.failed(number, item_id, error)
        if len(waiting) >= batch:
            write_batch(waiting, writer, report)
    write_batch(waiting, writer, report)
    return report.to_json()


def write_batch(waiting: dict[str, tuple[int, PreparedWrite]], writer: ItemWriter, report: Report) -> None:
    """Write a batch in one transaction; if the client caused an error, write it again item by item."""
    batch = [*waiting.values()]
    waiting.clear()
    if not batch:
        return
    try:
        added = writer.add([ready for _, ready in batch])
    except LookalikeError as error:
        if len(batch) > 1 and isinstance(error, UsageError):
            for number, ready in batch:
                write_batch({ready.written.id: (number, ready)}, writer, report)
        else:  # a full disk or another writer: not caused by an item
            for number, ready in batch:
                report.failed(number, ready.written.id, error)
        return
    for (number, ready), (_, new) in zip(batch, added, strict=True):
        report.done(number, ready.written.id, new=new)


def written_of(item: BulkItem, photos: Photos) -> ItemWrite:
    """Item of a line.

    Raises:
        ApiError: The photo is missing or ambiguous.
    """
    if item.photo is not None and item.photo_base64 is not None:
        raise ApiError("invalid", "photo: give either photo or photo_base64")
    data, name = None, "photo_base64"
    if item.photo is not None:
        if item.photo not in photos:
            raise ApiError("photo_needed", f"the form has no file named {item.photo!r}")
        data, name = photos[item.photo], item.photo
        if data is None:
            raise ApiError("invalid", f"photo: the form has several files named {item.photo!r}")
    elif item.photo_base64 is not None:
        data = from_base64(item.photo_base64)
    box = None if item.box is None else Box(*item.box)
    if item.garments and data is None:
        raise ApiError("photo_needed", "garments are found in a photo; send it")
    return ItemWrite(item.id, item.product, item.attributes, box=box, photo=data, name=name, garments=item.garments)


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
