"""A gallery that is written to as over HTTP, and the files of its photos."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

import lookalike
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.photo_store import PhotoStore
from lookalike.images import Limits
from lookalike.images.memory_budget import Budget
from lookalike.server.item_write import ItemWrite
from lookalike.server.item_writer import ItemWriter
from lookalike.server.ordered_writes import OrderedWrites
from lookalike.types import JSON, Item


def picture(seed: int) -> bytes:
    """A small photo, its own for each number."""
    pixels = np.random.default_rng(seed).integers(0, 255, size=(4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((40, 40), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


@contextmanager
def writer_of(gallery: Path, model: Path, photos: Path | None = None) -> Iterator[OrderedWrites]:
    """What a server writes with, as it is after a start; the gallery is made when it is not there."""
    LocalGallery(gallery, create=True).close()
    with lookalike.open(gallery, model=str(model)) as retriever:
        writer = ItemWriter(retriever, PhotoStore(retriever.gallery, photos), limits=Limits(), decoding=Budget(1 << 28))
        writer.tidy()
        yield OrderedWrites(writer, None, hosts=frozenset(), room=0)


def put(writer: OrderedWrites, item_id: str, seed: int, **attributes: int) -> None:
    """Add an item, or replace it."""
    writer.put(ItemWrite(item_id, attributes=attributes, photo=picture(seed), replace=True))


def change(writer: OrderedWrites, item_id: str, **attributes: JSON) -> Item:
    """Set attributes of an item."""
    return writer.change(ItemWrite(item_id, attributes=attributes)).item


def photos_of(gallery: Path) -> dict[str, bytes | None]:
    """The photo of each item; None where its file is not there."""
    with LocalGallery(gallery) as opened:
        items = opened.list(limit=None)[1]
    return {item.id: Path(item.location).read_bytes() if Path(item.location).is_file() else None for item in items}


def files_in(folder: Path) -> dict[str, bytes | str]:
    """All files and links beneath a folder, with what they hold or where they lead."""
    return {
        str(path.relative_to(folder)): str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }
