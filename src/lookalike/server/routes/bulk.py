"""`POST /v1/items`: many items at once, with a report for every line."""

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
from lookalike.server.context import Served, Serving
from lookalike.server.errors import Refusal, refusal_of
from lookalike.server.item_writer import ItemWriter, Ready, Written
from lookalike.server.json_limits import parsed
from lookalike.server.openapi import ASKED, FormShape, body_of, errors
from lookalike.server.presentation import shown_refusal
from lookalike.server.request_bodies import FORM, Body, checked, other_kind
from lookalike.server.routes.item_writes import BODY
from lookalike.server.write_schemas import BulkItem, BulkReport
from lookalike.types import Box

router = APIRouter(tags=["writing"], dependencies=[Writer])

Photos: TypeAlias = Mapping[str, bytes | None]
"""By the names of their files; None where several have the same."""

NDJSON: Final = "application/x-ndjson"
LINES_TEXT: Final = "One JSON object a line: id, photo or photo_base64, product, box, attributes."
FORM_SHAPE: Final = FormShape(
    "BulkForm",
    schema={
        "type": "object",
        "properties": {
            "items": {"type": "string", "format": "ndjson", "description": LINES_TEXT},
            "photo": {
                "type": "array",
                "items": {"type": "string", "format": "binary", "contentMediaType": "image/*"},
                "description": "The photos; lines name them by their file names.",
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
    responses=errors("bad_request", "unauthorized", "too_many_parts", *BODY, *ASKED),
    openapi_extra=body_of(form=FORM_SHAPE, more=AS_LINES),
)
async def put_items(request: Request, serving: Served) -> JSONResponse:
    """Send lines of JSON, alone (`application/x-ndjson`) or in a form with the photos beside them.

    Each line is an item. A line with a photo adds or replaces the item; one without replaces what is known of an item
    that is there. A line that fails does not hold up the others: the report says what became of each. Sending the same
    again does no harm.
    """
    settings = serving.settings
    with serving.intake.body(request, limit=settings.bulk_bytes, seconds=10 * settings.upload_seconds) as body:
        lines, photos = await lines_of(body, serving)
        report = await serving.writes.run(lambda: write_lines(lines, photos, serving), request=request)
    return JSONResponse(report)


async def lines_of(body: Body, serving: Serving) -> tuple[list[bytes], Photos]:
    """The lines of a body, and the photos beside them.

    Raises:
        Refusal: The body cannot be understood, or has too many lines.
    """
    photos: dict[str, bytes | None] = {}
    most = serving.settings.bulk_items
    if body.kind == NDJSON:
        text = await body.whole()
    elif body.kind == FORM:
        form = await body.form(parts=most + 1)
        given = [text.encode() for text in form.fields.get("items", ())]
        given += [file.getvalue() for file in form.files.get("items", ())]
        given += [b"" for name in form.untouched if name == "items"]
        unknown = ({*form.fields} - {"items"}) | ({*form.files, *form.untouched} - {"items", "photo"})
        if len(given) != 1 or unknown:
            raise Refusal("bad_request", "expected one part `items` and files `photo`, and nothing else")
        text = given[0]
        for file in form.files.get("photo", ()):
            photos[file.name] = None if file.name in photos else file.getvalue()
    else:
        raise other_kind(body.kind, [NDJSON, FORM])
    lines = text.split(b"\n")
    check_end(lines)
    if sum(1 for line in lines if line.strip()) > most:
        raise Refusal("too_large", f"at most {most:,} items can be sent at once", facts={"limit": most})
    return lines, photos


def check_end(lines: Sequence[bytes]) -> None:
    """Refuse lines of which the last is cut off: it has no end, and is no JSON.

    Raises:
        Refusal: It is.
    """
    if lines[-1].strip():
        try:
            parsed(lines[-1])
        except Refusal as error:
            message = f"the body is cut off in line {len(lines)}, nothing was written: {error}"
            raise Refusal("bad_request", message) from None


@dataclass
class Report:
    """What became of the lines so far."""

    lines: list[dict[str, Any]]
    places: Sequence[str]

    def done(self, line: int, item_id: str, *, new: bool) -> None:
        """Take down that a line was written."""
        self.lines.append({"line": line, "id": item_id, "status": "added" if new else "updated", "error": None})

    def failed(self, line: int, item_id: str | None, error: LookalikeError) -> None:
        """Take down that a line was not."""
        told = shown_refusal(refusal_of(error), self.places)["error"]
        self.lines.append({"line": line, "id": item_id, "status": "failed", "error": told})

    def to_json(self) -> dict[str, Any]:
        """As it is sent."""
        counts = {
            status: sum(line["status"] == status for line in self.lines) for status in ("added", "updated", "failed")
        }
        return {**counts, "lines": sorted(self.lines, key=lambda line: int(line["line"]))}


def write_lines(lines: list[bytes], photos: Photos, serving: Serving) -> dict[str, Any]:
    """Write all lines, a batch at a time; runs in the writer's thread."""
    writer, batch = serving.writer, serving.settings.batch
    report = Report([], serving.places)
    waiting: dict[str, tuple[int, Ready]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        item_id = None
        try:
            item = checked(BulkItem, parsed(line))
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


def write_batch(waiting: dict[str, tuple[int, Ready]], writer: ItemWriter, report: Report) -> None:
    """Write the items that wait, all together; if one of them is to blame for a failure, one by one, to find it."""
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
        else:  # a full disk or another writer is no item's fault
            for number, ready in batch:
                report.failed(number, ready.written.id, error)
        return
    for (number, ready), (_, new) in zip(batch, added, strict=True):
        report.done(number, ready.written.id, new=new)


def written_of(item: BulkItem, photos: Photos) -> Written:
    """What a line wants.

    Raises:
        Refusal: Its photo is not there, or there are two.
    """
    if item.photo is not None and item.photo_base64 is not None:
        raise Refusal("invalid", "photo: give either photo or photo_base64")
    data, name = None, "photo_base64"
    if item.photo is not None:
        if item.photo not in photos:
            raise Refusal("photo_needed", f"no file of the form is called {item.photo!r}")
        data, name = photos[item.photo], item.photo
        if data is None:
            raise Refusal("invalid", f"photo: several files of the form are called {item.photo!r}")
    elif item.photo_base64 is not None:
        data = from_base64(item.photo_base64)
    box = None if item.box is None else Box(*item.box)
    return Written(item.id, item.product, item.attributes, box=box, photo=data, name=name)


def from_base64(text: str) -> bytes:
    """Read a photo in base64: in lines or not, with either alphabet, padded or not, also as a `data:` URI.

    Raises:
        Refusal: It is none.
    """
    text = text.strip()
    if text[:5].lower() == "data:":
        kind, comma, text = text.partition(",")
        if not comma or not kind.replace(" ", "").lower().endswith(";base64"):
            raise Refusal("invalid", "photo_base64: expected data:image/...;base64,... or base64 alone")
        text = unquote(text)
    plain = "".join(text.split()).translate(STANDARD).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise Refusal("invalid", "photo_base64: not base64") from None
