"""Small pictures of indexed items, made when they are first asked for and kept in memory up to a bound."""

from __future__ import annotations

import threading
from collections import OrderedDict
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from lookalike.images import one_photo, open_image
from lookalike.server.originals import QUALITY, Original


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

    def make(self, original: Original, source: BinaryIO | bytes, *, side: int) -> bytes:
        """Scale a photo down so that neither side is longer than `side` pixels: a JPEG.

        Args:
            original: What it is.
            source: Its content.
            side: In pixels.

        Raises:
            PhotoError: It cannot be read.
        """
        tag = original.tag(side)
        if (found := self.get(tag)) is not None:
            return found
        file = BytesIO()
        with one_photo():
            photo = open_image(source, at_least=side, name=original.name)
            scale = min(1.0, side / max(photo.size))
            size = (max(1, round(photo.width * scale)), max(1, round(photo.height * scale)))
            if size != photo.size:
                photo = photo.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
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
