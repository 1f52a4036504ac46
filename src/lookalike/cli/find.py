"""`lookalike find`: garments in photos."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated, Any

import typer

from lookalike.cli.console import say, write_json, write_table
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import FinderFile, Json
from lookalike.cli.query_photos import opened
from lookalike.cli.search import check_can_be_written
from lookalike.errors import PhotoError, UsageError
from lookalike.finding.decoding import LISTED


def find(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos: files, URLs, or - for standard input.")
    ],
    json: Json = False,
    picture: Annotated[
        Path | None,
        typer.Option("--picture", metavar="FILE", help="Write a picture of the photo with its garments outlined."),
    ] = None,
    least: Annotated[
        float, typer.Option("--least", metavar="SCORE", help="Lowest score of a garment, from 0.05 to 1.")
    ] = LISTED,
    finder: FinderFile = None,
) -> int:
    """Find the garments in photos: box, kind and score of each."""
    if picture is not None and len(photos) != 1:
        raise UsageError(f"--picture draws one photo, got {len(photos)}")
    check_can_be_written(montage=picture, html=None)
    from lookalike.finding.finder import Finder, check_least

    check_least(least)
    sought = Finder(finder)
    found: list[dict[str, Any]] = []
    skipped = 0
    for photo in photos:
        try:
            source = opened(photo)
            garments = sought.find(source, least=least)
        except PhotoError as error:
            if len(photos) == 1:
                raise
            say(f"skipped {error}")
            found.append({"photo": photo, "error": str(error)})
            skipped += 1
            continue
        found.append({"photo": photo, "garments": [garment.to_json() for garment in garments]})
        if picture is not None:
            from lookalike.images import open_image
            from lookalike.render.garment_picture import write_garments

            if isinstance(source, BytesIO):
                source.seek(0)
            write_garments(picture, open_image(source), garments)
            say(f"wrote {picture}")
    if json:
        write_json({"photos": found})
    else:
        _write_tables(found)
    return SOME_SKIPPED if skipped else 0


def _write_tables(found: list[dict[str, Any]]) -> None:
    rows = [(one["photo"], garment) for one in found for garment in one.get("garments", ())]
    for one in found:
        if one.get("garments") == []:
            say(f"{one['photo']}: no garment found")
    if not rows:
        return
    columns = {
        "photo": [photo for photo, _ in rows],
        "kind": [garment["kind"] for _, garment in rows],
        "score": [f"{garment['score']:.2f}" for _, garment in rows],
        "box": [",".join(f"{corner:g}" for corner in garment["box"]) for _, garment in rows],
    }
    write_table(
        columns if len(found) > 1 else {name: columns[name] for name in ("kind", "score", "box")}, right=("score",)
    )
