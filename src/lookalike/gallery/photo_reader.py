"""Photos of a gallery's items, read only from where the owner of the gallery allows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.roots import Roots
    from lookalike.remote.addresses import Reach
    from lookalike.types import Item

UPLOADS: Final = "photos"
"""Folder of uploaded photos of a gallery that is not a folder itself, in the working directory."""

PHOTO_NAME: Final = re.compile(r"\.?[0-9a-f]{64}-[0-9a-f]{8}\.[a-z0-9.+-]{1,20}")
SHELF: Final = re.compile(r"[0-9a-f]{2}")
"""File names of uploaded photos, and the names of the folders that hold them; see `lookalike.gallery.photo_store`."""


@dataclass(frozen=True, slots=True)
class PhotoReader:
    """Reads photos below the roots of a gallery, and no others. Can be pickled, and outlives the gallery object.

    Items come from tables and imports that others may have written; without roots, their paths and addresses could name
    any file of this machine and any host of its network.

    Attributes:
        roots: Folders and addresses that photos were indexed from; see `lookalike.gallery.roots`.
        uploads: Folders of uploaded photos, which count for uploaded photos only.
    """

    roots: tuple[str, ...]
    uploads: tuple[str, ...] = ()

    @classmethod
    def of(cls, gallery: Gallery) -> PhotoReader:
        """Reader of the photos of a gallery."""
        return cls(gallery.roots, (str(gallery.photo_folder or UPLOADS),))

    def roots_for(self, item: Item) -> Roots:
        """Roots below which the photo of an item may be read."""
        from lookalike.gallery.roots import Roots

        return Roots([*self.roots, *(self.uploads if is_sent(item) else ())])

    def __call__(self, item: Item) -> bytes | Reach:
        """Source of an item's photo, for `open_image`: the bytes of a local file, or where it may be fetched.

        Raises:
            PhotoError: The photo lies outside of the roots, or cannot be read.
        """
        from lookalike.images import read_bytes
        from lookalike.remote.addresses import is_address

        roots = self.roots_for(item)
        if is_address(item.location):
            return roots.reach(item)
        with roots.open(item) as file:
            return read_bytes(file, name=item.photo)


class PhotoReaderCache:
    """The photo reader of a gallery, renewed when the version of the gallery changes. Thread-safe."""

    def __init__(self) -> None:
        self._kept: tuple[object, PhotoReader] | None = None

    def of(self, gallery: Gallery, *, version: object) -> PhotoReader:
        """Reader of the photos of a gallery at a version; see `Neighbours.version`."""
        kept = self._kept
        if kept is None or version is None or kept[0] != version:
            self._kept = kept = version, PhotoReader.of(gallery)
        return kept[1]


def is_sent(item: Item) -> bool:
    """Whether the photo of an item was uploaded: only uploads have such names."""
    shelf, _, name = item.photo.rpartition("/")
    return bool(SHELF.fullmatch(shelf) and PHOTO_NAME.fullmatch(name))
