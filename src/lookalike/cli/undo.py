"""Undoing a merge on the command line, for `lookalike gallery unset --product`."""

from __future__ import annotations

from lookalike.cli.console import write, write_json
from lookalike.cli.options import seen
from lookalike.types import JSON


def undo(gallery: str, product: str, *, json: bool) -> None:
    """Give the items of a product that was set by hand the products of their catalogue again."""
    from lookalike.tuning.duplicates.applying import unset_product

    ids = unset_product(seen(gallery, strong=True), product)
    if json:
        write_json({"items": list[JSON](ids)})
    else:
        write(f"{len(ids):,} items have the product of their catalogue again")
