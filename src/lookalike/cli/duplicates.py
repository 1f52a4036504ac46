"""`lookalike gallery duplicates`: photos that are there twice, and products that may be one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import say, say_skipped, write, write_json, write_table
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Gallery, Json
from lookalike.cli.progress import progress_of

SHOWN = 20
"""Groups of each grade that the table shows; `--json` and `--html` have all."""

NAMED = 4
"""Items of a group that the table names."""


def duplicates(
    gallery: Gallery,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write a page with the pictures side by side.")
    ] = None,
    json: Json = False,
) -> int:
    """List photos that are in a gallery twice, products that may be one, and similar ones."""
    from lookalike.cli.gallery import opened
    from lookalike.gallery.photo_reader import PhotoReader
    from lookalike.tuning.duplicates.find import GRADES, find_duplicates

    with progress_of("items, then photos, then pairs") as tell:
        found = find_duplicates(gallery, progress=lambda _what, done, total: tell(done, total))
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
    if html is not None:
        from lookalike.render.duplicates_page import write_duplicates_page

        with opened(gallery) as shop:
            write_duplicates_page(html, found.groups, read_photo=PhotoReader.of(shop))
        say(f"wrote {html}")
    say_skipped([f"{item_id}: {reason}" for item_id, reason in found.unreadable.items()])
    return SOME_SKIPPED if found.unreadable else 0
