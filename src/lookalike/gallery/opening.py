"""Opens a gallery by its address."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from lookalike.errors import UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.milvus import is_on_milvus

if TYPE_CHECKING:
    from lookalike.gallery.milvus.gallery import MilvusGallery
    from lookalike.gallery.protocol import Gallery


class HasGallery(Protocol):
    """Object with a gallery, such as `lookalike.Retriever`."""

    @property
    def gallery(self) -> Gallery:
        """The gallery."""
        ...


def open_gallery(address: str, *, create: bool = False) -> LocalGallery | MilvusGallery:
    """Open a gallery.

    Args:
        address: Folder, or `milvus://host:port/collection`; see `lookalike.gallery.milvus.address`.
        create: Create the gallery if there is none.

    Raises:
        GalleryNotFoundError: There is no gallery, and `create` is not set.
        GalleryDamagedError: Its database is damaged.
        GalleryUnreachableError: Its server does not answer.
        UsageError: The address is empty, or has another scheme.
    """
    if is_on_milvus(address):
        from lookalike.gallery.milvus.address import parse
        from lookalike.gallery.milvus.gallery import MilvusGallery

        return MilvusGallery(parse(address), create=create)
    if not address.strip():
        raise UsageError("expected the folder or the address of a gallery, got an empty name")
    if "://" in address:
        raise UsageError(
            f"{address!r} is not the address of a gallery: expected a folder, or milvus://HOST:PORT/COLLECTION"
        )
    return LocalGallery(Path(address), create=create)


@contextmanager
def gallery_of(place: HasGallery | str | os.PathLike[str]) -> Iterator[Gallery]:
    """Yield the gallery of a retriever, which stays open; or that at an address, which is closed at the end.

    Raises:
        LookalikeError: It cannot be opened; see `open_gallery`.
    """
    if isinstance(place, str | os.PathLike):
        with closing(open_gallery(os.fspath(place))) as gallery:
            yield gallery
    else:
        yield place.gallery
