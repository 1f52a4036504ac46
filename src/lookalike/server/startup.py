"""Opening a gallery and its model for serving; mistakes of the operator are reported here, before the server starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Final

from PIL import Image

from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.model_loading import processors
from lookalike.embedding.protocol import Embedder
from lookalike.errors import MismatchError, ModelError, NoFinderError
from lookalike.gallery.photo_store import PhotoStore
from lookalike.images import Budget, Limits
from lookalike.retrieval.retriever import Retriever
from lookalike.server.batching import BatchingEmbedder
from lookalike.server.context import AppContext
from lookalike.server.item_writer import ItemWriter
from lookalike.server.settings import Settings

QUICK_S: Final = 0.02
"""Longest time for one photo on one processor, in seconds, of a network that counts as quick."""

TRIALS: Final = 3


def open_context(
    address: str,
    *,
    settings: Settings,
    token: bytes | None = None,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AppContext:
    """Open a gallery and its model, and run the model.

    Args:
        address: Folder or address of the gallery.
        settings: Limits of the server.
        token: Bearer token for writes; None disables them.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        finder: See `lookalike.open`.
        say: Called with messages for the operator.

    Raises:
        GalleryNotFoundError: There is no gallery.
        ModelError: The model or the finder cannot be loaded.
        MismatchError: The gallery was filled by another model.
    """
    opened, at_once = open_for_many(address, model=model, runtime=runtime, device=device)
    gallery = opened.gallery
    photos = True
    try:
        opened.check_model(asking=True)
    except MismatchError as error:
        if not all(space.model_id.startswith("imported:") for space in gallery.spaces):
            raise
        photos = False
        say(f"{error}; searches by item work, searches by photo do not")
    batching = BatchingEmbedder(opened.embedder, largest=settings.batch, at_once=at_once)
    limits = Limits(bytes=settings.upload_bytes, pixels=settings.pixels)
    text_encoder = None
    try:
        text_encoder = opened.text_encoder
    except (MismatchError, ModelError) as error:
        say(f"{error}; words are looked up in the texts of the items only")
    retriever = Retriever(gallery, batching, limits=limits, finder=finder, text_encoder=text_encoder)
    garments = True
    try:
        _ = retriever.finder
    except NoFinderError:  # requests for garments say so
        garments = False
    photo_store = PhotoStore(gallery, Path(settings.photos) if settings.photos else None)
    writer = ItemWriter(retriever, photo_store, limits=limits, decoding=Budget(settings.decode_bytes))
    context = AppContext(retriever, address, settings, token, writer, photos, garments)
    batching.observe = context.metrics.batched
    return context


def open_for_many(address: str, *, model: str | None, runtime: str, device: str) -> tuple[Retriever, int]:
    """Open a gallery and its model, time the model, and decide how it shares the processors.

    A network that is quick on one processor runs once per processor, on one photo each: without decoding, two
    processors embed 660 photos a second with the default model in this way, and 520 when both work on batches of 8
    (2-core x86-64, 2026-11-26); only bulk requests would gain from batches. A slow network runs once, on all
    processors, so that a single photo does not leave some of them idle.

    Returns:
        The retriever, and the number of batches that its network runs on at once.

    Raises:
        GalleryNotFoundError: There is no gallery.
        ModelError: The model cannot be loaded.
    """
    lean = Retriever(address, ModelFile(model, runtime, device, threads=1))
    try:
        _ = lean.gallery  # a missing gallery is reported before a model is loaded
        quick = seconds_for_one(lean.embedder) <= QUICK_S
    except BaseException:
        lean.close()
        raise
    if processors() == 1:
        return lean, 1
    if quick and lean.embedder.concurrent:
        return lean, processors()
    lean.close()
    del lean  # frees its model
    whole = Retriever(address, ModelFile(model, runtime, device))
    try:
        seconds_for_one(whole.embedder)
    except BaseException:
        whole.close()
        raise
    return whole, 1


def seconds_for_one(embedder: Embedder) -> float:
    """Seconds that a warm embedder takes for one photo: the least of a few trials."""
    prepared = embedder.prepare(Image.new("RGB", (embedder.wanted_size, embedder.wanted_size), "grey"))
    taken = []
    for _ in range(TRIALS):
        started = perf_counter()
        embedder.embed_prepared([prepared])
        taken.append(perf_counter() - started)
    return min(taken)
