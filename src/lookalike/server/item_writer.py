"""Writing items: photos are embedded, stored and added; what is written is searchable at once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lookalike.embedding.protocol import Prepared
from lookalike.errors import GalleryUnreachableError, LookalikeError, StorageFailedError, UnknownNameError
from lookalike.gallery.photo_store import SOURCE, PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.images import Budget, Limits, one_photo, open_image
from lookalike.retrieval.retriever import Retriever
from lookalike.server.errors import Refusal
from lookalike.types import JSON, Box, FileStamp, Item

LOG: Final = logging.getLogger("lookalike.server")


@dataclass(frozen=True, slots=True)
class Written:
    """An item as a client wants it.

    Attributes:
        id: Of the item.
        product: What the photo shows.
        attributes: All of them.
        box: The part of the photo to look at.
        photo: The file; None keeps the photo that the item has.
        name: What errors call the photo.
    """

    id: str
    product: str | None
    attributes: Mapping[str, JSON]
    box: Box | None = None
    photo: bytes | None = None
    name: str = "photo"


@dataclass(frozen=True, slots=True)
class Ready:
    """An item whose photo has been read and prepared."""

    written: Written
    prepared: Prepared


class ItemWriter:
    """Writes items, for one thread at a time."""

    def __init__(self, retriever: Retriever, photos: PhotoStore, *, limits: Limits, decoding: Budget) -> None:
        """Make ready.

        Args:
            retriever: Its gallery is written to.
            photos: Where photos are kept.
            limits: For photos.
            decoding: Memory for decoding them.
        """
        self._retriever, self._photos, self._limits = retriever, photos, limits
        self.decoding = decoding

    @property
    def photo_folders(self) -> list[Path]:
        """Where photos that were sent may be."""
        return self._photos.folders

    @property
    def gallery(self) -> Gallery:
        """What is written to."""
        return self._retriever.gallery

    def known(self, item_id: str) -> Item | None:
        """An item, if it is there."""
        try:
            return self.gallery.get(item_id)
        except UnknownNameError:
            return None

    def prepare(self, written: Written) -> Ready:
        """Read the photo of an item.

        Raises:
            PhotoError: It cannot be read.
            MismatchError: The model at hand is not the one that filled the gallery.
        """
        assert written.photo is not None
        self._retriever.check_model()
        embedder = self._retriever.embedder
        size = embedder.wanted_size
        with self.decoding.in_use(refuse=True), one_photo():
            picture = open_image(written.photo, at_least=size, box=written.box, limits=self._limits, name=written.name)
            return Ready(written, embedder.prepare(picture))

    def add(self, ready: Sequence[Ready]) -> list[tuple[Item, bool]]:
        """Embed and add items of distinct ids, all together: photos, attributes, and nothing set by hand before.

        Returns:
            Each item as it was committed, and whether it is new.

        Raises:
            UsageError: Something of them cannot be kept; nothing was changed.
            GalleryLockedError: Another process is writing; nothing was changed.
            LookalikeError: They cannot be written; nothing was changed.
        """
        embedder = self._retriever.embedder
        rows = embedder.embed_prepared([each.prepared for each in ready])
        with self.gallery.writing():
            before = [self.known(each.written.id) for each in ready]
            items: list[Item] = []
            try:
                items += (self._stored(each.written) for each in ready)
                spaces = self.gallery.spaces or embedder.spaces
                self.gallery.add(
                    items,
                    {space.name: rows[space.name] for space in spaces},
                    spaces=spaces,
                    source=SOURCE,
                    file_stamps=[_stamp(each.written.photo or b"") for each in ready],
                    overrides=[{}] * len(items),
                )
            except (StorageFailedError, GalleryUnreachableError):
                raise  # they may be there after all, and need their photos then; `tidy` sees to that
            except LookalikeError:
                self._drop(items)
                raise
            self._drop(old for old in before if old is not None)
        return [(item, old is None) for item, old in zip(items, before, strict=True)]

    def describe(self, written: Written) -> Item:
        """Replace what is known of an item whose photo stays, what was set by hand too. Returns it as it is now.

        Raises:
            Refusal: There is no such item, so its photo is needed; or another box was given.
            LookalikeError: It cannot be written; nothing was changed.
        """
        with self.gallery.writing():
            old = self.known(written.id)
            if old is None:
                raise Refusal("photo_needed", f"there is no item {written.id!r} yet; send its photo with it")
            if written.box is not None and written.box != old.box:
                raise Refusal("photo_needed", "another box shows something else; send the photo with it")
            item = replace(old, product=written.product, attributes=dict(written.attributes))
            self.gallery.update([item], overrides=[{}])
            return item

    def change(self, item_id: str, changes: Mapping[str, JSON]) -> Item:
        """Change some attributes of an item; None takes one away. Returns it as it is now.

        Raises:
            UnknownNameError: There is no such item.
            LookalikeError: It cannot be written; nothing was changed.
        """
        return self.gallery.override(item_id, changes)

    def remove(self, item_id: str) -> None:
        """Remove an item, and its photo when that was sent for it.

        Raises:
            UnknownNameError: There is no such item.
            LookalikeError: It cannot be removed.
        """
        with self.gallery.writing():
            item = self.gallery.get(item_id)
            self.gallery.remove([item_id])
            self._drop([item])

    def tidy(self) -> None:
        """Remove photos that a kill has left behind, and find those again whose folder was moved with the gallery."""
        try:
            self._photos.tidy()
        except LookalikeError as error:  # the next start does it
            LOG.warning("photos", extra={"facts": {"problem": f"left as they are: {error}"}})

    def _stored(self, written: Written) -> Item:
        assert written.photo is not None
        kept = self._photos.keep(written.id, written.photo)
        return replace(kept, product=written.product, box=written.box, attributes=dict(written.attributes))

    def _drop(self, items: Iterable[Item]) -> None:
        """Remove photos that the gallery names no more; what cannot be removed is left to `tidy`."""
        for item in items:
            try:
                self._photos.drop(item)
            except LookalikeError as error:
                LOG.warning("photos", extra={"facts": {"problem": str(error)}})


def _stamp(data: bytes) -> FileStamp:
    return FileStamp(len(data), 0, hashlib.sha256(data).hexdigest())
