"""Opens a gallery by its address, wherever it is kept."""

from __future__ import annotations

from pathlib import Path

from lookalike.errors import UsageError
from lookalike.gallery.local import LocalGallery


def open_gallery(address: str, *, create: bool = False) -> LocalGallery:
    """Open a gallery.

    Args:
        address: A folder.
        create: Make one if there is none.

    Raises:
        GalleryNotFoundError: There is none, and none may be made.
        GalleryDamagedError: Its database is not sound.
        UsageError: The address is not one of a folder.
    """
    if "://" in address:
        raise UsageError(f"a gallery is a folder; addresses such as {address!r} are not supported yet")
    return LocalGallery(Path(address), create=create)
