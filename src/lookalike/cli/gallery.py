"""`lookalike gallery ...`: inspect, change and maintain a gallery; other modules add commands to it."""

from __future__ import annotations

import json as json_format
from time import perf_counter
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import item_columns, say, write, write_facts, write_json, write_table
from lookalike.cli.options import Gallery, Json, Strong, Where, pairs, seen
from lookalike.counts import counted
from lookalike.errors import UsageError
from lookalike.gallery.record_batch import PRODUCT
from lookalike.gallery.request import SearchRequest
from lookalike.types import JSON, item_json

if TYPE_CHECKING:
    from lookalike.gallery.local.gallery import LocalGallery
    from lookalike.gallery.milvus.gallery import MilvusGallery

app = typer.Typer(help="Inspect, change, maintain and copy a gallery.", no_args_is_help=True)

ItemId = Annotated[str, typer.Argument(metavar="ID", help="Item id.")]


@app.command()
def info(gallery: Gallery, strong: Strong = False, json: Json = False) -> None:
    """Show counts, spaces, sizes and the state of the index."""
    facts = opened(gallery, strong=strong).info()
    if json:
        write_json(facts)
    else:
        write_facts(facts)


@app.command("list")
def list_items(
    gallery: Gallery,
    where: Where = None,
    offset: Annotated[int, typer.Option("--offset", metavar="N", help="Skip the first N.")] = 0,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="Show at most N.")] = 50,
    group: Annotated[
        str | None, typer.Option("--group", metavar="product", help="List products, of each the first item.")
    ] = None,
    strong: Strong = False,
    json: Json = False,
) -> None:
    """List items in the order in which they were added."""
    total, items = opened(gallery, strong=strong).list(where=where, offset=offset, limit=limit, group=group)
    if json:
        write_json({"total": total, "items": [item_json(item) for item in items]})
        return
    if items:
        write_table(item_columns(items), cut="known")
    if not total:
        say("no item passes the filter" if where else "the gallery has no items")
    if len(items) < total:
        noun = "items" if group is None else "products"
        say(f"{len(items):,} of {total:,} {noun}; see --offset and --limit")


@app.command()
def get(gallery: Gallery, item: ItemId, strong: Strong = False, json: Json = False) -> None:
    """Show an item: product, photo, box and attributes, and the overrides among these."""
    _show(opened(gallery, strong=strong), item, json=json)


@app.command("set")
def set_attributes(
    gallery: Gallery,
    item: ItemId,
    attributes: Annotated[
        list[str],
        typer.Argument(metavar="NAME=VALUE...", help="Value as JSON, or else text; null removes the attribute."),
    ],
    json: Json = False,
) -> None:
    """Set attributes of an item, or its product; indexing the catalogue again keeps these, until they are unset."""
    shop = opened(gallery)
    shop.override(item, {name: _value_of(name, text) for name, text in pairs(attributes, option="set").items()})
    _show(shop, item, json=json)


@app.command()
def unset(
    gallery: Gallery,
    item: Annotated[str | None, typer.Argument(metavar="ID", help="Item id.")] = None,
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...", help="Attributes, or product.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that is set by hand.")] = False,
    product: Annotated[
        str | None,
        typer.Option("--product", metavar="NAME", help="The product of all items of which this one is set by hand."),
    ] = None,
    json: Json = False,
) -> None:
    """Drop overrides of an item, or a product set by hand, so that the values of the catalogue count again."""
    if product is not None:
        if item is not None or everything:
            raise UsageError("give either --product, or the id of an item")
        from lookalike.cli.undo import undo

        undo(gallery, product, json=json)
        return
    if item is None:
        raise UsageError("give the id of an item, or --product NAME")
    if bool(names) == everything:
        raise UsageError("give either names of attributes or --all")
    shop = opened(gallery)
    shop.unset(item, None if everything else names)
    _show(shop, item, json=json)


@app.command()
def remove(
    gallery: Gallery, ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Item ids.")], json: Json = False
) -> None:
    """Remove items; if one of them does not exist, remove none."""
    from lookalike.gallery.photo_store import PhotoStore

    shop = opened(gallery, strong=True)
    with shop.writing():
        items = [shop.get(item_id) for item_id in ids]
        removed = shop.remove(ids)
        photos = PhotoStore(shop)
        for item in items:
            photos.drop(item)
    if json:
        write_json({"removed": removed})
    else:
        write(f"{removed:,} removed")


@app.command()
def compact(gallery: Gallery, json: Json = False) -> None:
    """Free the space of removed items, and rebuild the indexes."""
    shop = opened(gallery)
    before = shop.stored_bytes()
    shop.compact()
    after = shop.stored_bytes()
    if json:
        write_json({"bytes_before": before, "bytes_after": after})
    else:
        write(f"{before / 1e6:,.1f} MB before, {after / 1e6:,.1f} MB now")


@app.command()
def verify(
    gallery: Gallery,
    photos: Annotated[bool, typer.Option("--photos", help="Also check that the photo files exist.")] = False,
    json: Json = False,
) -> int:
    """Check all data, checksums and indexes; exit code 1 if there are problems."""
    health = opened(gallery).verify(photos=photos)
    if json:
        write_json(health.to_json())
    else:
        for problem in health.problems:
            write(problem)
        problems = counted(len(health.problems), "problem") if health.problems else "no problems"
        write(f"{counted(health.items, 'item')}, {problems}")
    return 1 if health.problems else 0


@app.command()
def cluster(gallery: Gallery, json: Json = False) -> None:
    """Build the kmeans index now rather than at the first search with `--index kmeans`."""
    shop = opened(gallery)
    started = perf_counter()
    _, first = shop.list(limit=1)
    if not first:
        raise UsageError(f"{gallery} is empty; there is nothing to cluster")
    shop.search(shop.vectors(first[0].id), SearchRequest(k=1, index="kmeans"))
    seconds = perf_counter() - started
    if json:
        write_json({"items": len(shop), "seconds": round(seconds, 3)})
    else:
        write(
            f"clustered {counted(len(shop), 'item')} in {seconds:.1f} s; search with --index kmeans, --probes for more "
            "clusters"
        )


@app.command()
def tune(
    gallery: Gallery,
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE...",
            help="nlist, nprobe, M, efConstruction or ef; without any, the current values are shown.",
        ),
    ] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Restore the defaults.")] = False,
    json: Json = False,
) -> None:
    """Set the index parameters of a gallery in a folder; parameters that are not given return to the defaults."""
    from lookalike.gallery.local.gallery import LocalGallery

    kept = opened(gallery)
    if not isinstance(kept, LocalGallery):
        raise UsageError(f"{gallery} is on Milvus; give the parameters in the address, such as ?index=HNSW&M=32")
    if settings or reset:
        if settings and reset:
            raise UsageError("give either --reset or NAME=VALUE, not both")
        kept.set_index(whole_numbers(settings or []))
        kept.optimise()
    made_with = kept.index_settings.to_json()
    if json:
        write_json(made_with)
    else:
        write(", ".join(f"{name} {value:,}" for name, value in made_with.items()) or "the defaults of each index")


def whole_numbers(texts: list[str]) -> dict[str, int]:
    """Parse `NAME=VALUE` settings.

    Raises:
        UsageError: A value is not an integer.
    """
    try:
        return {name: int(value) for name, value in pairs(texts, option="settings").items()}
    except ValueError:
        raise UsageError(f"expected whole numbers, such as nlist=1024, got {' '.join(texts)}") from None


def opened(gallery: str, *, strong: bool = False) -> LocalGallery | MilvusGallery:
    """Open the gallery at an address.

    Raises:
        GalleryNotFoundError: There is no gallery.
    """
    from lookalike.gallery.opening import open_gallery

    return open_gallery(seen(gallery, strong=strong))


def _show(shop: LocalGallery | MilvusGallery, item_id: str, *, json: bool) -> None:
    from lookalike.gallery.editing import stored_item

    facts = stored_item(shop, item_id).to_json()
    if json:
        write_json(facts)
    else:
        write_facts(facts)


def _value_of(name: str, text: str) -> JSON:
    """Parse a value as JSON, such as 19.9 or true; anything else is text, and so is a product.

    Raises:
        UsageError: The value is an integer of thousands of digits.
    """
    if name == PRODUCT and text != "null":
        return text
    try:
        value: JSON = json_format.loads(text)
    except (json_format.JSONDecodeError, RecursionError):  # the latter for very deep nesting
        return text
    except ValueError as error:  # Python reads no integer of more than 4,300 digits
        from lookalike.gallery.records import TOO_LONG

        raise UsageError(f"the value cannot be stored: {TOO_LONG}") from error
    return value
