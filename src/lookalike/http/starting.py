"""From an address to a server that can answer: what can be the operator's mistake shows here, before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

import lookalike
from lookalike.errors import MismatchError
from lookalike.gallery.local import LocalGallery
from lookalike.gallery.protocol import Gallery
from lookalike.http.batching import BatchingEmbedder
from lookalike.http.photo_store import PhotoStore
from lookalike.http.serving import Serving
from lookalike.http.settings import Settings
from lookalike.http.writing import ItemWriter
from lookalike.images import Limits
from lookalike.retriever import Retriever


def open_serving(
    address: str,
    *,
    settings: Settings,
    token: bytes | None = None,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    say: Callable[[str], None] = lambda _: None,
) -> Serving:
    """Open a gallery and its model, and run the model once.

    Args:
        address: Of the gallery.
        settings: The server's limits.
        token: What writers must show.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        say: Tells the operator what to know.

    Raises:
        GalleryNotFoundError: There is no gallery.
        ModelError: The model cannot be loaded.
        MismatchError: The gallery was filled by another model.
    """
    opened = lookalike.open(address, model=model, runtime=runtime, device=device)
    gallery = opened.gallery
    photos = True
    try:
        opened.check_model()
    except MismatchError as error:
        if not all(space.maker.startswith("imported:") for space in gallery.spaces):
            raise
        photos = False
        say(f"{error}; items can be asked with, photos cannot")
    batching = BatchingEmbedder(opened.embedder, largest=settings.batch)
    side = batching.wanted_size
    batching.embed([Image.new("RGB", (side, side), "grey")])
    limits = Limits(bytes=settings.upload_bytes, pixels=settings.pixels)
    retriever = Retriever(gallery, batching, limits=limits)
    writer = ItemWriter(retriever, PhotoStore(photo_folder(settings, gallery)), limits=limits)
    serving = Serving(retriever, address, settings, token, writer, photos)
    batching.observe = serving.metrics.batched
    return serving


def photo_folder(settings: Settings, gallery: Gallery) -> Path:
    """Where photos that are sent are kept: as configured, or beside the gallery's database."""
    if settings.photos:
        return Path(settings.photos)
    return gallery.folder / "photos" if isinstance(gallery, LocalGallery) else Path("photos")
