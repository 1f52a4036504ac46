"""Opens a gallery by its address, wherever it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import UsageError
from lookalike.gallery.local.gallery import LocalGallery

if TYPE_CHECKING:
    from lookalike.gallery.milvus.gallery import MilvusGallery


def open_gallery(address: str, *, create: bool = False) -> LocalGallery | MilvusGallery:
    """Open a gallery.

    Args:
        address: A folder, or `milvus://host:port/collection`; see `lookalike.gallery.milvus.address`.
        create: Make one if there is none.

    Raises:
        GalleryNotFoundError: There is none, and none may be made.
        GalleryDamagedError: Its database is not sound.
        GalleryUnreachableError: The server that keeps it does not answer.
        UsageError: The address is of neither kind, or empty.
    """
    if address.startswith(("milvus:", "milvus+tls:")):
        from lookalike.gallery.milvus.address import parse
        from lookalike.gallery.milvus.gallery import MilvusGallery

        return MilvusGallery(parse(address), create=create)
    if not address.strip():
        raise UsageError("expected the folder or the address of a gallery, got an empty name")
    if "://" in address:
        raise UsageError(f"{address!r} is no gallery: expected a folder, or milvus://HOST:PORT/COLLECTION")
    return LocalGallery(Path(address), create=create)
