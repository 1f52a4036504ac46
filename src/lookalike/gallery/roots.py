"""The roots of a gallery: folders and addresses that its owner indexed from, and the photos that lie beneath them.

An item says where its photo is, and items come from tables, archives and imports that others may have written. A server
therefore shows a photo only when the file that is there now, all links followed, lies beneath a root.
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
"""No link is followed, and a pipe keeps no one waiting."""


def read(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The roots that a database keeps.

    Raises:
        GalleryDamagedError: They are not what was kept.
    """
    return tuple(json.loads(metadata_table.get(connection, KEY) or "[]"))


def write(connection: sqlite3.Connection, roots: Iterable[str]) -> None:
    """Keep these roots, and no others."""
    metadata_table.put(connection, KEY, json.dumps(sorted(roots)))


class Roots:
    """Opens photos that lie beneath given roots, and no others.

    Args:
        roots: Absolute paths of folders, and addresses.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        roots = list(roots)
        self._named = frozenset(roots)
        self._folders = [root for root in roots if not is_address(root)]
        self._addresses = [place_of(root) for root in roots if is_address(root)]

    def open(self, item: Item) -> BinaryIO:
        """Open the file of an item's photo for reading.

        Its path is resolved now, and then walked down from the root without following any link, so that what is opened
        lies beneath the root even when links are changed at the same moment.

        Raises:
            PhotoError: It is not there, is not a regular file, or lies outside.
        """
        try:
            real = Path(item.location).resolve(strict=True)
            # Most photos lie beneath the item's own root; that one is resolved first.
            for root in sorted(self._folders, key=lambda root: root != item.root):
                home = Path(root).resolve()
                if real.is_relative_to(home) and real != home:
                    return _opened(home, real.relative_to(home).parts, item)
        except (OSError, ValueError, RuntimeError) as error:
            words = error.strerror if isinstance(error, OSError) else None
            raise PhotoError(item.photo, (words or "no such file").lower()) from None
        raise PhotoError(item.photo, OUTSIDE)

    def reach(self, item: Item) -> Reach:
        """What the address of an item's photo may reach.

        Raises:
            PhotoError: It lies outside, or is no address that may be read.
        """
        reach = reach_of(item)
        text = reach.address.text
        if not any(text == root or text.startswith((f"{root}/", f"{root}?")) for root in self._addresses):
            raise PhotoError(item.photo, OUTSIDE)
        # An imported item may claim any root; one that the owner indexed from is needed to lead into a private network.
        return replace(reach, private=reach.private and item.root in self._named)


def _opened(home: Path, parts: Sequence[str], item: Item) -> BinaryIO:
    """Open a file beneath a folder, by names of which none may be a link.

    Raises:
        PhotoError: It is not a regular file.
        OSError: It cannot be opened.
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
