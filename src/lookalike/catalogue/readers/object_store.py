"""Catalogues in object stores and on the web: photos below a URL, and tables."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final
from weakref import finalize

from lookalike.catalogue.exclusions import Exclusions
from lookalike.catalogue.protocol import Catalogue, Skip
from lookalike.catalogue.readers.folder import IMAGE_ENDINGS, unreadable
from lookalike.errors import CatalogueError, PhotoError, UsageError
from lookalike.remote.addresses import place_of, shown
from lookalike.remote.object_store import download, kind_of, list_files
from lookalike.types import Item

PLAIN: Final = re.compile(r"\w[\w. -]{0,99}")
"""File names that the local copy of a table may keep."""

OpenTable = Callable[[Path, Mapping[str, str]], Catalogue]


def open_stored(url: str, *, columns: Mapping[str, str], exclusions: Exclusions, open_table: OpenTable) -> Catalogue:
    """Open the table at a URL, or all photos below it.

    Args:
        url: URL such as `s3://bucket/catalogue.parquet` or `s3://bucket/photos`; an HTTP URL must be that of a table.
        columns: Column names by role, see `lookalike.catalogue.open_catalogue`.
        exclusions: Objects left out of the catalogue.
        open_table: Opens a local table.

    Raises:
        CatalogueError: There is nothing there, or it cannot be read.
        UsageError: `columns` is given for photos.
        MissingExtraError: The library for such URLs is not installed.
    """
    if not url.partition("://")[2].strip("/"):
        raise CatalogueError(f"{url}: expected the name of a bucket or of a server after the scheme")
    try:
        place = place_of(url)
        kind = kind_of(url)
        if kind is None:
            raise CatalogueError(f"{place}: there is no such folder or table")
        if kind == "file":
            return _open_table(url, place, columns, open_table)
        if columns:
            raise UsageError(f"columns are for tables only, and {place} is not a table")
        return _open_listing(place, exclusions)
    except PhotoError as error:
        raise CatalogueError(f"{shown(url)}: {error.reason}") from None


def _open_listing(url: str, exclusions: Exclusions) -> Catalogue:
    """Make an item of every object with the suffix of a photo; contents are read when indexed."""
    found = list_files(url)
    shown = [path for path in found if not exclusions.excludes(path)]
    photos = [path for path in shown if path.lower().endswith(IMAGE_ENDINGS)]
    skipped = tuple(Skip(path, reason) for path in shown if (reason := unreadable(path, b"")))
    others = len(shown) - len(photos) - len(skipped)
    words = f"{others} other {'object' if others == 1 else 'objects'}"
    if not photos and not skipped:
        raise CatalogueError(f"{url}: there are no photos below it, and {words}")

    def items() -> Iterator[Item]:
        for photo in photos:
            parent, _, _ = photo.rpartition("/")
            yield Item(id=photo, photo=photo, root=url, attributes={"folder": parent} if parent else {})

    notes = (f"{words} passed over: not named like a photo",) if others else ()
    return Catalogue(
        kind="folder",
        source=url,
        items=items,
        count=len(photos),
        skipped=skipped,
        unlisted=frozenset() if photos else frozenset({""}),
        notes=notes,
    )


def _open_table(url: str, place: str, columns: Mapping[str, str], open_table: OpenTable) -> Catalogue:
    """Open a local copy of a table, which is read several times and must not change.

    Args:
        url: URL as given, with login or token.
        place: URL without them; stored as the source of the catalogue.
        columns: See `open_stored`.
        open_table: See `open_stored`.
    """
    folder = Path(tempfile.mkdtemp(prefix="lookalike-"))
    root, _, name = place.rpartition("/")
    copy = folder / (name if PLAIN.fullmatch(name) else "table")
    if root.endswith(":/"):  # the table is at the address of its server
        root = place

    def items() -> Iterator[Item]:
        with _errors_of(place, copy):
            for item in table.items():
                yield replace(item, root=root)

    finalize(items, shutil.rmtree, folder, ignore_errors=True)
    download(url, copy)
    with _errors_of(place, copy):
        table = open_table(copy, columns)
    return replace(table, source=place, items=items)


@contextmanager
def _errors_of(url: str, copy: Path) -> Iterator[None]:
    """Name the URL instead of the local copy in errors."""
    try:
        yield
    except CatalogueError as error:
        raise CatalogueError(str(error).replace(str(copy), url)) from None
