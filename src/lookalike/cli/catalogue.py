"""`lookalike catalogue`: check a catalogue, or draw one in the layout of a published data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, shown, write, write_json, write_table
from lookalike.cli.options import Columns, Encoding, Exclude, Json, pairs
from lookalike.cli.progress import progress_of
from lookalike.counts import counted

if TYPE_CHECKING:
    from lookalike.catalogue.checking import Check
    from lookalike.catalogue.leaks import Leak

SHOWN = 5
"""Largest number of missing and unanswerable photos shown; `--json` lists them all."""
WRONG, SOME_MISSING = 2, 3

app = typer.Typer(help="Check a catalogue, or draw one.", no_args_is_help=True)


@app.command("check")
def check(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A folder, the root of a published benchmark, a CSV or Parquet table, a feed of a shop, or `drawn`.",
        ),
    ],
    column: Columns = None,
    encoding: Encoding = None,
    exclude: Exclude = None,
    json: Json = False,
) -> int:
    """Summarise a catalogue: totals, missing photos, items without a right answer, leaks between splits, problems."""
    from lookalike.catalogue.checking import check_catalogue

    with progress_of("photos") as tell:
        found = check_catalogue(
            source,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            exclude=exclude or (),
            progress=tell,
        )
    if json:
        write_json(found.to_json())
    else:
        _present(found)
    if found.problems:
        return WRONG
    return SOME_MISSING if found.missing or found.skipped or found.leaks else 0


@app.command("draw")
def draw(
    layout: Annotated[
        str,
        typer.Argument(
            metavar="LAYOUT",
            help="attributes, attributes-fine, inshop, consumer2shop, deepfashion2, street2shop, sop, cub, fashioniq, "
            "fashion200k, hard, imagefolder or table.",
        ),
    ],
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="Folder to write to: empty, or created.")],
    products: Annotated[int, typer.Option("--products", metavar="N", help="Number of garments.")] = 46,
    photos: Annotated[int, typer.Option("--photos", metavar="N", help="Photos of each garment.")] = 4,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Random seed: each number gives other garments.")
    ] = 0,
) -> None:
    """Draw photos of garments in the layout of a published data set, to try commands without the data."""
    from lookalike.catalogue.sample.drawn import TABLE
    from lookalike.catalogue.sample.layouts.table import write_layout

    drawn = write_layout(to, layout=layout, products=products, photos=photos, seed=seed)
    source = to / TABLE if layout in ("table", "hard") else to
    write(f"drew {counted(len(drawn), 'photo')}; check them with: lookalike catalogue check {source}")


def _present(check: Check) -> None:
    from lookalike.catalogue.checking import COLUMNS

    write(f"{check.kind or 'not recognised'}: {check.source}")
    if check.splits:
        rows = [totals.to_json() for totals in check.splits.values()]
        columns = {name: [shown(row[name]) if row.get(name) else "" for row in rows] for name in COLUMNS}
        write_table({"split": list(check.splits), **columns}, right=COLUMNS)
        write(_few("missing photos", check.missing))
        if check.skipped:
            write(_few("skipped", check.skipped))
        write(_few("items without a right answer", check.unanswerable))
        write(_few("photos in several splits", [_leak_in_words(leak) for leak in check.leaks]))
    for note in check.notes:
        say(f"note: {note}")
    write(f"problems: {len(check.problems):,}")
    for problem in check.problems:
        say(f"problem: {problem}")


def _leak_in_words(leak: Leak) -> str:
    return " = ".join(f"{split} {photo}" for split, _, photo in leak.photos[:SHOWN])


def _few(what: str, names: list[str]) -> str:
    some = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return f"{what}: {len(names):,}" + (f" ({some})" if names else "")
