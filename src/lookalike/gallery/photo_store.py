"""Photo store: files of the photos uploaded to a gallery, one for each item.

A photo and its folder are durable on disk before the gallery refers to them, and the photo is deleted only after the
gallery has stopped to. A kill in between leaves a file that no item refers to; `PhotoStore.tidy` removes it.

    FOLDER/NAME/ab/ab12...-91fe.jpg     a photo; NAME is the gallery's, see `lookalike.gallery.local.photo_owner`
    FOLDER/NAME/ab/.ab12...-91fe.jpg    a photo that is being written

Galleries can share a folder: files outside of `FOLDER/NAME`, behind a link or with names of another form are never
deleted.
"""

from __future__ import annotations

import hashlib
import secrets
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from lookalike.errors import LookalikeError, storage_error
from lookalike.gallery.photo_reader import PHOTO_NAME, SHELF, UPLOADS, is_sent
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.gallery.stored_item import SOURCE
from lookalike.images import content_type
from lookalike.storage.durable import write_durably
from lookalike.storage.files import open_regular
from lookalike.types import Item

ENDINGS: Final = {"image/jpeg": "jpg", "image/x-portable-anymap": "pnm"}
"""File endings of media types whose last part is not the ending."""

SETTLED_S: Final = 3600.0
"""Age in seconds from which a file without an item is deleted where writers do not exclude each other: another process
may be about to add the item of a younger one."""


class PhotoStore:
    """Photos uploaded to one gallery; their folder is created with the first photo.

    Args:
        gallery: Gallery of the photos.
        folder: Folder of the photos, which other galleries may use too. None is `photos`: in the gallery's own folder,
            or in the working folder for a gallery on a server.
        becomes: Path that the gallery will be moved to, and to which items will refer; None is its present path.
    """

    def __init__(self, gallery: Gallery, folder: Path | None = None, *, becomes: Path | None = None) -> None:
        self._gallery = gallery
        self._inside = gallery.photo_folder
        self.folder = (folder or self._inside or Path(UPLOADS)).resolve()
        self._shown = self.folder if becomes is None else becomes.resolve() / "photos"

    def root(self) -> Path:
        """Folder of new photos."""
        return self.folder / self._gallery.photo_owner()[0]

    @property
    def folders(self) -> list[Path]:
        """Folders in which uploaded photos may lie: new ones, and those that were moved with the gallery."""
        return [self.folder, *([self._inside] if self._inside is not None else [])]

    def keep(self, item_id: str, data: bytes) -> Item:
        """Write a photo durably.

        Args:
            item_id: Id of its item.
            data: Bytes of a photo that has been decoded successfully.

        Returns:
            Item of the id, with the path of the photo.

        Raises:
            StorageFullError: The disk is full.
            LookalikeError: The photo cannot be written.
        """
        digest = hashlib.sha256(item_id.encode() + b"\0" + data).hexdigest()
        kind = content_type(data[:64], name=item_id)
        ending = ENDINGS.get(kind, kind.rpartition("/")[2])
        name = f"{digest[:2]}/{digest}-{secrets.token_hex(4)}.{ending}"
        root = self.root()
        write_durably(root / name, data)
        return Item(id=item_id, photo=name, root=str(root))

    def adopt(self, item: Item) -> Item:
        """Copy the photo of another gallery's item into this store.

        Returns:
            The item with the path of the copy; unchanged if its photo is missing.

        Raises:
            StorageFullError: The disk is full.
            LookalikeError: The photo cannot be read or written.
        """
        root = self.root()
        target = root / item.photo
        if not target.exists():
            try:
                with open_regular(item.location) as file:
                    data = file.readall()
            except FileNotFoundError:
                return item
            except OSError as error:
                raise storage_error(item.location, error) from None
            write_durably(target, data)
        return replace(item, root=str(self._shown / root.name))

    def adopt_all(self, batch: RecordBatch) -> RecordBatch:
        """Copy the uploaded photos of another gallery's records; see `adopt`."""
        sent = [source == SOURCE and is_sent(item) for item, source in zip(batch.items, batch.sources, strict=True)]
        items = [self.adopt(item) if own else item for item, own in zip(batch.items, sent, strict=True)]
        return replace(batch, items=items)

    def owns(self, item: Item) -> bool:
        """Whether an item's photo is an uploaded photo of this gallery, in this or another folder."""
        if not is_sent(item):
            return False
        root = Path(item.root)
        return root.name == self._gallery.photo_owner()[0] or root in self._roots()

    def drop(self, item: Item) -> bool:
        """Delete the photo of a removed item, if this gallery owns it. Returns whether it does.

        Raises:
            LookalikeError: The photo cannot be deleted.
        """
        if not self.owns(item):
            return False
        remove_plain(Path(item.location))
        return True

    def tidy(self) -> int:
        """Delete photos without an item, which a kill has left, and correct the paths of photos moved with the gallery.

        Returns:
            Number of deleted photos.

        Raises:
            GalleryLockedError: Another process is writing.
        """
        if not any(folder.is_dir() for folder in (self.folder, self._inside) if folder):
            return 0
        with self._gallery.writing():
            roots = [root for root in self._roots() if is_folder(root)]
            items = [item for item, _ in self._gallery.source_items(SOURCE).values()]
            lost = [item for item in items if Path(item.root) not in roots]
            moved = [found for item in lost for found in self._found(item, roots)]
            if moved:
                self._gallery.update(moved)
            wanted = {(Path(item.root).name, item.photo) for item in items}
            settled = None if self._gallery.has_exclusive_writer else time.time() - SETTLED_S
            left = [
                path
                for root in roots
                for path in files_of(root, before=settled)
                if (root.name, f"{path.parent.name}/{path.name}") not in wanted
            ]
            for path in left:
                remove_plain(path)
            return len(left)

    def clear_up(self) -> None:
        """Delete what a failed copy into the gallery has left: photos without an item, and empty folders."""
        if self._inside is None:
            return
        with suppress(LookalikeError, OSError):
            self.tidy()
            root = self.root()
            for folder in (*root.glob("*"), root, self.folder):
                with suppress(OSError):  # it has photos
                    folder.rmdir()

    def _roots(self) -> list[Path]:
        """Folders of photos that this gallery owns.

        Photos inside the gallery's folder were copied or moved with its database, so it owns those under its earlier
        names too; photos elsewhere under these names belong to the database it was copied from.
        """
        first, *before = self._gallery.photo_owner()
        roots = [self.folder / first]
        if self._inside is not None and is_folder(self._inside):
            roots += [self._inside / name for name in (first, *before)]
        return list(dict.fromkeys(roots))

    def _found(self, item: Item, roots: Iterable[Path]) -> Iterator[Item]:
        """Yield the item with the present path of its photo, if one of the folders has it."""
        for root in roots:
            if root.name == Path(item.root).name and (root / item.photo).is_file():
                shown = self._shown if root.parent == self.folder else root.parent
                yield replace(item, root=str(shown / root.name))
                return


def files_of(root: Path, *, before: float | None) -> Iterator[Path]:
    """Complete and unfinished photos in a folder; links are not followed.

    Args:
        root: The folder.
        before: Include only files last changed before this time, in seconds since 1970; None includes all.
    """
    for shelf in sorted(root.iterdir()):
        if SHELF.fullmatch(shelf.name) and is_folder(shelf):
            for path in sorted(shelf.iterdir()):
                if PHOTO_NAME.fullmatch(path.name) and (before is None or path.lstat().st_mtime < before):
                    yield path


def remove_plain(path: Path) -> None:
    """Delete a photo; links, and files behind links, stay.

    Args:
        path: `FOLDER/NAME/ab/FILE`, of which only FOLDER may be or lie behind a link.

    Raises:
        LookalikeError: It cannot be deleted.
    """
    try:
        if is_folder(path.parent.parent) and is_folder(path.parent) and stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(path, error) from None


def is_folder(path: Path) -> bool:
    """Whether a path is a folder, and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
