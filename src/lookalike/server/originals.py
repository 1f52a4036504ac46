"""Photo files of indexed items, which are decoded once before they are sent."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import BinaryIO, Final

from lookalike.errors import PhotoError
from lookalike.images import content_type, open_image, read_bytes
from lookalike.remote import object_store
from lookalike.remote.addresses import Reach
from lookalike.types import Item

QUALITY: Final = 85
LOOKED_AT: Final = 64
"""Leading bytes of a file that identify its format."""

REMEMBERED: Final = 100_000
"""Most entries of `DecodedPhotos`."""


@dataclass(frozen=True, slots=True)
class Original:
    """The file of an item's photo.

    Attributes:
        name: Name in errors.
        state: Identity of the content: path, inode, size and times of a local file.
        size: Size in bytes; 0 if unknown.
        data: Content of a photo from a store or the web; None for a local file.
    """

    name: str
    state: str
    size: int
    data: bytes | None = None

    @classmethod
    def of_file(cls, item: Item, file: BinaryIO) -> Original:
        """Original of an open local file."""
        found = os.fstat(file.fileno())
        state = f"{item.location}\0{found.st_dev}\0{found.st_ino}\0{found.st_size}\0{found.st_mtime_ns}"
        return cls(item.photo, f"{state}\0{found.st_ctime_ns}", found.st_size)

    def tag(self, side: int | None) -> str:
        """ETag of the file or of a thumbnail.

        Args:
            side: Longest side of the thumbnail in pixels; None for the file itself.
        """
        told = f"{self.state}\0{side}\0{QUALITY}"
        return f'"{hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:32]}"'


def from_elsewhere(item: Item, reach: Reach, *, seconds: float) -> Original:
    """Read a photo from a store or the web.

    Raises:
        PhotoError: The photo cannot be read within `seconds`.
    """
    told = object_store.status(reach, seconds=seconds)
    data = read_bytes(reach, name=item.photo, seconds=seconds)
    state = f"{reach.address.text}\0{told}\0{hashlib.sha256(data).hexdigest()}"
    return Original(item.photo, state, len(data), data)


class DecodedPhotos:
    """Cache of files that are known to decode as photos. Thread-safe."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, str] = OrderedDict()
        self._lock = threading.Lock()

    def media_type(self, original: Original, source: BinaryIO | bytes) -> str:
        """Media type of a photo; each file is decoded once to check it.

        Args:
            original: File to check.
            source: Content; the position of a file is set back to its beginning.

        Raises:
            PhotoError: The file is not a photo, or is incomplete.
        """
        with self._lock:
            if (known := self._known.get(original.state)) is not None:
                self._known.move_to_end(original.state)
                return known
        start = source[:LOOKED_AT] if isinstance(source, bytes) else source.read(LOOKED_AT)
        kind = content_type(start, name=original.name)
        if not isinstance(source, bytes):
            source.seek(0)
        open_image(source, at_least=1, name=original.name)
        if not isinstance(source, bytes):
            source.seek(0)
        with self._lock:
            self._known[original.state] = kind
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        return kind


def public_reason(error: PhotoError) -> str:
    """Reason why a photo cannot be shown, without addresses."""
    return "cannot be read at present" if "://" in error.reason else error.reason
