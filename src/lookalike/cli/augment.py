"""`lookalike augment`: a gallery whose items borrow from their neighbours, made of another one."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.console import write, write_json
from lookalike.cli.options import Gallery, Json
from lookalike.cli.progress import progress_of


def augment(
    gallery: Gallery,
    target: Annotated[str, typer.Option("--to", metavar="G", help="The new gallery.")],
    neighbours: Annotated[int, typer.Option("--neighbours", "-n", metavar="N", help="Of each item.")] = 5,
    json: Json = False,
) -> None:
    """Copy a gallery with each item's nearest neighbours added to it; for catalogues with many photos of a product."""
    from lookalike.augmenting import augment_gallery

    with progress_of("items") as tell:
        items = augment_gallery(gallery, target, neighbours=neighbours, progress=tell)
    if json:
        write_json({"items": items, "neighbours": neighbours})
    else:
        write(f"{items:,} items in {target}, each with its {neighbours} nearest added to it")
