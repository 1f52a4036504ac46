"""Catalogue of paths on standard input, one per line, or separated by NUL as `find -print0` writes them."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from lookalike.catalogue.protocol import Catalogue, Skip
from lookalike.errors import CatalogueError
from lookalike.types import Item


def open_standard_input() -> Catalogue:
    """Read paths or URLs from standard input to its end; see `open_listing`."""
    return open_listing(sys.stdin.buffer.read(), root=Path.cwd())


def open_listing(listing: bytes, *, root: Path) -> Catalogue:
    """Make an item of each distinct path or URL of a list; the path is the id.

    Args:
        listing: One path per line; or paths that each end in NUL, if there is any NUL. A byte order mark of UTF-8 or
            UTF-16 is removed.
        root: Folder of relative paths.

    Raises:
        CatalogueError: There is no path, or the list has a mark of UTF-16 and is not valid UTF-16.
    """
    listing = _without_mark(listing)
    lines = listing.split(b"\0") if b"\0" in listing else listing.splitlines()
    photos: dict[str, None] = {}
    skipped: list[Skip] = []
    for line in lines:
        try:
            photo = line.decode()
        except UnicodeDecodeError:
            skipped.append(Skip(line.decode("utf-8", "backslashreplace"), "its name is not UTF-8; rename it"))
            continue
        if photo:
            photos[photo if "://" in photo else os.path.normpath(photo)] = None
    if not photos and not skipped:
        raise CatalogueError("expected paths of photos on standard input, got none")

    def items() -> Iterator[Item]:
        for photo in photos:
            yield Item(id=photo, photo=photo, root=str(root))

    return Catalogue(kind="listing", source="-", items=items, count=len(photos), skipped=tuple(skipped))


def _without_mark(listing: bytes) -> bytes:
    """Return a list as UTF-8 without the byte order mark that Windows PowerShell and editors write.

    Raises:
        CatalogueError: It has a mark of UTF-16 and is not valid UTF-16.
    """
    if not listing.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return listing.removeprefix(codecs.BOM_UTF8)
    try:
        return listing.decode("utf-16").encode()
    except UnicodeError as error:
        raise CatalogueError(
            f"the list on standard input has a byte order mark of UTF-16 and is not valid UTF-16: {error}"
        ) from None
