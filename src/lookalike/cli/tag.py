"""`lookalike tag`: fill missing attributes by what a model sees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import say, say_skipped, write, write_json, write_table
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Columns, Device, Encoding, Json, Model, Runtime, pairs
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError


def tag(
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="Catalogue: a folder or a table.")] = None,
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="G", help="Gallery to tag, instead of a SOURCE.")
    ] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="HEAD[=ATTRIBUTE]",
            help="Head of the model, and the attribute to fill; by default kind, colour and gender; may be repeated.",
        ),
    ] = None,
    least: Annotated[
        float, typer.Option("--least", metavar="P", help="Least probability of a tag, from 0 to 1.")
    ] = 0.8,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE.csv", help="Table of the SOURCE with its tags to write.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the tags, and leave the gallery as it is.")] = False,
    column: Columns = None,
    encoding: Encoding = None,
    model: Model = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Fill missing attributes by what the model sees in the photos; values that are there stay."""
    from lookalike.tuning.tagging import HEADS
    from lookalike.tuning.tagging import tag as fill

    if out is not None and source is None:
        raise UsageError("--out writes the table of a SOURCE; the tags of a gallery are written into it")
    named = [text if "=" in text else f"{text}={text}" for text in head or ()]
    with progress_of("photos") as progress:
        made = fill(
            source,
            gallery=gallery,
            model=model,
            heads=pairs(named, option="--head") if named else HEADS,
            least=least,
            dry_run=dry_run,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            runtime=runtime,
            device=device,
            progress=progress,
        )
    say_skipped(made.skipped)
    if out is not None:
        made.write_table(out)
        say(f"wrote {out}")
    if json:
        write_json(made.to_json())
    elif made.tags and (dry_run or (gallery is None and out is None)):
        columns = {
            "id": [each.id for each in made.tags],
            "attribute": [each.attribute for each in made.tags],
            "value": [each.value for each in made.tags],
            "probability": [f"{each.probability:.2f}" for each in made.tags],
        }
        write_table(columns, right=["probability"])
    if not json:
        written = "written into the gallery" if made.tags and not dry_run else "the gallery is as it was"
        where = "" if gallery is None else f"; {written}"
        write(f"{counted(len(made.tags), 'tag')} of {counted(made.photos, 'photo')} with missing attributes{where}")
    return SOME_SKIPPED if made.skipped else 0
