"""`lookalike index`: bring a gallery up to date with a catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import (
    Boxes,
    Columns,
    Device,
    Encoding,
    Exclude,
    FinderFile,
    Gallery,
    Json,
    Models,
    Photos,
    Runtime,
    pairs,
)
from lookalike.cli.progress import progress_of
from lookalike.cli.ray_option import Ray
from lookalike.counts import counted
from lookalike.errors import PruneLimitError

if TYPE_CHECKING:
    from lookalike.ingest.report import IndexReport


def index(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Folder, table or feed of a shop, local or in a store; `drawn`; or - for paths on standard input.",
        ),
    ],
    gallery: Gallery,
    source_name: Annotated[
        str | None,
        typer.Option(
            "--source",
            metavar="NAME",
            help="Name under which later runs update and prune these items; by default the path or URL of SOURCE.",
        ),
    ] = None,
    model: Models = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", help="Number of photos to embed at once.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers", metavar="N", help="Number of threads that decode and embed, or of processes that decode."
        ),
    ] = None,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove items of earlier runs that have vanished from the source.")
    ] = False,
    prune_limit: Annotated[
        float | None,
        typer.Option(
            "--prune-limit",
            metavar="SHARE",
            help="With --prune: remove nothing if more than this share of the source's items has vanished; 0.2 without "
            "it, 1 removes any number.",
        ),
    ] = None,
    discard_overrides: Annotated[
        bool,
        typer.Option(
            "--discard-overrides", help="Drop values set by hand of attributes that SOURCE brings; others stay."
        ),
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first photo that cannot be read.")] = False,
    column: Columns = None,
    encoding: Encoding = None,
    exclude: Exclude = None,
    boxes: Boxes = None,
    photos: Photos = None,
    garments: Annotated[
        bool,
        typer.Option(
            "--garments", help="Find the garments of each photo, and make each of them searchable; see --finder."
        ),
    ] = False,
    finder: FinderFile = None,
    ray: Ray = None,
    shards: Annotated[
        str | None,
        typer.Option(
            "--shards", metavar="WHERE", help="With --ray: folder or URL that all machines of the cluster can reach."
        ),
    ] = None,
    json: Json = False,
) -> int:
    """Bring a gallery up to date with a catalogue; unchanged photos are not embedded again."""
    import lookalike
    from lookalike.catalogue.boxes import parse

    shop = lookalike.open(gallery, model=model, runtime=runtime, device=device, finder=finder)
    try:
        with progress_of("photos") as tell:
            report = shop.index(
                source,
                source_name=source_name,
                columns=pairs(column, option="--column"),
                encoding=encoding,
                exclude=exclude or (),
                boxes=None if boxes is None else parse(boxes),
                photos=photos,
                garments=garments,
                batch=batch,
                workers=workers,
                prune=prune,
                prune_limit=prune_limit,
                discard_overrides=discard_overrides,
                strict=strict,
                progress=lambda so_far, total: tell(so_far.done, total),
                ray=ray,
                shards=shards,
            )
    except PruneLimitError as error:
        _tell(error.report, gallery, json=json)
        raise
    except KeyboardInterrupt:
        say("stopped; finished work is kept, and the same command continues from there")
        raise
    _tell(report, gallery, json=json)
    return SOME_SKIPPED if report.skipped else 0


def _tell(report: IndexReport, gallery: str, *, json: bool) -> None:
    for one in report.skipped:
        say(f"skipped {one.photo}: {one.reason}")
    if json:
        write_json(report.to_json())
    else:
        _present(report, gallery)


def _present(report: IndexReport, gallery: str) -> None:
    counts = ("added", "updated", "unchanged", "removed")
    told = [f"{getattr(report, name):,} {name}" for name in counts]
    told += [f"{len(report.skipped):,} skipped"]
    told += [f"{report.replaced:,} replaced"] if report.replaced else []
    write(", ".join(told))
    embedded, total = report.embedded, report.seconds["total"]
    if embedded:
        phases = ", ".join(f"{name} {report.seconds[name]:.1f}" for name in ("wait", "embed", "write"))
        found = "" if report.garments is None else f" with {counted(report.garments, 'garment')}"
        rate = f"{embedded / total:.{0 if embedded >= 10 * total else 1}f}/s"
        write(f"{counted(embedded, 'photo')}{found} in {total:.1f} s, {rate} (seconds: {phases})")
    if report.reused:
        write(f"{counted(report.reused, 'photo')} of known contents, whose vectors were copied")
    if report.discarded_overrides:
        say(f"values set by hand that were discarded, since SOURCE brings others: {report.discarded_overrides:,}")
    if report.kept:
        say(f"{report.kept:,} items were not found and are kept: they may only be out of reach")
    if report.outside:
        where = "outside the folder of SOURCE, such as ../1.jpg or the target of a link"
        say(
            f"the photos of {report.outside:,} items lie {where}; they are found but not shown, "
            "unless `serve` has their folders in `roots`"
        )
    for source, count in report.replaced_from.items():
        whose = f"the source {source}" if source else "no source"
        say(f"{count:,} items with the same ids were of {whose}, and are of this source now")
    if report.skipped and "://" not in gallery:
        say(f"the skipped photos are listed in {gallery}/skipped.csv")
