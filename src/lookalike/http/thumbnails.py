"""Small pictures of indexed items, made when they are first asked for and kept in memory up to a bound."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from io import BytesIO

from PIL import Image

from lookalike.errors import PhotoError
from lookalike.images import open_image
from lookalike.remote import stores
from lookalike.types import Item

QUALITY = 85


@dataclass(frozen=True, slots=True)
class Original:
    """The file of an item's photo.

    Attributes:
        location: Where it is, as indexed.
        size: Bytes; 0 where that is not known.
        modified_ns: Time of its last change; 0 where that is not known.
    """

    location: str
    size: int
    modified_ns: int

    @classmethod
    def of(cls, item: Item) -> Original:
        """Look at an item's file.

        Raises:
            PhotoError: It is not there.
        """
        if "://" in item.location:  # its catalogue said so; what requests say never becomes a location
            return cls(item.location, *(stores.status(item.location) or (0, 0)))
        try:
            status = os.stat(item.location)  # noqa: PTH116 - a Path would be made for nothing
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such file"
            raise PhotoError(item.photo, (reason or "cannot be read").lower()) from None
        return cls(item.location, status.st_size, status.st_mtime_ns)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is in a store, or on the web."""
        return "://" in self.location

    def tag(self, side: int | None) -> str:
        """An ETag: changes whenever what would be sent changes.

        Args:
            side: Of the thumbnail; None for the file itself.
        """
        told = f"{self.location}\0{self.size}\0{self.modified_ns}\0{side}\0{QUALITY}"
        return f'"{hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]}"'


class Thumbnails:
    """Makes small pictures. Safe in several threads at once."""

    def __init__(self, limit: int) -> None:
        """Start with none.

        Args:
            limit: Most bytes to keep.
        """
        self._limit, self._held = limit, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> bytes | None:
        """The picture of that tag, if it is kept."""
        with self._lock:
            found = self._kept.get(tag)
            if found is not None:
                self._kept.move_to_end(tag)
            return found

    def make(self, original: Original, *, side: int, name: str) -> bytes:
        """Scale a photo down so that neither side is longer than `side` pixels: a JPEG.

        Raises:
            PhotoError: It cannot be read.
        """
        tag = original.tag(side)
        if (found := self.get(tag)) is not None:
            return found
        photo = open_image(original.location, at_least=side, name=name)
        scale = min(1.0, side / max(photo.size))
        size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
        if size != photo.size:
            photo = photo.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        file = BytesIO()
        photo.save(file, "JPEG", quality=QUALITY)
        self._keep(tag, file.getvalue())
        return file.getvalue()

    def _keep(self, tag: str, picture: bytes) -> None:
        with self._lock:
            if tag in self._kept:
                return
            self._kept[tag] = picture
            self._held += len(picture)
            while self._held > self._limit:
                _, oldest = self._kept.popitem(last=False)
                self._held -= len(oldest)
