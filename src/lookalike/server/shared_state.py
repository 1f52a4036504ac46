"""What the galleries of a server share: settings, limits, queues of work, caches and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from lookalike.embedding.model_loading import processors
from lookalike.images import Budget
from lookalike.server.access import Access
from lookalike.server.concurrency import ConcurrencyLimiter
from lookalike.server.metrics import Metrics
from lookalike.server.originals import DecodedPhotos
from lookalike.server.photo_hosts import PhotoHostLimiter
from lookalike.server.request_bodies import Intake
from lookalike.server.settings import Settings
from lookalike.server.siblings import Siblings
from lookalike.server.thumbnails import Thumbnails
from lookalike.server.usage_recorders import UsageRecorders

READERS, SCANNERS, CHECKERS, PAINTERS, WRITERS, EVENT_WRITERS = 4, 1, 1, 2, 1, 1
READS_WAITING, SCANS_WAITING, CHECKS_WAITING, PICTURES_WAITING, WRITES_WAITING = 256, 16, 64, 512, 16
EVENTS_WAITING = 256
WRITE_SECONDS = 600.0

SEARCHERS_EACH, MOST_SEARCHERS = 8, 16
"""Threads that search, for each processor, and most of them where there are fewer processors, if searches wait: for a
remote gallery, or for a network that runs one batch at a time, and embeds the photos that wait together.

Other searches have a thread more than there are processors. More would only take the interpreter's lock from each
other: with two processors and 16 clients a search has 390 switches between 16 threads, and 130 between three, which
answer 1.15 times as many (2-core x86-64, 2026-12-01)."""


@dataclass
class SharedState:
    """State of one running server beside its galleries: what bounds its memory and work, however many it has.

    Attributes:
        settings: Limits of the server.
        access: Token and keys.
        decoding: Memory budget for decoding photos, shared by all requests.
        private_locations: Paths and addresses that are redacted from errors.
        siblings: The other processes of the server; None if this is its only one.
    """

    settings: Settings
    access: Access
    metrics: Metrics = field(init=False)
    intake: Intake = field(init=False)
    searches: ConcurrencyLimiter = field(init=False)
    reads: ConcurrencyLimiter = field(init=False)
    scans: ConcurrencyLimiter = field(init=False)
    checks: ConcurrencyLimiter = field(init=False)
    pictures: ConcurrencyLimiter = field(init=False)
    writes: ConcurrencyLimiter = field(init=False)
    events: ConcurrencyLimiter = field(init=False)
    recorders: UsageRecorders = field(init=False)
    thumbnails: Thumbnails = field(init=False)
    decoded_photos: DecodedPhotos = field(init=False)
    photo_hosts: PhotoHostLimiter = field(init=False)
    decoding: Budget = field(init=False)
    private_locations: Sequence[str] = ()
    siblings: Siblings | None = None

    def __post_init__(self) -> None:
        settings = self.settings
        self.intake = Intake(settings.intake_bytes)
        self.decoding = Budget(settings.decode_bytes)
        self.thumbnails = Thumbnails(settings.thumbnails_bytes)
        self.decoded_photos = DecodedPhotos()
        self.photo_hosts = PhotoHostLimiter()
        self.metrics = Metrics()

        def make_limiter(
            name: str, workers: int, waiting: int, seconds: float = settings.answer_seconds, *, stops: bool = True
        ) -> ConcurrencyLimiter:
            made = ConcurrencyLimiter(
                name, workers=workers, waiting=waiting, seconds=seconds, observe=self.metrics.waited, stops=stops
            )
            self.metrics.watch_limiter(made)
            return made

        self.searches = make_limiter("searches", settings.workers or processors() + 1, settings.waiting)
        self.reads = make_limiter("reads", READERS, READS_WAITING)
        self.scans = make_limiter("scans", SCANNERS, SCANS_WAITING, settings.scan_seconds)
        self.checks = make_limiter("checks", CHECKERS, CHECKS_WAITING)
        self.pictures = make_limiter("pictures", PAINTERS, PICTURES_WAITING)
        self.writes = make_limiter("writes", WRITERS, WRITES_WAITING, WRITE_SECONDS, stops=False)
        self.events = make_limiter("events", EVENT_WRITERS, EVENTS_WAITING)
        self.recorders = UsageRecorders(self.metrics)

    def fit_searchers(self, *, waits: bool) -> None:
        """Choose the number of threads that search, if the settings leave it open.

        Args:
            waits: Whether searches wait for a remote gallery, or for each other's photos.
        """
        if not self.settings.workers:
            many = max(processors(), min(MOST_SEARCHERS, SEARCHERS_EACH * processors()))
            self.searches.resize(many if waits else processors() + 1)

    @property
    def has_origins(self) -> bool:
        """Whether web pages of any other origin may read what is answered."""
        return bool(self.settings.origins or self.access.origins)

    def finish(self) -> None:
        """Finish running work, and stop the threads."""
        for limiter in (self.searches, self.reads, self.scans, self.checks, self.pictures, self.writes, self.events):
            limiter.close()
        self.recorders.close()
        self.photo_hosts.close()
