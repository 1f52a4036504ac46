"""`lookalike gallery export` and `import`: items and vectors into other files, or another gallery, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import write, write_json
from lookalike.cli.gallery import opened
from lookalike.cli.options import Gallery, Json, seen
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.gallery.transfer.copy import Copied


def export_gallery(
    gallery: Gallery,
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="Folder to write to, or milvus://...")],
    kind: Annotated[
        str | None, typer.Option("--format", metavar="NAME", help="original, parquet (the default) or gallery.")
    ] = None,
    json: Json = False,
) -> None:
    """Export items and vectors as Parquet, as files of the original system, or into another gallery."""
    from lookalike.gallery.transfer.copy import is_gallery
    from lookalike.gallery.transfer.folders import FORMATS, export_gallery

    if kind == "gallery" or (kind is None and is_gallery(to)):
        _report(_copied(gallery, to, with_roots=True), json=json)
        return
    if to.startswith("milvus"):
        raise UsageError(f"--format {kind} writes a folder; to export to {to}, give --format gallery")
    kind = kind or "parquet"
    folder, shop = Path(to), opened(gallery, strong=True)
    with progress_of("items") as tell:
        export_gallery(shop, folder, format=kind, progress=tell)
    if json:
        write_json({"items": len(shop), "files": [str(folder / name) for name in FORMATS[kind]]})
    else:
        write(f"wrote {counted(len(shop), 'item')} to {', '.join(str(folder / name) for name in FORMATS[kind])}")


def import_gallery(
    source: Annotated[
        str,
        typer.Argument(metavar="DIR", help="Folder written by `export` or by the original system, or another gallery."),
    ],
    gallery: Gallery,
    json: Json = False,
) -> None:
    """Import items and vectors from a folder or another gallery; items of the same id are replaced."""
    from lookalike.gallery.opening import open_gallery
    from lookalike.gallery.transfer.copy import is_gallery
    from lookalike.gallery.transfer.folders import import_folder

    if is_gallery(source):
        _report(_copied(source, gallery, with_roots=False), json=json)
        return
    folder = Path(source)
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder")
    into = open_gallery(gallery, create=True)
    try:
        with progress_of("items") as tell:
            count = import_folder(folder, into, progress=tell)
    except BaseException:
        into.discard_if_unused()
        raise
    if json:
        write_json({"items": count})
    else:
        write(f"{counted(count, 'item')} imported")


def _copied(source: str, target: str, *, with_roots: bool) -> Copied:
    """Copy a gallery into another one, and compare them."""
    from lookalike.gallery.opening import open_gallery
    from lookalike.gallery.photo_store import PhotoStore
    from lookalike.gallery.transfer.copy import copy_gallery

    with opened(source, strong=True) as shop, open_gallery(seen(target, strong=True), create=True) as into:
        try:
            with progress_of("items") as tell:
                return copy_gallery(shop, into, with_roots=with_roots, progress=tell)
        except BaseException:
            PhotoStore(into).clear_up()
            into.discard_if_unused()
            raise


def _report(copied: Copied, *, json: bool) -> None:
    if json:
        write_json(copied.to_json())
    else:
        write(
            f"{counted(copied.items, 'item')}, {copied.written:,} of them written now; source and copy are equal, "
            f"checksum {copied.checksum}"
        )
