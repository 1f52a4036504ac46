"""`lookalike reduce`: PCA projection of a gallery."""

from __future__ import annotations

from typing import Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Gallery, Json, numbers
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError


def reduce(
    gallery: Gallery,
    target: Annotated[str, typer.Option("--to", metavar="G", help="The new gallery.")],
    dimension: Annotated[
        list[str],
        typer.Option(
            "--dimension", metavar="SPACE=N", help="New dimension of a space, such as deep=128; may be repeated."
        ),
    ],
    whiten: Annotated[
        float,
        typer.Option(
            "--whiten",
            metavar="P",
            help="Strength of whitening, from 0 (none) to 1 (equal variance in all directions).",
        ),
    ] = 0.0,
    json: Json = False,
) -> None:
    """Copy a gallery with PCA-projected vectors, which take less space and are faster to search."""
    from lookalike.tuning.pca import reduce as reduce_to

    with progress_of("items") as tell:
        made = reduce_to(gallery, target, dimensions=whole_numbers(dimension), whiten=whiten, progress=tell)
    if json:
        write_json(made.to_json())
        return
    before, after = made.floats
    write(f"{counted(made.items, 'item')} in {target}: rows of {after:,} numbers instead of {before:,}")
    for name, share in made.variance_kept.items():
        write(f"{name}: {share:.1%} of the variance kept")
    write(f"{made.kept_of_ten:.1%} of the 10 nearest neighbours are still found ({made.asked:,} queries)")
    say("learned weights are not copied; `lookalike fuse` learns new ones for the shorter rows")


def whole_numbers(texts: list[str]) -> dict[str, int]:
    """Dimensions by space.

    Raises:
        UsageError: A dimension is not a whole number.
    """
    read = numbers(texts, option="--dimension")
    for name, value in read.items():
        if not value.is_integer():
            raise UsageError(f"--dimension {name} expects a whole number, got {value:g}")
    return {name: int(value) for name, value in read.items()}
