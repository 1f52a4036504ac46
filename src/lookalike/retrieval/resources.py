"""Resources of a retriever: its gallery and models."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from lookalike.embedding.compatibility import check_compatibility
from lookalike.embedding.model_choice import ModelFile
from lookalike.embedding.projected import ProjectedEmbedder
from lookalike.errors import GalleryNotFoundError, LookalikeError, MismatchError
from lookalike.gallery.photo_reader import PhotoReaderCache

if TYPE_CHECKING:
    from lookalike.embedding.calibration import Calibration
    from lookalike.embedding.protocol import Embedder
    from lookalike.finding.finder import Finder
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest
    from lookalike.images import Limits
    from lookalike.spaces import Space
    from lookalike.text.encoder import TextEncoder


@contextmanager
def loading(load: Callable[[], object]) -> Iterator[Thread]:
    """Load a model in another thread during the context. An error is left to its first use, which has it again."""

    def try_to_load() -> None:
        with suppress(Exception):
            load()

    thread = Thread(target=try_to_load, name="lookalike-load")
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


class Resources:
    """Gallery and models of a retriever, opened and loaded when first used."""

    def __init__(
        self,
        gallery: Gallery | str | os.PathLike[str],
        embedder: Embedder | ModelFile,
        *,
        limits: Limits | None = None,
        finder: Finder | str | os.PathLike[str] | None = None,
        text_encoder: TextEncoder | None = None,
    ) -> None:
        """Join a gallery and an embedder.

        Args:
            gallery: Gallery, or the address of one, which is opened when first used.
            embedder: Embedder, or a model file, which is loaded when first used.
            limits: Limits of query photos; None takes those of `lookalike.images`.
            finder: Finder of garments, or its ONNX file, which is loaded when first used; None is the installed one.
            text_encoder: Text encoder of the embedder; None is the one beside the model file.
        """
        self.limits = limits
        if isinstance(gallery, str | os.PathLike):
            self._address, self._opened = os.fspath(gallery), None
        else:
            self._address, self._opened = "the gallery", gallery
        self._embedder = embedder
        self._photo_readers = PhotoReaderCache()
        self._calibration_of: tuple[object, Calibration | None] | None = None
        if finder is None or isinstance(finder, str | os.PathLike):
            self._finder = finder
        else:
            self._finder, self.finder = finder.file, finder
        if text_encoder is not None:
            self.text_encoder = text_encoder

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._address}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out loaded models: the unpickled retriever loads them, and opens the gallery, when first used."""
        loaded = ("embedder", "finder", "text_encoder")
        return {name: value for name, value in vars(self).items() if name not in loaded}

    def close(self) -> None:
        """Close the gallery's files; later calls open them again."""
        if self._opened is not None:
            self._opened.close()

    @property
    def gallery(self) -> Gallery:
        """The gallery.

        Raises:
            GalleryNotFoundError: There is no gallery at the address.
        """
        if self._opened is None:
            from lookalike.gallery.opening import open_gallery

            self._opened = open_gallery(self._address)
        return self._opened

    @cached_property
    def embedder(self) -> Embedder:
        """Embedder of photos.

        Raises:
            ModelError: The model cannot be loaded.
        """
        return self._loaded_embedder()

    @contextmanager
    def loading_finder(self, *, wanted: bool) -> Iterator[Callable[[], Finder]]:
        """Load the finder in another thread during the context, if there is one that is not loaded yet.

        ONNX Runtime reads and optimises a network without the lock of Python, so this thread can go on meanwhile.

        Args:
            wanted: Whether it will be used.

        Yields:
            Function that waits for the finder, and raises what loading it raised.
        """
        if not wanted or "finder" in vars(self) or not self._has_finder_file():
            yield lambda: self.finder
            return
        with loading(lambda: self.finder) as thread:

            def loaded() -> Finder:
                thread.join()
                return self.finder

            yield loaded

    def _has_finder_file(self) -> bool:
        """Whether there is a file of the finder to load."""
        from lookalike.finding.finder import SHIPPED_FINDER  # not in the thread that loads: imports wait for each other

        return Path(self._finder or SHIPPED_FINDER).is_file()

    @contextmanager
    def loading_embedder(self, request: ResolvedRequest, *, wanted: bool) -> Iterator[None]:
        """Load the embedder in another thread during the context, if it is a file that is not loaded yet.

        The index of a search is loaded in this thread meanwhile; its errors are left to the search too.

        Args:
            request: What is searched for.
            wanted: Whether the embedder will be used.
        """
        if not wanted or "embedder" in vars(self) or not isinstance(self._embedder, ModelFile):
            yield
            return
        with loading(lambda: self.embedder):
            with suppress(LookalikeError):
                self.gallery.load_index(request)
            yield

    def _loaded_embedder(self, *, many: bool = False) -> Embedder:
        """Load the embedder, for `many` batches or for queries; see `ModelFile.load`."""
        gallery, embedder = self._gallery_or_none(), self._embedder
        if isinstance(embedder, ModelFile):
            embedder = embedder.load(None if gallery is None else gallery.model, gallery=self._address, many=many)
        projections = {} if gallery is None else gallery.projections
        return ProjectedEmbedder(embedder, projections) if projections else embedder

    @cached_property
    def finder(self) -> Finder:
        """Finder of garments; loading it raises as `Finder` does."""
        from lookalike.finding.finder import Finder

        return Finder(self._finder)

    @cached_property
    def text_encoder(self) -> TextEncoder | None:
        """Text encoder of the model that filled the gallery; None if it has none.

        Raises:
            ModelError: The file beside the model is damaged.
            MismatchError: It belongs to another photo model.
        """
        from lookalike.retrieval.text_query import load_text_encoder

        return load_text_encoder(self.gallery, self._embedder) if isinstance(self._embedder, ModelFile) else None

    def _gallery_or_none(self) -> Gallery | None:
        """The gallery; None if there is none at the address."""
        try:
            return self.gallery
        except GalleryNotFoundError:
            return None

    def calibration_for(self, spaces: tuple[Space, ...]) -> Calibration | None:
        """Calibration of the model, which need not be loaded for it; None if it did not make vectors of these spaces.

        Args:
            spaces: Spaces of the gallery.
        """
        if "embedder" not in vars(self) and isinstance(self._embedder, ModelFile):
            return self._calibration_in_file(self._embedder, spaces)
        made = all(space in self.embedder.spaces for space in spaces)
        return self.embedder.calibration if made else None

    def _calibration_in_file(self, model: ModelFile, spaces: tuple[Space, ...]) -> Calibration | None:
        """Calibration in the file of the model that the gallery has now."""
        made_by = (self.gallery.model, spaces)
        if self._calibration_of is None or self._calibration_of[0] != made_by:
            self._calibration_of = made_by, model.calibration(*made_by)
        return self._calibration_of[1]

    @contextmanager
    def _created_if_missing(self) -> Iterator[Gallery]:
        """Yield the gallery, created if there is none; delete a created one if the work fails before it is used."""
        from lookalike.gallery.opening import open_gallery

        made = None
        if self._opened is None:
            self._opened = made = open_gallery(self._address, create=True)
        try:
            yield self._opened
        except BaseException:
            if made is not None:
                made.discard_if_unused()
                made.close()
                self._opened = None
            raise

    def _check_spaces(self, spaces: tuple[Space, ...]) -> None:
        """Check that the gallery still has the spaces that a query was embedded for.

        Raises:
            MismatchError: It was given another model meanwhile.
        """
        if self.gallery.spaces != spaces:
            raise MismatchError(f"{self._address} was given another model during this search; search again")

    def check_model(self, embedder: Embedder | None = None, *, asking: bool = False) -> None:
        """Check that the embedder's vectors can be compared with the gallery's.

        Args:
            embedder: Embedder; None is that of query photos.
            asking: Whether a query photo is embedded: a model that the user has named is then assumed to have made
                imported vectors of the same dimensions.

        Raises:
            MismatchError: The gallery was filled by another model, or has spaces that this one has not.
        """
        is_given = not isinstance(self._embedder, ModelFile) or self._embedder.given
        remembered = None if is_given else self.gallery.model
        named = asking and bool(is_given)
        check_compatibility(
            self._address, self.gallery.spaces, embedder or self.embedder, remembered=remembered, named=named
        )
