"""Writing items: embedding and storing their photos, and adding them to the gallery."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from lookalike.embedding.batch_embedding import BATCH, embed_in_batches, with_garments
from lookalike.embedding.protocol import Prepared
from lookalike.errors import GalleryUnreachableError, LookalikeError, StorageFailedError, UnknownNameError
from lookalike.finding.catalogue_finder import CatalogueFinder
from lookalike.gallery.photo_store import SOURCE, PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.images import Budget, Limits, one_photo, open_image
from lookalike.retrieval.retriever import Retriever
from lookalike.server.errors import ApiError
from lookalike.types import JSON, Box, FileStamp, Item

LOG: Final = logging.getLogger("lookalike.server")


@dataclass(frozen=True, slots=True)
class ItemWrite:
    """An item to write.

    Attributes:
        id: Id of the item.
        product: Product that the photo shows.
        attributes: All attributes.
        box: Part of the photo to embed.
        photo: Content of the photo file; None keeps the present photo.
        name: Name of the photo in errors.
        garments: Embed each garment of the photo by itself, unless there is a box.
    """

    id: str
    product: str | None
    attributes: Mapping[str, JSON]
    box: Box | None = None
    photo: bytes | None = None
    name: str = "photo"
    garments: bool = False


@dataclass(frozen=True, slots=True)
class PreparedWrite:
    """An item whose photo is decoded and prepared for embedding.

    Attributes:
        written: What was sent.
        item: The item with its garments, still without its photo.
        prepared: Each of its parts, prepared.
    """

    written: ItemWrite
    item: Item
    prepared: Sequence[Prepared]


class ItemWriter:
    """Writes items; for use by one thread at a time."""

    def __init__(self, retriever: Retriever, photos: PhotoStore, *, limits: Limits, decoding: Budget) -> None:
        """Make a writer.

        Args:
            retriever: Retriever with the gallery to write to.
            photos: Store of uploaded photos.
            limits: Limits of photos.
            decoding: Memory budget for decoding.
        """
        self._retriever, self._photos, self._limits = retriever, photos, limits
        self.decoding = decoding

    @property
    def photo_folders(self) -> list[Path]:
        """Folders of uploaded photos."""
        return self._photos.folders

    @property
    def gallery(self) -> Gallery:
        """Gallery to write to."""
        return self._retriever.gallery

    def known(self, item_id: str) -> Item | None:
        """Item with an id, or None."""
        try:
            return self.gallery.get(item_id)
        except UnknownNameError:
            return None

    def prepare(self, written: ItemWrite) -> PreparedWrite:
        """Decode and prepare the photo of an item.

        Raises:
            PhotoError: The photo cannot be read.
            NoFinderError: Its garments are to be found, and there is no finder.
            MismatchError: The gallery was filled by another model.
        """
        data, limits = written.photo, self._limits
        assert data is not None
        self._retriever.check_model()
        embedder = self._retriever.embedder
        item = Item(written.id, written.name, product=written.product, box=written.box, attributes=written.attributes)
        prepared = []
        with self.decoding.in_use(refuse=True), one_photo():
            if written.garments and written.box is None:
                item = with_garments(item, data, CatalogueFinder(self._retriever.finder), limits=limits)
            for part in item.parts:
                picture = open_image(data, at_least=embedder.wanted_size, box=part, limits=limits, name=written.name)
                prepared.append(embedder.prepare(picture))
        return PreparedWrite(written, item, prepared)

    def add(self, ready: Sequence[PreparedWrite]) -> list[tuple[Item, bool]]:
        """Embed and add items of distinct ids in one transaction; overrides are dropped.

        Returns:
            Each item as committed, and whether it is new.

        Raises:
            UsageError: An attribute cannot be stored; nothing was changed.
            GalleryLockedError: Another process is writing; nothing was changed.
            LookalikeError: The items cannot be written; nothing was changed.
        """
        embedder = self._retriever.embedder
        rows = embed_in_batches(embedder, [part for each in ready for part in each.prepared], batch=BATCH).vectors
        with self.gallery.writing():
            before = [self.known(each.written.id) for each in ready]
            items: list[Item] = []
            try:
                items += map(self._stored, ready)
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
                raise  # the commit may have succeeded, so photos stay; `tidy` removes unused ones
            except LookalikeError:
                self._drop(items)
                raise
            self._drop(old for old in before if old is not None)
        return [(item, old is None) for item, old in zip(items, before, strict=True)]

    def describe(self, written: ItemWrite) -> Item:
        """Replace product and attributes of an item, overrides included, and keep the photo. Returns the new item.

        Raises:
            ApiError: There is no such item, or the box differs; both need the photo.
            LookalikeError: The item cannot be written; nothing was changed.
        """
        with self.gallery.writing():
            old = self.known(written.id)
            if old is None:
                raise ApiError("photo_needed", f"there is no item {written.id!r} yet; send its photo with it")
            if written.box is not None and written.box != old.box:
                raise ApiError("photo_needed", "the box differs from the indexed one; send the photo with it")
            item = replace(old, product=written.product, attributes=dict(written.attributes))
            self.gallery.update([item], overrides=[{}])
            return item

    def change(self, item_id: str, changes: Mapping[str, JSON]) -> Item:
        """Change attributes of an item; None removes one. Returns the new item.

        Raises:
            UnknownNameError: There is no such item.
            LookalikeError: The item cannot be written; nothing was changed.
        """
        return self.gallery.override(item_id, changes)

    def remove(self, item_id: str) -> None:
        """Remove an item, and its photo if it was uploaded.

        Raises:
            UnknownNameError: There is no such item.
            LookalikeError: The item cannot be removed.
        """
        with self.gallery.writing():
            item = self.gallery.get(item_id)
            self.gallery.remove([item_id])
            self._drop([item])

    def tidy(self) -> None:
        """Remove photos left behind by a kill, and relocate those whose folder was moved with the gallery."""
        try:
            self._photos.tidy()
        except LookalikeError as error:  # `tidy` is tried again at the next start
            LOG.warning("photos", extra={"fields": {"problem": f"left as they are: {error}"}})

    def _stored(self, ready: PreparedWrite) -> Item:
        assert ready.written.photo is not None
        kept = self._photos.keep(ready.item.id, ready.written.photo)
        return replace(ready.item, photo=kept.photo, root=kept.root)

    def _drop(self, items: Iterable[Item]) -> None:
        """Remove photos of replaced items; `tidy` removes later what cannot be removed now."""
        for item in items:
            try:
                self._photos.drop(item)
            except LookalikeError as error:
                LOG.warning("photos", extra={"fields": {"problem": str(error)}})


def _stamp(data: bytes) -> FileStamp:
    return FileStamp(len(data), 0, hashlib.sha256(data).hexdigest())
