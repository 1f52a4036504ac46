"""`lookalike augment`: database-side feature augmentation of a gallery."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.console import write, write_json
from lookalike.cli.options import Gallery, Json
from lookalike.cli.progress import progress_of
from lookalike.counts import counted


def augment(
    gallery: Gallery,
    target: Annotated[str, typer.Option("--to", metavar="G", help="The new gallery.")],
    neighbours: Annotated[
        int, typer.Option("--neighbours", "-n", metavar="N", help="Number of nearest neighbours to add to each item.")
    ] = 5,
    json: Json = False,
) -> None:
    """Copy a gallery and add to the vectors of each item those of its nearest neighbours.

    Helps catalogues with several photos of each product.
    """
    from lookalike.tuning.database_augmentation import augment as augment_to

    with progress_of("items") as tell:
        made = augment_to(gallery, target, neighbours=neighbours, progress=tell)
    if json:
        write_json(made.to_json())
    else:
        write(
            f"{counted(made.items, 'item')} in {target}, each with the vectors of its {made.neighbours} nearest "
            "neighbours added"
        )
