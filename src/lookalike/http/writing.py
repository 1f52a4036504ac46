"""Writing items: photos are embedded, stored and added; what is written is searchable at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from lookalike.embedding.protocol import Prepared
from lookalike.errors import UnknownNameError
from lookalike.gallery.protocol import Gallery
from lookalike.http.photo_store import PhotoStore
from lookalike.http.refusals import Refusal
from lookalike.images import Limits, open_image
from lookalike.retriever import Retriever
from lookalike.types import JSON, Box, Item, Stamp

SOURCE = "http"
"""The source of items that came over HTTP: no run of `lookalike index` prunes them."""


@runtime_checkable
class Editing(Protocol):
    """A gallery that keeps changes made by hand when a catalogue describes the item anew."""

    def edit(self, item_id: str, attributes: Mapping[str, JSON]) -> Item:
        """Change attributes; None takes one away."""
        ...


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

    def __init__(self, retriever: Retriever, photos: PhotoStore, *, limits: Limits) -> None:
        """Make ready.

        Args:
            retriever: Its gallery is written to.
            photos: Where photos are kept.
            limits: For photos.
        """
        self._retriever, self._photos, self._limits = retriever, photos, limits

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
        picture = open_image(
            written.photo, at_least=embedder.wanted_size, box=written.box, limits=self._limits, name=written.name
        )
        return Ready(written, embedder.prepare(picture))

    def add(self, ready: Sequence[Ready]) -> list[bool]:
        """Embed and add items of distinct ids, all together. Returns for each whether it is new.

        Raises:
            UsageError: Something of them cannot be kept.
            GalleryLockedError: Another process is writing.
        """
        embedder = self._retriever.embedder
        rows = embedder.embed_prepared([each.prepared for each in ready])
        spaces = self.gallery.spaces or embedder.spaces
        before = [self.known(each.written.id) for each in ready]
        items = [self._stored(each.written) for each in ready]
        try:
            self.gallery.add(
                items,
                {space.name: rows[space.name] for space in spaces},
                spaces=spaces,
                source=SOURCE,
                stamps=[_stamp(each.written.photo or b"") for each in ready],
            )
        except BaseException:
            for item, old in zip(items, before, strict=True):
                self._photos.drop(item, unless=old)
            raise
        for item, old in zip(items, before, strict=True):
            self._settle(item)
            if old is not None:
                self._photos.drop(old, unless=item)
        return [old is None for old in before]

    def describe(self, written: Written) -> None:
        """Replace what is known of an item whose photo stays.

        Raises:
            Refusal: There is no such item, so its photo is needed; or another box was given.
        """
        old = self.known(written.id)
        if old is None:
            raise Refusal("photo_needed", f"there is no item {written.id!r} yet; send its photo with it")
        if written.box is not None and written.box != old.box:
            raise Refusal("photo_needed", "another box shows something else; send the photo with it")
        item = replace(old, product=written.product, attributes=written.attributes)
        self.gallery.describe([item])
        self._settle(item)

    def change(self, item_id: str, changes: Mapping[str, JSON]) -> Item:
        """Change some attributes of an item; None takes one away.

        Raises:
            UnknownNameError: There is no such item.
        """
        gallery = self.gallery
        if isinstance(gallery, Editing):
            return gallery.edit(item_id, changes)
        old = gallery.get(item_id)
        merged = {name: value for name, value in {**old.attributes, **changes}.items() if value is not None}
        item = replace(old, attributes=merged)
        gallery.describe([item])
        return item

    def remove(self, item_id: str) -> None:
        """Remove an item.

        Raises:
            UnknownNameError: There is no such item.
        """
        item = self.gallery.get(item_id)
        self.gallery.remove([item_id])
        self._photos.drop(item)

    def tidy(self) -> None:
        """Remove photos that a crash has left behind, and find those again whose folder was moved with the gallery."""
        if not self._photos.folder.is_dir():
            return
        items = [item for item, _ in self.gallery.stamps(SOURCE).values()]
        moved = [item for item in items if not self._photos.holds(item) and self._photos.has(item)]
        if moved:
            self.gallery.describe([replace(item, root=str(self._photos.folder)) for item in moved])
        self._photos.sweep(items)

    def _stored(self, written: Written) -> Item:
        assert written.photo is not None
        return Item(
            id=written.id,
            photo=self._photos.keep(written.id, written.photo),
            root=str(self._photos.folder),
            product=written.product,
            box=written.box,
            attributes=dict(written.attributes),
        )

    def _settle(self, item: Item) -> None:
        """What was changed by hand before would lie on top of what was just written; the last word counts."""
        gallery = self.gallery
        if not isinstance(gallery, Editing):
            return
        now = gallery.get(item.id).attributes
        if now != item.attributes:
            gallery.edit(item.id, {name: item.attributes.get(name) for name in {*now, *item.attributes}})


def _stamp(data: bytes) -> Stamp:
    return Stamp(len(data), 0, hashlib.sha256(data).hexdigest())
