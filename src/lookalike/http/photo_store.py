"""Where photos are kept that were written over HTTP: files named by their content, each of one item alone.

A file is complete and on disk before the gallery names it, and goes only after the gallery has ceased to. What a crash
leaves in between is a file that nobody names; the next start removes it.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from lookalike.images import content_type
from lookalike.types import Item

ENDINGS: Final = {"image/jpeg": "jpg", "image/x-portable-anymap": "pnm"}
"""Where they are not the last part of the media type."""

SETTLED_S: Final = 3600.0
"""A younger file may belong to a writer that is about to name it."""


class PhotoStore:
    """Keeps photos in a folder, which is made when the first one comes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    def keep(self, item_id: str, data: bytes) -> str:
        """Write a photo, durably.

        Args:
            item_id: Whose it is.
            data: A photo that can be read.

        Returns:
            Its path beneath the folder.
        """
        digest = hashlib.sha256(item_id.encode() + b"\0" + data).hexdigest()
        kind = content_type(data[:64], name=item_id)
        name = f"{digest[:2]}/{digest}.{ENDINGS.get(kind, kind.rpartition('/')[2])}"
        path = self.folder / name
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        return name

    def holds(self, item: Item) -> bool:
        """Whether an item's photo was written here."""
        return item.root == str(self.folder)

    def has(self, item: Item) -> bool:
        """Whether there is a file for an item's photo here, wherever the item says that it is."""
        return (self.folder / item.photo).is_file()

    def drop(self, item: Item, *, unless: Item | None = None) -> None:
        """Remove the photo of an item that is no longer there.

        Args:
            item: As it was.
            unless: What has taken its place; the same photo stays.
        """
        if self.holds(item) and (unless is None or unless.location != item.location):
            Path(item.location).unlink(missing_ok=True)

    def sweep(self, named: Iterable[Item]) -> int:
        """Remove files that no item names, which a crash may have left. Returns how many.

        Args:
            named: The items that were written here, also when the folder has been moved since.
        """
        wanted = {str(self.folder / item.photo) for item in named}
        settled = time.time() - SETTLED_S
        left = [path for path in self.folder.glob("??/*") if str(path) not in wanted and path.stat().st_mtime < settled]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)
