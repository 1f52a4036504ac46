"""Models of a server, each loaded once however many galleries use it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from time import thread_time
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary, WeakValueDictionary

from PIL import Image

from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.model_loading import processors
from lookalike.embedding.protocol import Embedder
from lookalike.errors import NoFinderError
from lookalike.finding.finder import Finder
from lookalike.gallery.protocol import Gallery
from lookalike.models.default_model import SHIPPED, SHIPPED_MODEL
from lookalike.retrieval.text_query import load_text_encoder
from lookalike.server.batching import BatchingEmbedder
from lookalike.text.encoder import TextEncoder

QUICK_S: Final = 0.02
"""Most processor time for one photo, in seconds, of a network that counts as quick."""

TRIALS: Final = 3

FileState: TypeAlias = tuple[str, int, int, int]
"""A file as it is now: path, inode, size, time of the last change in ns; zeros if there is none."""


class SharedModels:
    """Embedders, text encoders and the finder of a server; for use by one thread at a time.

    A model that no gallery uses any more is freed.

    Attributes:
        given: Whether the operator has named the model; else it is that of each gallery.
    """

    def __init__(
        self,
        *,
        model: str | None,
        runtime: str,
        device: str,
        finder: str | None,
        batch: int,
        observe: Callable[[int], None],
    ) -> None:
        """Load nothing yet.

        Args:
            model: Model for all galleries, see `lookalike.open`; None takes that of each gallery.
            runtime: See `lookalike.open`.
            device: See `lookalike.open`.
            finder: See `lookalike.open`.
            batch: Largest batch size.
            observe: Called with the size of each batch.
        """
        self.given = model is not None
        self._choice = ModelFile(model, runtime, device)
        self._finder = finder
        self._batch, self._observe = batch, observe
        self._by_files: WeakValueDictionary[tuple[FileState, ...], BatchingEmbedder] = WeakValueDictionary()
        self._by_content: WeakValueDictionary[str, BatchingEmbedder] = WeakValueDictionary()
        self._text_encoders: WeakKeyDictionary[BatchingEmbedder, dict[FileState, TextEncoder]] = WeakKeyDictionary()

    def files_of(self, gallery: Gallery) -> tuple[FileState, ...]:
        """Files of the models of a gallery, as they are now."""
        return tuple(
            state_of(SHIPPED_MODEL if model == SHIPPED else Path(model)) for model in self._choice.named(gallery.model)
        )

    def embedder(self, gallery: Gallery, *, address: str) -> BatchingEmbedder:
        """Embedder of the photos of a gallery, without its projections; galleries with equal models share one.

        Args:
            gallery: Gallery.
            address: Its address, for messages.

        Raises:
            ModelError: The model cannot be loaded.
        """
        files = self.files_of(gallery)
        if (known := self._by_files.get(files)) is not None:
            return known
        embedder, at_once, gathers = load_for_many(self._choice, gallery.model, address=address)
        content = repr((embedder.fingerprint, embedder.spaces, embedder.calibration, embedder.labels))
        shared = self._by_content.get(content)  # the same model in another file
        if shared is None:
            shared = BatchingEmbedder(embedder, largest=self._batch, at_once=at_once, gathers=gathers)
            shared.observe = self._observe
        self._by_content[content] = self._by_files[files] = shared
        return shared

    def text_encoder(self, gallery: Gallery, embedder: BatchingEmbedder) -> TextEncoder | None:
        """Text encoder of the model of a gallery, with the gallery's projection; None if the model has none.

        Args:
            gallery: Gallery.
            embedder: Its embedder.

        Raises:
            ModelError: The file beside the model is damaged.
            MismatchError: It belongs to another photo model.
        """
        known = self._text_encoders.setdefault(embedder, {})

        def load(path: Path, threads: int) -> TextEncoder:
            state = state_of(path)
            if state not in known:
                known[state] = TextEncoder(path, threads=threads)
            return known[state]

        return load_text_encoder(gallery, self._choice, load=load)

    @cached_property
    def finder(self) -> Finder | None:
        """Finder of garments; None if none is named and none installed.

        Raises:
            ModelError: It cannot be loaded.
        """
        try:
            return Finder(self._finder)
        except NoFinderError:
            return None


def state_of(path: Path) -> FileState:
    """State of a file."""
    try:
        found = path.stat()
    except OSError:
        return str(path), 0, 0, 0
    return str(path), found.st_ino, found.st_size, found.st_mtime_ns


def load_for_many(choice: ModelFile, remembered: str | None, *, address: str) -> tuple[Embedder, int, bool]:
    """Load the model of a gallery, time it, and decide how it shares the processors.

    A network that is quick on one processor runs once per processor, each on a batch of its own: without decoding, two
    processors embed 660 photos a second with the default model in this way, one photo at a time, and 520 when both work
    on batches of 8 (2-core x86-64, 2026-11-26). A slow network runs once, on all processors, so that a single photo
    does not leave some of them idle.

    Args:
        choice: Model, runtime and device.
        remembered: Models that the gallery stores.
        address: Address of the gallery, for messages.

    Returns:
        The embedder, the number of batches that its network runs on at once, and whether photos gather for it, see
        `BatchingEmbedder`.

    Raises:
        ModelError: The model cannot be loaded.
    """
    lean = ModelFile(choice.given, choice.runtime, choice.device, threads=1).load(remembered, gallery=address)
    quick = seconds_for_one(lean) <= QUICK_S and lean.concurrent
    if quick or processors() == 1:
        return lean, processors(), not quick
    del lean  # frees its model
    whole = choice.load(remembered, gallery=address)
    seconds_for_one(whole)
    return whole, 1, True


def seconds_for_one(embedder: Embedder) -> float:
    """Processor time that a warm embedder takes in this thread for one photo, in seconds: the least of a few trials.

    Unlike the time that passes, it hardly depends on what else the machine does while the server starts.
    """
    prepared = embedder.prepare(Image.new("RGB", (embedder.wanted_size, embedder.wanted_size), "grey"))
    taken = []
    for _ in range(TRIALS):
        started = thread_time()
        embedder.embed_prepared([prepared])
        taken.append(thread_time() - started)
    return min(taken)
