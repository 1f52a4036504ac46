"""What the routes share: the retriever, the lanes that work runs in, and what is counted."""

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
from lookalike.gallery.photo_store import is_sent
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.roots import Roots
from lookalike.images import Budget
from lookalike.retrieval.retriever import Retriever
from lookalike.server.concurrency import Lane
from lookalike.server.facets import FacetMemory
from lookalike.server.item_writer import ItemWriter
from lookalike.server.metrics import Metrics
from lookalike.server.originals import Checked
from lookalike.server.photo_hosts import Hosts
from lookalike.server.presentation import places_of
from lookalike.server.request_bodies import Intake
from lookalike.server.settings import Settings
from lookalike.server.thumbnails import Thumbnails
from lookalike.types import Item

READERS, SCANNERS, CHECKERS, PAINTERS, WRITERS = 4, 1, 1, 2, 1
READS_WAITING, SCANS_WAITING, CHECKS_WAITING, PICTURES_WAITING, WRITES_WAITING = 256, 16, 64, 512, 16
WRITE_SECONDS = 600.0


@dataclass
class Serving:
    """One running server.

    Attributes:
        retriever: Answers, its embedder shared by all threads.
        address: Of the gallery, as the operator wrote it.
        settings: Its limits.
        token: What writers must show; None lets nobody write.
        ready: Whether it takes requests, from the start until it is told to stop.
        writer: Writes items; only the lane of writes uses it.
        places: Paths and addresses that no answer tells.
        decoding: Memory that photos share while they are decoded.
        photos: Whether the model at hand makes vectors like the gallery's.
    """

    retriever: Retriever
    address: str
    settings: Settings
    token: bytes | None
    writer: ItemWriter
    photos: bool = True
    ready: bool = False
    metrics: Metrics = field(init=False)
    intake: Intake = field(init=False)
    searches: Lane = field(init=False)
    reads: Lane = field(init=False)
    scans: Lane = field(init=False)
    facets: FacetMemory = field(init=False)
    checks: Lane = field(init=False)
    pictures: Lane = field(init=False)
    writes: Lane = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    checked: Checked = field(init=False)
    hosts: Hosts = field(init=False)
    decoding: Budget = field(init=False)
    places: Sequence[str] = ()

    def __post_init__(self) -> None:
        settings = self.settings
        self.intake = Intake(settings.intake_bytes)
        self.decoding = self.writer.decoding
        self.thumbnails = Thumbnails(settings.thumbnails_bytes)
        self.checked = Checked()
        self.hosts = Hosts()
        self.facets = FacetMemory(settings.scan_seconds)
        self.metrics = Metrics()
        workers = settings.workers or max(2, processors())

        def lane(
            name: str, workers: int, waiting: int, seconds: float = settings.answer_seconds, *, stops: bool = True
        ) -> Lane:
            made = Lane(
                name, workers=workers, waiting=waiting, seconds=seconds, observe=self.metrics.waited, stops=stops
            )
            self.metrics.watch_lane(made)
            return made

        self.searches = lane("searches", workers, settings.waiting)
        self.reads = lane("reads", READERS, READS_WAITING)
        self.scans = lane("scans", SCANNERS, SCANS_WAITING, settings.scan_seconds)
        self.checks = lane("checks", CHECKERS, CHECKS_WAITING)
        self.pictures = lane("pictures", PAINTERS, PICTURES_WAITING)
        self.writes = lane("writes", WRITERS, WRITES_WAITING, WRITE_SECONDS, stops=False)

    def roots_for(self, item: Item) -> Roots:
        """What the photo of an item may be shown from: the gallery's roots and the settings', or what was sent here."""
        sent = [str(folder) for folder in self.writer.photo_folders] if is_sent(item) else []
        return Roots([*self.retriever.gallery.roots, *self.settings.roots, *sent])

    def start(self) -> None:
        """Load the model and open the gallery, so that the first request is as quick as any.

        Raises:
            LookalikeError: That cannot be done.
        """
        self.metrics.watch_gallery(lambda: len(self.retriever.gallery))
        folder = getattr(self.retriever.gallery, "folder", None)
        known = [self.address, self.settings.photos, self.retriever.gallery.model, folder and str(folder)]
        self.places = places_of(*known, *(os.path.abspath(place) for place in known if place and "://" not in place))  # noqa: PTH100
        with suppress(LookalikeError):  # `/readyz` and every request say so
            warm(self.retriever.gallery)
        if self.token is not None:
            self.writer.tidy()
        self.ready = True

    def check(self) -> None:
        """Make sure that the gallery can be asked.

        Raises:
            MismatchError: It is now one that was filled by another model.
            LookalikeError: It is gone or cannot be read.
        """
        items = len(self.retriever.gallery)
        if self.photos and items:
            self.retriever.check_model()

    def stop(self) -> None:
        """Finish what runs, and let go of everything."""
        self.ready = False
        for lane in (self.searches, self.reads, self.scans, self.checks, self.pictures, self.writes):
            lane.close()
        self.hosts.close()
        self.retriever.close()


def warm(gallery: Gallery) -> None:
    """Search once, so that the index that is usually searched is loaded, or built where it is not there."""
    if gallery.spaces and len(gallery):
        gallery.search({space.name: np.eye(1, space.dimension, dtype=np.float32) for space in gallery.spaces})


async def serving_of(request: Request) -> Serving:
    """The server that a request came to; not a plain function, which FastAPI would run in a thread."""
    serving: Serving = request.app.state.serving
    return serving


Served = Annotated[Serving, Depends(serving_of)]
