"""One gallery of a server: as it was opened, and what its routes use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lookalike.embedding.compatibility import check_compatibility
from lookalike.errors import MismatchError, ModelError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.photo_store import PhotoStore
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.roots import Roots
from lookalike.images import Limits
from lookalike.jobs.queue import JobQueue
from lookalike.retrieval.retriever import Retriever
from lookalike.server.batching import BatchingEmbedder
from lookalike.server.facets import FacetCache
from lookalike.server.item_writer import ItemWriter
from lookalike.server.ordered_writes import OrderedWrites
from lookalike.server.photo_jobs import PhotoJobs
from lookalike.server.photo_queues import make_jobs, wanted_queue
from lookalike.server.settings import Settings
from lookalike.server.shared_models import SharedModels, state_of
from lookalike.server.shared_state import SharedState
from lookalike.spaces import Space
from lookalike.text.encoder import TextEncoder
from lookalike.types import Item


class OpenGallery:
    """An open gallery with its models. It is closed when it has been retired and no request uses it any more.

    Attributes:
        address: Folder or address, as the operator wrote it.
        gallery: The gallery.
        embedder: Embedder of its photos.
        text_encoder: Encoder of words; None if its model has none.
        photos: Whether searches by photo are possible: the model makes vectors of the gallery's spaces.
        closing: Closes what else belongs to the gallery, before it is closed itself.
    """

    def __init__(self, address: str, models: SharedModels, *, say: Callable[[str], None]) -> None:
        """Open a gallery and its models.

        Args:
            address: Folder or address.
            models: Models of the server.
            say: Called with messages for the operator.

        Raises:
            GalleryNotFoundError: There is no gallery.
            ModelError: The model cannot be loaded.
            MismatchError: The gallery was filled by another model.
        """
        self.address, self._models = address, models
        self.closing: Callable[[Gallery], None] = lambda _: None
        self._queue: JobQueue | None = None
        self._users, self._retired, self._lock = 0, False, threading.Lock()
        self.gallery: Gallery = open_gallery(address)
        try:
            self.embedder: BatchingEmbedder = models.embedder(self.gallery, address=address)
            self.photos = self._takes_photos(say)
            self.text_encoder: TextEncoder | None = None
            try:
                self.text_encoder = models.text_encoder(self.gallery, self.embedder)
            except (MismatchError, ModelError) as error:
                say(f"{error}; words are looked up in the texts of the items only")
            self._opened_as = self._state()
            self._spaces = self.gallery.spaces
        except BaseException:
            self.gallery.close()
            raise

    @property
    def waits(self) -> bool:
        """Whether its searches wait for another machine, or for a network that photos gather for."""
        return self.embedder.gathers or not isinstance(self.gallery, LocalGallery)

    def is_current(self) -> bool:
        """Whether opening the address again would give the same gallery with the same models.

        Raises:
            LookalikeError: The gallery is gone or cannot be read.
        """
        return self._state() == self._opened_as

    def remodelled(self) -> tuple[Space, ...]:
        """Spaces of the gallery, if they are others than when it was opened; else none.

        Raises:
            LookalikeError: The gallery is gone or cannot be read.
        """
        spaces = self.gallery.spaces
        return () if spaces == self._spaces else spaces

    def take(self) -> bool:
        """Keep the gallery open until `give_back` was called as often; False if it is closed already."""
        with self._lock:
            if self._retired and not self._users:
                return False
            self._users += 1
            return True

    def give_back(self) -> None:
        """End one use of the gallery; a thread closes it after the last one, since requests end on the event loop."""
        with self._lock:
            self._users -= 1
            last = self._retired and not self._users
        if last:
            threading.Thread(target=self._close, name="lookalike-close").start()

    def retire(self) -> None:
        """Close the gallery as soon as no request uses it."""
        with self._lock:
            self._retired = True
            unused = not self._users
        if unused:
            self._close()

    def open_queue(self, path: Path) -> JobQueue:
        """Open the queue of photos to fetch, which is closed with the gallery.

        Raises:
            LookalikeError: It cannot be opened.
        """
        with self._lock:
            if self._queue is None:
                self._queue = JobQueue(path, create=True)
            return self._queue

    def _close(self) -> None:
        self.closing(self.gallery)
        if self._queue is not None:
            self._queue.close()
        self.gallery.close()

    def _state(self) -> object:
        """Folder, vectors and models of the gallery, as they are now."""
        folder = getattr(self.gallery, "folder", None)
        place = folder and os.path.realpath(folder)
        inode = state_of(Path(place))[1] if place else 0
        gallery = self.gallery
        spaces = gallery.spaces
        return place, inode, gallery.model, spaces, self._models.files_of(gallery)

    def _takes_photos(self, say: Callable[[str], None]) -> bool:
        """Whether the model makes vectors of the gallery's spaces; False for those of an unknown model.

        Raises:
            MismatchError: Another model made them.
        """
        gallery, given = self.gallery, self._models.given
        embedder = Retriever(gallery, self.embedder).embedder  # with projections
        try:
            remembered = None if given else gallery.model
            check_compatibility(self.address, gallery.spaces, embedder, remembered=remembered, named=given)
        except MismatchError as error:
            if not all(space.model_id.startswith("imported:") for space in gallery.spaces):
                raise
            say(f"{error}; searches by item work, searches by photo do not")
            return False
        return True


@dataclass
class GalleryContext:
    """One gallery of a running server, with what all of them share, for the routes.

    Attributes:
        name: Its name in paths.
        opened: The open gallery.
        shared: State that all galleries share.
        models: Models of the server.
        settings: Settings of the server; a reload makes a context with others.
        retriever: Retriever whose embedder all threads share.
        writer: Item writer; used only under the `writes` limiter.
        garments: Whether there is a finder of garments.
    """

    name: str
    opened: OpenGallery
    shared: SharedState
    models: SharedModels
    settings: Settings
    retriever: Retriever = field(init=False)
    writer: ItemWriter = field(init=False)
    facets: FacetCache = field(init=False)
    garments: bool = field(init=False)

    def __post_init__(self) -> None:
        shared, opened, settings = self.shared, self.opened, self.settings
        limits = Limits(bytes=settings.upload_bytes, pixels=settings.pixels)
        finder = self.models.finder
        self.garments = finder is not None
        self.retriever = Retriever(
            opened.gallery, opened.embedder, limits=limits, finder=finder, text_encoder=opened.text_encoder
        )
        store = PhotoStore(opened.gallery, Path(settings.photos) if settings.photos else None)
        self.writer = ItemWriter(self.retriever, store, limits=limits, decoding=shared.decoding)
        self.item_writes = OrderedWrites(self.writer, None, hosts=frozenset(), room=0)
        self._jobs: PhotoJobs | None = None
        self.facets = FacetCache(settings.scan_seconds)
        self.metrics, self.intake, self.decoding = shared.metrics, shared.intake, shared.decoding
        self.searches, self.reads, self.scans = shared.searches, shared.reads, shared.scans
        self.pictures, self.writes = shared.pictures, shared.writes
        self.thumbnails, self.decoded_photos = shared.thumbnails, shared.decoded_photos
        self.photo_hosts = shared.photo_hosts
        self.events, self.recorder = shared.events, shared.recorders.of(self.name, opened.gallery, settings)
        opened.closing = shared.recorders.close_of

    @property
    def private_locations(self) -> Sequence[str]:
        """Paths and addresses that are redacted from errors."""
        return self.shared.private_locations

    @property
    def photos(self) -> bool:
        """Whether searches by photo are possible."""
        return self.opened.photos

    @property
    def words(self) -> bool:
        """Whether the meaning of words can be searched."""
        return self.opened.text_encoder is not None

    def open_queue(self, *, writable: bool) -> None:
        """Open the queue of photos to fetch, if the settings name hosts or photos still wait in it.

        Args:
            writable: Whether this server writes; another one leaves the queue alone.

        Raises:
            ConfigError: There is no folder for the queue.
            MissingExtraError: The library that fetches photos is not installed.
            LookalikeError: The queue cannot be opened.
        """
        settings = self.settings
        place = wanted_queue(self.writer.gallery, settings) if writable else None
        self.item_writes = OrderedWrites(
            self.writer,
            None if place is None else self.opened.open_queue(place),
            hosts=frozenset(settings.photo_hosts),
            room=settings.queued_photos,
        )

    def start_jobs(self) -> None:
        """Fetch queued photos from now on."""
        if self.item_writes.queue is not None and self._jobs is None:
            self._jobs = make_jobs(
                self.item_writes,
                self.settings,
                submit=self.writes.submit,
                observe=lambda result, seconds: self.metrics.fetched(self.name, result, seconds),
            )
            self.opened.take()
            self._jobs.start()

    def stop_jobs(self) -> None:
        """Stop fetching photos; those that wait stay in the queue."""
        if self._jobs is not None:
            self._jobs.stop()
            self._jobs = None
            self.opened.give_back()

    def wake_jobs(self) -> None:
        """Fetch what was queued just now, in whichever process works on the queue."""
        self.look_at_jobs()
        if self.shared.siblings is not None:
            self.shared.siblings.tell("fetch")

    def look_at_jobs(self) -> None:
        """Fetch what was queued just now, if this process works on the queue."""
        if self._jobs is not None:
            self._jobs.wake()

    def roots_for(self, item: Item) -> Roots:
        """Roots below which the photo of an item may be read: the gallery's, the settings', and folders of uploads."""
        roots = (*self.retriever.gallery.roots, *self.settings.roots)
        return PhotoReader(roots, tuple(map(str, self.writer.photo_folders))).roots_for(item)

    def check(self) -> None:
        """Check that the gallery can be searched.

        Raises:
            MismatchError: The gallery was replaced by one of another model.
            LookalikeError: The gallery is gone or cannot be read.
        """
        gallery = self.retriever.gallery
        _ = gallery.version  # which reads the rows where these have changed
        gallery.list(limit=1)
        items = len(gallery)
        if self.photos and items:
            self.retriever.check_model()

    def warm(self) -> None:
        """Search once, which loads the default index or builds it.

        Raises:
            LookalikeError: The gallery cannot be read.
        """
        gallery = self.retriever.gallery
        if gallery.spaces and len(gallery):
            query = {space.name: np.eye(1, space.dimension, dtype=np.float32) for space in gallery.spaces}
            gallery.search(query, SearchRequest())

    def locations(self) -> list[str | None]:
        """Paths and addresses of the gallery, as messages may contain them."""
        folder = getattr(self.retriever.gallery, "folder", None)
        return [self.opened.address, self.retriever.gallery.model, folder and str(folder)]
