"""The photos that were sent for a gallery: files of its own, each of one item alone.

A photo is complete and on disk, and so is its folder, before the gallery names it, and it goes only after the gallery
has ceased to. What a kill leaves in between is a file that no item names; `PhotoStore.tidy` removes it.

    FOLDER/NAME/ab/ab12...-91fe.jpg     a photo; NAME is the gallery's, see `lookalike.gallery.local.photo_owner`
    FOLDER/NAME/ab/.ab12...-91fe.jpg    one that is being written

Any number of galleries can share a folder: nothing outside of `FOLDER/NAME` is ever deleted, nothing behind a link, and
nothing whose name is not of this form.
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
from lookalike.gallery.photo_reader import OURS, SHELF, UPLOADS, is_sent
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.record_batch import RecordBatch
from lookalike.images import content_type
from lookalike.storage.durable import write_durably
from lookalike.storage.files import open_regular
from lookalike.types import Item

SOURCE: Final = "http"
"""The source of items that were sent: no run of `lookalike index` prunes them."""

ENDINGS: Final = {"image/jpeg": "jpg", "image/x-portable-anymap": "pnm"}
"""Where they are not the last part of the media type."""

SETTLED_S: Final = 3600.0
"""A younger file may belong to another process that is about to name it, where writers do not exclude each other."""


class PhotoStore:
    """Keeps the photos that are sent for one gallery, in a folder which is made when the first one comes.

    Args:
        gallery: The gallery.
        folder: Where photos are kept; other galleries may use it, too. None takes `photos`: in the gallery's own
            folder, or in the working folder for a gallery on a server.
        becomes: Where a gallery's folder will be moved to, which items name already.
    """

    def __init__(self, gallery: Gallery, folder: Path | None = None, *, becomes: Path | None = None) -> None:
        self._gallery = gallery
        self._inside = gallery.photo_folder
        self.folder = (folder or self._inside or Path(UPLOADS)).resolve()
        self._shown = self.folder if becomes is None else becomes.resolve() / "photos"

    def root(self) -> Path:
        """The folder of the photos that come from now on."""
        return self.folder / self._gallery.photo_owner()[0]

    @property
    def folders(self) -> list[Path]:
        """Where photos that were sent may be: those of now, and those that were moved with the gallery."""
        return [self.folder, *([self._inside] if self._inside is not None else [])]

    def keep(self, item_id: str, data: bytes) -> Item:
        """Write a photo, durably.

        Args:
            item_id: Whose it is.
            data: A photo that can be read.

        Returns:
            An item of that id, whose photo it is.

        Raises:
            StorageFullError: There is no room for it.
            LookalikeError: It cannot be written.
        """
        digest = hashlib.sha256(item_id.encode() + b"\0" + data).hexdigest()
        kind = content_type(data[:64], name=item_id)
        ending = ENDINGS.get(kind, kind.rpartition("/")[2])
        name = f"{digest[:2]}/{digest}-{secrets.token_hex(4)}.{ending}"
        root = self.root()
        write_durably(root / name, data)
        return Item(id=item_id, photo=name, root=str(root))

    def adopt(self, item: Item) -> Item:
        """Copy the photo of another gallery's item, for an item of this gallery.

        Returns:
            The item with the copy; as it is when its photo is not there.

        Raises:
            StorageFullError: There is no room for it.
            LookalikeError: It cannot be read or written.
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
        """Records of another gallery with copies of those photos that were sent for it; see `adopt`."""
        sent = [source == SOURCE and is_sent(item) for item, source in zip(batch.items, batch.sources, strict=True)]
        items = [self.adopt(item) if own else item for item, own in zip(batch.items, sent, strict=True)]
        return replace(batch, items=items)

    def owns(self, item: Item) -> bool:
        """Whether an item's photo is a file of this gallery's own, in this folder or another one."""
        if not is_sent(item):
            return False
        root = Path(item.root)
        return root.name == self._gallery.photo_owner()[0] or root in self._roots()

    def drop(self, item: Item) -> bool:
        """Remove the photo of an item that the gallery names no more. Returns whether this gallery had one of its own.

        Raises:
            LookalikeError: It cannot be removed.
        """
        if not self.owns(item):
            return False
        remove_plain(Path(item.location))
        return True

    def tidy(self) -> int:
        """Remove photos that no item names, which a kill has left; find those again that were moved with the gallery.

        Returns:
            How many were removed.

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
        """Remove what a copy into the gallery left that failed: photos that no item names, and folders without any."""
        if self._inside is None:
            return
        with suppress(LookalikeError, OSError):
            self.tidy()
            root = self.root()
            for folder in (*root.glob("*"), root, self.folder):
                with suppress(OSError):  # it has photos
                    folder.rmdir()

    def _roots(self) -> list[Path]:
        """The folders whose photos are this gallery's own.

        Photos inside of the gallery's folder were copied or moved with its database, so they are its own also by the
        names from before; what was elsewhere then still belongs to the database it was copied from.
        """
        first, *before = self._gallery.photo_owner()
        roots = [self.folder / first]
        if self._inside is not None and is_folder(self._inside):
            roots += [self._inside / name for name in (first, *before)]
        return list(dict.fromkeys(roots))

    def _found(self, item: Item, roots: Iterable[Path]) -> Iterator[Item]:
        """An item with its photo in one of the gallery's own folders, when that is where it is now."""
        for root in roots:
            if root.name == Path(item.root).name and (root / item.photo).is_file():
                yield replace(item, root=str(root))
                return


def files_of(root: Path, *, before: float | None) -> Iterator[Path]:
    """Photos and unfinished photos beneath a folder that no link leads to.

    Args:
        root: The folder.
        before: Only those last changed before that time; in seconds since 1970.
    """
    for shelf in sorted(root.iterdir()):
        if SHELF.fullmatch(shelf.name) and is_folder(shelf):
            for path in sorted(shelf.iterdir()):
                if OURS.fullmatch(path.name) and (before is None or path.lstat().st_mtime < before):
                    yield path


def remove_plain(path: Path) -> None:
    """Remove a photo; a link, and what lies behind one, stays.

    Args:
        path: `FOLDER/NAME/ab/FILE`, of which only FOLDER may be, or be beneath, a link.

    Raises:
        LookalikeError: It cannot be removed.
    """
    try:
        if is_folder(path.parent.parent) and is_folder(path.parent) and stat.S_ISREG(path.lstat().st_mode):
            path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise storage_error(path, error) from None


def is_folder(path: Path) -> bool:
    """Whether there is a folder, and not a link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False
