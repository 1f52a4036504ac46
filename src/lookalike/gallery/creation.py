"""Atomic creation of galleries: a killed command leaves none, and can be run again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lookalike.errors import UsageError, storage_error
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.storage.durable import sync_folder
from lookalike.storage.write_lock import WriteLock


@contextmanager
def new_gallery(address: str) -> Iterator[tuple[Gallery, PhotoStore]]:
    """Create a gallery that appears at its address when the context ends without an error.

    A gallery in a folder is filled beside its place and then moved. One on Milvus is visible while it is filled.

    Args:
        address: Address of the new gallery.

    Yields:
        The gallery, and its photo store.

    Raises:
        UsageError: There is a gallery or another file at the address.
        GalleryLockedError: Another process is creating it.
        LookalikeError: It cannot be written.
    """
    if "://" in address:
        with open_gallery(address, create=True) as gallery:
            if len(gallery):
                raise UsageError(f"there is already a gallery at {address}; choose another address")
            yield gallery, PhotoStore(gallery)
        return
    folder = Path(address)
    check_free(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():  # left by a killed process, unless one that is running holds its lock
        with WriteLock(unfinished / "write.lock").held(0):
            shutil.rmtree(unfinished)
    try:
        with LocalGallery(unfinished, create=True) as gallery, gallery.writing():
            yield gallery, PhotoStore(gallery, becomes=folder)
        check_free(folder)
        sync_folder(unfinished)
        unfinished.rename(folder)
        sync_folder(folder.absolute().parent)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise storage_error(folder, error) from error
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def check_free(folder: Path) -> None:
    """Check that a new gallery can be created at a folder.

    Raises:
        UsageError: The folder is a file, or not empty.
    """
    if (folder / "gallery.db").exists():
        raise UsageError(f"there is already a gallery at {folder}; choose another folder")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a gallery is a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds other files; choose a new or an empty folder for the gallery")
