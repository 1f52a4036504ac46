"""Application context: the retriever, concurrency limiters, caches and metrics that the routes share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from fastapi import Depends
from starlette.requests import Request

from lookalike.embedding.model_loading import processors
from lookalike.errors import LookalikeError
from lookalike.gallery.photo_reader import PhotoReader
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.roots import Roots
from lookalike.images import Budget
from lookalike.retrieval.retriever import Retriever
from lookalike.server.concurrency import ConcurrencyLimiter
from lookalike.server.facets import FacetCache
from lookalike.server.item_writer import ItemWriter
from lookalike.server.metrics import Metrics
from lookalike.server.originals import DecodedPhotos
from lookalike.server.photo_hosts import PhotoHostLimiter
from lookalike.server.presentation import locations_to_hide
from lookalike.server.request_bodies import Intake
from lookalike.server.settings import Settings
from lookalike.server.thumbnails import Thumbnails
from lookalike.types import Item

READERS, SCANNERS, CHECKERS, PAINTERS, WRITERS = 4, 1, 1, 2, 1
READS_WAITING, SCANS_WAITING, CHECKS_WAITING, PICTURES_WAITING, WRITES_WAITING = 256, 16, 64, 512, 16
WRITE_SECONDS = 600.0


@dataclass
class AppContext:
    """State of one running server.

    Attributes:
        retriever: Retriever whose embedder all threads share.
        address: Folder or address of the gallery, as the operator wrote it.
        settings: Limits of the server.
        token: Bearer token for writes; None disables them.
        ready: Whether requests are accepted: from `start` until `stop`.
        writer: Item writer; used only under the `writes` limiter.
        private_locations: Paths and addresses that are redacted from errors.
        decoding: Memory budget for decoding photos, shared by all requests.
        garments: Whether there is a finder of garments.
        photos: Whether searches by photo are possible: the model makes vectors of the gallery's spaces.
    """

    retriever: Retriever
    address: str
    settings: Settings
    token: bytes | None
    writer: ItemWriter
    photos: bool = True
    garments: bool = False
    ready: bool = False
    metrics: Metrics = field(init=False)
    intake: Intake = field(init=False)
    searches: ConcurrencyLimiter = field(init=False)
    reads: ConcurrencyLimiter = field(init=False)
    scans: ConcurrencyLimiter = field(init=False)
    facets: FacetCache = field(init=False)
    checks: ConcurrencyLimiter = field(init=False)
    pictures: ConcurrencyLimiter = field(init=False)
    writes: ConcurrencyLimiter = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    decoded_photos: DecodedPhotos = field(init=False)
    photo_hosts: PhotoHostLimiter = field(init=False)
    decoding: Budget = field(init=False)
    private_locations: Sequence[str] = ()

    def __post_init__(self) -> None:
        settings = self.settings
        self.intake = Intake(settings.intake_bytes)
        self.decoding = self.writer.decoding
        self.thumbnails = Thumbnails(settings.thumbnails_bytes)
        self.decoded_photos = DecodedPhotos()
        self.photo_hosts = PhotoHostLimiter()
        self.facets = FacetCache(settings.scan_seconds)
        self.metrics = Metrics()
        workers = settings.workers or max(2, processors())

        def make_limiter(
            name: str, workers: int, waiting: int, seconds: float = settings.answer_seconds, *, stops: bool = True
        ) -> ConcurrencyLimiter:
            made = ConcurrencyLimiter(
                name, workers=workers, waiting=waiting, seconds=seconds, observe=self.metrics.waited, stops=stops
            )
            self.metrics.watch_limiter(made)
            return made

        self.searches = make_limiter("searches", workers, settings.waiting)
        self.reads = make_limiter("reads", READERS, READS_WAITING)
        self.scans = make_limiter("scans", SCANNERS, SCANS_WAITING, settings.scan_seconds)
        self.checks = make_limiter("checks", CHECKERS, CHECKS_WAITING)
        self.pictures = make_limiter("pictures", PAINTERS, PICTURES_WAITING)
        self.writes = make_limiter("writes", WRITERS, WRITES_WAITING, WRITE_SECONDS, stops=False)

    def roots_for(self, item: Item) -> Roots:
        """Roots below which the photo of an item may be read: the gallery's, the settings', and folders of uploads."""
        roots = (*self.retriever.gallery.roots, *self.settings.roots)
        return PhotoReader(roots, tuple(map(str, self.writer.photo_folders))).roots_for(item)

    def start(self) -> None:
        """Warm up the index, and accept requests.

        Raises:
            LookalikeError: The gallery cannot be read.
        """
        self.metrics.watch_gallery(lambda: len(self.retriever.gallery))
        folder = getattr(self.retriever.gallery, "folder", None)
        known = [self.address, self.settings.photos, self.retriever.gallery.model, folder and str(folder)]
        absolute = [os.path.abspath(place) for place in known if place and "://" not in place]  # noqa: PTH100
        self.private_locations = locations_to_hide(*known, *absolute)
        with suppress(LookalikeError):  # `/readyz` and every request say so
            warm(self.retriever.gallery)
        if self.token is not None:
            self.writer.tidy()
        self.ready = True

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

    def stop(self) -> None:
        """Finish running work, and close everything."""
        self.ready = False
        for limiter in (self.searches, self.reads, self.scans, self.checks, self.pictures, self.writes):
            limiter.close()
        self.photo_hosts.close()
        self.retriever.close()


def warm(gallery: Gallery) -> None:
    """Search once, which loads the default index or builds it."""
    if gallery.spaces and len(gallery):
        query = {space.name: np.eye(1, space.dimension, dtype=np.float32) for space in gallery.spaces}
        gallery.search(query, SearchRequest())


async def context_of(request: Request) -> AppContext:
    """Application context of a request. A coroutine, since FastAPI would run a plain function in a thread."""
    context: AppContext = request.app.state.context
    return context


Context = Annotated[AppContext, Depends(context_of)]
