"""New galleries that are made as a whole: a command that is killed leaves none, and may simply be run again."""

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
    """Lend a gallery to be filled, which is at its address when the context ends without an error, and not before.

    A gallery in a folder is made beside it and moved there. One on Milvus is seen while it is being filled.

    Args:
        address: Of the new gallery.

    Yields:
        The gallery, and its photos.

    Raises:
        UsageError: There is something at the address.
        GalleryLockedError: Another process is just making it.
        LookalikeError: It cannot be written.
    """
    if "://" in address:
        with open_gallery(address, create=True) as gallery:
            if len(gallery):
                raise UsageError(f"there is a gallery at {address} already; name a new one")
            yield gallery, PhotoStore(gallery)
        return
    folder = Path(address)
    check_free(folder)
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    if unfinished.exists():  # left by a kill, unless the one who makes it holds its lock
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
    """Refuse a place where something is already.

    Raises:
        UsageError: There is.
    """
    if (folder / "gallery.db").exists():
        raise UsageError(f"there is a gallery at {folder} already; name a new one")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a gallery is a folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise UsageError(f"{folder} holds other files; name a new or an empty folder for the gallery")
