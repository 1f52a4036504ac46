"""Roots of a gallery: folders and URLs that its owner indexed from, and the check that a photo lies beneath one.

The path of a photo comes from its item, and items come from tables, archives and imports that other people may have
written. A server therefore shows a photo only if its file, with all links resolved, lies beneath a root.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final

from lookalike.errors import PhotoError
from lookalike.gallery.local import metadata_table
from lookalike.remote.addresses import Reach, is_address, place_of, reach_of
from lookalike.types import Item

KEY: Final = "roots"
OUTSIDE: Final = "it lies outside the folders and addresses that the gallery's owner indexed from"
FOLDER_FLAGS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags for opening a photo: links are not followed, and opening a pipe does not block."""


def read(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Read the roots of a database.

    Raises:
        GalleryDamagedError: Their checksum is wrong.
    """
    return tuple(json.loads(metadata_table.get(connection, KEY) or "[]"))


def write(connection: sqlite3.Connection, roots: Iterable[str]) -> None:
    """Replace the roots of a database."""
    metadata_table.put(connection, KEY, json.dumps(sorted(roots)))


class Roots:
    """Opens photos beneath roots, and refuses others.

    Args:
        roots: Absolute paths of folders, and URLs.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        roots = list(roots)
        self._named = frozenset(roots)
        self._folders = [root for root in roots if not is_address(root)]
        self._addresses = [place_of(root) for root in roots if is_address(root)]

    def open(self, item: Item) -> BinaryIO:
        """Open the file of an item's photo for reading.

        The path is resolved, and the result opened folder by folder from the root without following links, so that the
        file lies beneath the root even if links change at the same moment.

        Raises:
            PhotoError: The photo is missing, is not a regular file, or lies outside the roots.
        """
        try:
            real = Path(item.location).resolve(strict=True)
            # The item's own root is the right one for most photos, so it is tried first.
            for root in sorted(self._folders, key=lambda root: root != item.root):
                home = Path(root).resolve()
                if real.is_relative_to(home) and real != home:
                    return _opened(home, real.relative_to(home).parts, item)
        except (OSError, ValueError, RuntimeError) as error:
            words = error.strerror if isinstance(error, OSError) else None
            raise PhotoError(item.photo, (words or "no such file").lower()) from None
        raise PhotoError(item.photo, OUTSIDE)

    def reach(self, item: Item) -> Reach:
        """Hosts that may be reached for the URL of an item's photo.

        Raises:
            PhotoError: The URL lies outside the roots, or may not be read.
        """
        reach = reach_of(item)
        text = reach.address.text
        if not any(text == root or text.startswith((f"{root}/", f"{root}?")) for root in self._addresses):
            raise PhotoError(item.photo, OUTSIDE)
        # An imported item may claim any root; only roots that the owner indexed from may lead into a private network.
        return replace(reach, private=reach.private and item.root in self._named)


def _opened(home: Path, parts: Sequence[str], item: Item) -> BinaryIO:
    """Open a file beneath a folder without following links.

    Args:
        home: Folder.
        parts: Names of the folders and the file beneath it.
        item: Item of the photo, for errors.

    Raises:
        PhotoError: It is not a regular file.
        OSError: It cannot be opened, or a part is a link.
    """
    folder = os.open(home, FOLDER_FLAGS & ~os.O_NOFOLLOW)
    try:
        for part in parts[:-1]:
            inner = os.open(part, FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        found = os.open(parts[-1], FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise PhotoError(item.photo, "not a regular file")
    return os.fdopen(found, "rb")
