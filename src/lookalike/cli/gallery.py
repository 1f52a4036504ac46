"""`lookalike gallery ...`: look at a gallery, change it, look after it, bring it elsewhere."""

from __future__ import annotations

import json as json_format
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import attributes_line, say, write, write_facts, write_json, write_table
from lookalike.cli.options import Gallery, Json, Where, pairs
from lookalike.types import JSON, item_json

if TYPE_CHECKING:
    from lookalike.gallery.local import LocalGallery
    from lookalike.types import Item

app = typer.Typer(help="Look at a gallery, change it, look after it, bring it elsewhere.", no_args_is_help=True)

ItemId = Annotated[str, typer.Argument(metavar="ID", help="The item.")]


@app.command()
def info(gallery: Gallery, json: Json = False) -> None:
    """Say what a gallery is: counts, spaces, sizes, the state of its index."""
    facts = opened(gallery).info()
    if json:
        write_json(facts)
    else:
        write_facts(facts)


@app.command("list")
def list_items(
    gallery: Gallery,
    where: Where = None,
    offset: Annotated[int, typer.Option("--offset", metavar="N", help="Pass over the first N.")] = 0,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show at most N.")] = 50,
    json: Json = False,
) -> None:
    """List items, in the order in which they were added."""
    total, items = opened(gallery).list(where=where, offset=offset, limit=limit)
    if json:
        write_json({"total": total, "items": [item_json(item) for item in items]})
        return
    rows = [[item.id, item.product or "-", attributes_line(item.attributes) or item.photo] for item in items]
    write_table(["id", "product", "known"], rows)
    if len(items) < total:
        say(f"{len(items):,} of {total:,} items; see --offset and --limit")


@app.command()
def get(gallery: Gallery, item: ItemId, json: Json = False) -> None:
    """Show all that is known of an item."""
    _show(opened(gallery).get(item), json=json)


@app.command("set")
def set_attributes(
    gallery: Gallery,
    item: ItemId,
    attributes: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE...", help="JSON, or else text; null takes the attribute away.")
    ],
    json: Json = False,
) -> None:
    """Change attributes of an item; its vectors stay."""
    changes = {name: _json_or_text(text) for name, text in pairs(attributes, option="set").items()}
    shop = opened(gallery)
    with shop.writing():
        known = shop.get(item)
        merged = {**known.attributes, **changes}
        changed = replace(known, attributes={name: value for name, value in merged.items() if value is not None})
        shop.describe([changed])
    _show(changed, json=json)


@app.command()
def remove(
    gallery: Gallery, ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The items.")], json: Json = False
) -> None:
    """Remove items; none at all when one of them is not there."""
    shop = opened(gallery)
    with shop.writing():
        for item_id in ids:
            shop.get(item_id)
        removed = shop.remove(ids)
    if json:
        write_json({"removed": removed})
    else:
        write(f"{removed:,} removed")


def opened(gallery: str) -> LocalGallery:
    """The gallery of a folder.

    Raises:
        GalleryNotFoundError: There is none.
    """
    from pathlib import Path

    from lookalike.gallery.local import LocalGallery

    return LocalGallery(Path(gallery))


def _show(item: Item, *, json: bool) -> None:
    if json:
        write_json(item_json(item))
    else:
        write_facts(item_json(item))


def _json_or_text(text: str) -> JSON:
    """A value as JSON has it, such as 19.9 or true; anything else is text."""
    try:
        value: JSON = json_format.loads(text)
    except ValueError:
        return text
    return value
