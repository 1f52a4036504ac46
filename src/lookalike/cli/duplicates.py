"""`lookalike gallery duplicates` and `merge`: photos that are there twice, products that may be one, and decisions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, say_skipped, write, write_json, write_table
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Gallery, Json, seen
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.tuning.duplicates.plan import AppliedDecisions

SHOWN = 20
"""Groups of each grade that the table shows; `--json` and `--html` have all."""

NAMED = 4
"""Items of a group that the table names."""


def duplicates(
    gallery: Gallery,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page to look at them and decide.")
    ] = None,
    reviewed: Annotated[bool, typer.Option("--reviewed", help="Also list what was decided before.")] = False,
    json: Json = False,
) -> int:
    """List photos that are in a gallery twice, products that may be one, and similar ones."""
    from lookalike.cli.gallery import opened
    from lookalike.gallery.photo_reader import PhotoReader
    from lookalike.tuning.duplicates.find import GRADES, find_duplicates

    with progress_of("items, then photos, then pairs") as tell:
        found = find_duplicates(gallery, reviewed=reviewed, progress=lambda _what, done, total: tell(done, total))
    if json:
        write_json(found.to_json())
    else:
        write(", ".join(f"{grade}: {len(found.of(grade)):,}" for grade in GRADES))
        shown = [group for grade in GRADES for group in found.of(grade)[:SHOWN]]
        if shown:
            write_table(
                {
                    "grade": [group.grade for group in shown],
                    "cosine": [f"{group.cosine:.3f}" for group in shown],
                    "items": [", ".join(item.id for item in group.items[:NAMED]) for group in shown],
                    "more": [f"{len(group.items) - NAMED:,}" if len(group.items) > NAMED else "" for group in shown],
                },
                right=("cosine", "more"),
            )
        if len(shown) < len(found.groups):
            say(f"and {len(found.groups) - len(shown):,} more; --json and --html show all")
    if html is not None:
        from lookalike.render.duplicates_page import write_duplicates_page

        with opened(gallery) as shop:
            write_duplicates_page(html, found.groups, read_photo=PhotoReader.of(shop))
        say(f"wrote {html}")
    say_skipped([f"{item_id}: {reason}" for item_id, reason in found.unreadable.items()])
    return SOME_SKIPPED if found.unreadable else 0


def merge(
    gallery: Gallery,
    items: Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Items whose products become one.")] = None,
    product: Annotated[
        str | None,
        typer.Option("--product", metavar="NAME", help="The product; without it that of the first item that has one."),
    ] = None,
    decisions: Annotated[
        Path | None,
        typer.Option("--decisions", metavar="FILE", help="File that the page of `gallery duplicates --html` saves."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would change, and change nothing.")] = False,
    json: Json = False,
) -> int:
    """Make one product of several, or apply what was decided of duplicates; exit code 3 if some were left out."""
    from lookalike.cli.gallery import opened
    from lookalike.tuning.duplicates.applying import apply_decisions
    from lookalike.tuning.duplicates.decisions import Decision, read_decisions

    if (decisions is None) == (not items) or (decisions is not None and product is not None):
        raise UsageError(
            "give either --decisions FILE, or ids of items, with --product NAME if it shall be another one"
        )
    if items and product is None and len(set(items)) < 2:
        raise UsageError("give two items or more, or --product NAME")
    asked = [Decision("merge", items or [], product)] if decisions is None else read_decisions(decisions)
    with opened(gallery, strong=True) as shop:
        for item_id in items or []:
            shop.get(item_id)  # a misspelt id is an error; one in a file may have been removed since
    done = apply_decisions(seen(gallery, strong=True), asked, dry_run=dry_run)
    if json:
        write_json(done.to_json())
    else:
        _tell(done)
    say_skipped([f"{each.id} of decision {each.decision}: {each.reason}" for each in done.left_out])
    return SOME_SKIPPED if done.left_out else 0


def _tell(done: AppliedDecisions) -> None:
    counts = f"{counted(len(done.moved), 'item')} of another product, {len(done.removed):,} removed"
    write(f"would be: {counts}" if done.dry_run else counts)
    if done.moved:
        shown = done.moved[:SHOWN]
        write_table(
            {
                "id": [each.id for each in shown],
                "before": [each.before or "-" for each in shown],
                "product": [each.product for each in shown],
            }
        )
    if len(done.moved) > SHOWN:
        say(f"and {len(done.moved) - SHOWN:,} more; --json lists all")
    if done.returning:
        say(
            f"{len(done.returning):,} of the removed items came from a catalogue, which brings them again unless they "
            f"are removed there: {', '.join(done.returning[:NAMED])}"
        )
