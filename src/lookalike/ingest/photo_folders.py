"""Folders that hold the photos of a run, to count photos that a server will not show."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from lookalike.remote.addresses import is_address
from lookalike.types import Item


class PhotoFolders:
    """Photos of a run by folder, with links resolved."""

    def __init__(self) -> None:
        self._real: dict[str, str] = {}
        self._photos: Counter[str] = Counter()

    def count(self, item: Item) -> None:
        """Count a photo; photos with a URL or without a root are ignored."""
        location = item.location
        if not item.root or is_address(location) or "\0" in location:
            return
        folder = os.path.dirname(location)  # noqa: PTH120 - a Path for each of millions of photos would be slow
        if os.path.islink(location):  # noqa: PTH114
            self._photos[os.path.dirname(os.path.realpath(location))] += 1  # noqa: PTH120
            return
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        self._photos[self._real[folder]] += 1

    def count_outside(self, roots: Iterable[str]) -> int:
        """Number of photos outside all roots; a server shows them only when its setting `roots` names their folders.

        Args:
            roots: Folders and URLs that the gallery was indexed from.
        """
        homes = {os.path.realpath(root) for root in roots if not is_address(root)}
        outside = 0
        for folder, photos in self._photos.items():
            way = PurePath(folder)
            if not homes.intersection(map(str, (way, *way.parents))):
                outside += photos
        return outside
