"""Tree of commands."""

from __future__ import annotations

from typing import Any

import typer
from typer.main import get_command

from lookalike.cli import (
    augment,
    backup,
    bench,
    calibrate,
    catalogue,
    demo,
    doctor,
    duplicates,
    evaluate,
    export,
    find,
    fuse,
    gallery,
    index,
    jobs,
    keys,
    learn,
    reduce,
    remodel,
    report,
    search,
    serve,
    sweep,
    tag,
    train,
    transfer,
)
from lookalike.cli.once import use_everywhere
from lookalike.cli.ray_option import RayCommand

app = typer.Typer(
    help="A photo of a garment in, the same and similar garments out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("demo")(demo.demo)
app.command("index", cls=RayCommand)(index.index)
app.command("search")(search.search)
app.command("find")(find.find)
gallery.app.command("export")(transfer.export_gallery)
gallery.app.command("import")(transfer.import_gallery)
gallery.app.command("backup")(backup.backup)
gallery.app.command("restore")(backup.restore)
gallery.app.command("remodel")(remodel.remodel)
gallery.app.command("duplicates")(duplicates.duplicates)
gallery.app.command("merge")(duplicates.merge)
app.add_typer(gallery.app, name="gallery")
app.add_typer(catalogue.app, name="catalogue")
app.command("serve")(serve.serve)
app.command("jobs")(jobs.jobs)
app.add_typer(keys.app, name="keys")
app.command("train")(train.train)
app.command("sweep")(sweep.sweep)
app.command("evaluate", cls=RayCommand)(evaluate.evaluate)
app.command("fuse")(fuse.fuse)
app.command("learn")(learn.learn)
app.add_typer(report.app, name="report")
app.command("reduce")(reduce.reduce)
app.command("augment")(augment.augment)
app.command("export")(export.export)
app.command("tag")(tag.tag)
app.command("calibrate")(calibrate.calibrate)
app.command("bench")(bench.bench)
app.command("doctor")(doctor.doctor)
use_everywhere(app)


def command() -> Any:  # noqa: ANN401 - its type is private to Typer
    """Click command of the whole tree."""
    return get_command(app)
