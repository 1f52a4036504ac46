"""In-memory cache of thumbnails, made on first request."""

from __future__ import annotations

import threading
from collections import OrderedDict
from io import BytesIO
from typing import BinaryIO

from PIL import Image

from lookalike.images import one_photo, open_image
from lookalike.server.originals import QUALITY, Original


class Thumbnails:
    """Least-recently-used cache of thumbnails. Thread-safe."""

    def __init__(self, limit: int) -> None:
        """Make an empty cache.

        Args:
            limit: Capacity in bytes.
        """
        self._limit, self._held = limit, 0
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, tag: str) -> bytes | None:
        """Thumbnail with an ETag, if cached."""
        with self._lock:
            found = self._kept.get(tag)
            if found is not None:
                self._kept.move_to_end(tag)
            return found

    def make(self, original: Original, source: BinaryIO | bytes, *, side: int) -> bytes:
        """Scale a photo down to at most `side` pixels a side, as a JPEG.

        Args:
            original: File of the photo.
            source: Content of the file.
            side: Longest side in pixels.

        Raises:
            PhotoError: The photo cannot be read.
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
