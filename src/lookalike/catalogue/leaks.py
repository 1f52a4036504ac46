"""Photos of one content in several splits, which make a measurement on the catalogue too good."""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from lookalike.storage.files import open_regular
from lookalike.types import Item


@dataclass(frozen=True, slots=True)
class Leak:
    """Photos of one content that are in several splits.

    Attributes:
        sha256: SHA-256 of the content, hexadecimal.
        photos: Split, id and path of each, in the order of the catalogue.
    """

    sha256: str
    photos: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """JSON form, as a part of `lookalike catalogue check --json`."""
        photos = [{"split": split, "id": item_id, "photo": photo} for split, item_id, photo in self.photos]
        return {"sha256": self.sha256, "photos": photos}


class LeakSearch:
    """Search for leaks among local photos: files of equal length in several splits are compared by their content."""

    def __init__(self) -> None:
        self._by_size: defaultdict[int, list[tuple[str, str, str, str]]] = defaultdict(list)

    def take(self, split: str, item: Item) -> bool:
        """Note an item of a split. Returns whether its photo is there, or is in a store or on the web."""
        if "://" in item.location:
            return True
        try:
            found = os.stat(item.location)  # noqa: PTH116 - Path takes five times as long
        except (OSError, ValueError):  # ValueError for names that no file can have
            return False
        if not stat.S_ISREG(found.st_mode):
            return False
        self._by_size[found.st_size].append((split, item.id, item.photo, item.location))
        return True

    def leaks(self) -> Iterator[Leak]:
        """Leaks, in the order of the catalogue as far as photos are of equal length."""
        for candidates in self._by_size.values():
            if len({split for split, *_ in candidates}) < 2:
                continue
            by_content: defaultdict[str, list[tuple[str, str, str]]] = defaultdict(list)
            for split, item_id, photo, location in candidates:
                with suppress(OSError), open_regular(location) as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
                    by_content[content].append((split, item_id, photo))
            for content, photos in by_content.items():
                if len({split for split, _, _ in photos}) > 1:
                    yield Leak(content, tuple(photos))
