"""Prometheus metrics, exposed at `/metrics`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from lookalike.errors import LookalikeError
from lookalike.server.concurrency import ConcurrencyLimiter

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
BATCHES = (1, 2, 3, 4, 6, 8, 12, 16, 32)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Metrics of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        registry = self._registry
        self._requests = Counter(
            "lookalike_requests_total",
            "Requests answered.",
            ["method", "route", "status", "gallery"],
            registry=registry,
        )
        self._seconds = Histogram(
            "lookalike_request_seconds",
            "Time from the head of a request to the end of its response.",
            ["route"],
            buckets=SECONDS,
            registry=registry,
        )
        self._phases = Histogram(
            "lookalike_phase_seconds", "Time of the phases of a search.", ["phase"], buckets=SECONDS, registry=registry
        )
        self._waited = Histogram(
            "lookalike_wait_seconds", "Time spent waiting for a worker.", ["lane"], buckets=SECONDS, registry=registry
        )
        self._batches = Histogram(
            "lookalike_batch_photos", "Photos embedded at once.", buckets=BATCHES, registry=registry
        )
        self._refused = Counter(
            "lookalike_refused_total", "Requests refused, by error code.", ["code"], registry=registry
        )
        self._dropped = Counter(
            "lookalike_connections_dropped_total", "Connections closed early, by reason.", ["reason"], registry=registry
        )
        self._connections = Gauge("lookalike_connections", "Open connections.", registry=registry)
        self._places = Gauge(
            "lookalike_lane_requests", "Requests that run or wait for a worker.", ["lane"], registry=registry
        )
        self._queue = Gauge("lookalike_queue_depth", "Requests that wait for a worker.", ["lane"], registry=registry)
        self._items = Gauge(
            "lookalike_gallery_items", "Items in a gallery; -1 if unreadable.", ["gallery"], registry=registry
        )
        self._searches = Counter(
            "lookalike_searches_total",
            "Searches, by whether the first match is a good one: yes, no or unknown.",
            ["gallery", "good"],
            registry=registry,
        )
        self._best_score = Histogram(
            "lookalike_best_score",
            "Score of the first match of searches by cosines.",
            ["gallery"],
            buckets=SHARES,
            registry=registry,
        )
        self._best_relevance = Histogram(
            "lookalike_best_relevance",
            "Relevance of the first match, where it is known.",
            ["gallery"],
            buckets=SHARES,
            registry=registry,
        )
        self._events = Counter("lookalike_events_total", "New events.", ["gallery", "type"], registry=registry)
        self._forgotten = Counter(
            "lookalike_searches_forgotten_total",
            "Searches that are not remembered: `queue` is full, or the `disk` cannot be written.",
            ["gallery", "reason"],
            registry=registry,
        )
        self._drift = Gauge(
            "lookalike_query_drift",
            "Squared Fréchet distance of the photo queries of the last day from those of the week before; NaN if there "
            "are too few.",
            ["gallery"],
            registry=registry,
        )
        self._reloads = Counter("lookalike_reloads_total", "Reloads, by result.", ["result"], registry=registry)
        self._fetches = Counter(
            "lookalike_photo_fetches_total",
            "Photos fetched by their addresses, by result.",
            ["gallery", "result"],
            registry=registry,
        )
        self._fetch_seconds = Histogram(
            "lookalike_photo_fetch_seconds", "Time to fetch a photo.", buckets=SECONDS, registry=registry
        )
        self._fetches_waiting = Gauge(
            "lookalike_photos_queued", "Photos that wait to be fetched; -1 if unknown.", ["gallery"], registry=registry
        )
        for phase in ("find", "decode", "embed", "search"):
            self._phases.labels(phase)

    def watch_limiter(self, limiter: ConcurrencyLimiter) -> None:
        """Expose the load of a limiter."""
        self._places.labels(limiter.name).set_function(lambda: limiter.taken)
        self._queue.labels(limiter.name).set_function(lambda: limiter.waiting)

    def watch_gallery(self, name: str, count: Callable[[], int]) -> None:
        """Expose the number of items of a gallery."""
        self._items.labels(name).set_function(lambda: _or_unknown(count))

    def watch_queue(self, name: str, count: Callable[[], int]) -> None:
        """Expose the number of photos that wait to be fetched for a gallery."""
        self._fetches_waiting.labels(name).set_function(lambda: _or_unknown(count))

    def fetched(self, gallery: str, result: str, seconds: float) -> None:
        """Count a photo that was fetched, or not."""
        self._fetches.labels(gallery, result).inc()
        self._fetch_seconds.observe(seconds)

    def forget_gallery(self, name: str) -> None:
        """Expose no gauges of a gallery any more."""
        self._items.remove(name)
        self._drift.remove(name)
        self._fetches_waiting.remove(name)

    def reloaded(self, result: str) -> None:
        """Count a reload."""
        self._reloads.labels(result).inc()

    def answered(self, *, method: str, route: str, gallery: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(method, route, str(status), gallery).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, code: str) -> None:
        """Count an error."""
        self._refused.labels(code).inc()

    def dropped(self, reason: str) -> None:
        """Count a connection that was closed early."""
        self._dropped.labels(reason).inc()

    def watch_connections(self, count: Callable[[], int]) -> None:
        """Expose the number of connections."""
        self._connections.set_function(count)

    def searched(self, took_ms: Mapping[str, float]) -> None:
        """Time the phases of a search."""
        for phase, milliseconds in took_ms.items():
            self._phases.labels(phase).observe(milliseconds / 1000)

    def judged(self, gallery: str, *, is_good: bool | None, score: float | None, relevance: float | None) -> None:
        """Count a search by the quality of its first match.

        Args:
            gallery: Name of the gallery.
            is_good: Whether it is a good one; None if that is unknown.
            score: Its score; None if it has none that is comparable.
            relevance: Its relevance; None if it is unknown.
        """
        self._searches.labels(gallery, "unknown" if is_good is None else "yes" if is_good else "no").inc()
        if score is not None:
            self._best_score.labels(gallery).observe(score)
        if relevance is not None:
            self._best_relevance.labels(gallery).observe(relevance)

    def noted(self, gallery: str, type: str) -> None:
        """Count a new event."""
        self._events.labels(gallery, type).inc()

    def forgotten(self, gallery: str, reason: str, count: int) -> None:
        """Count searches that are not remembered."""
        self._forgotten.labels(gallery, reason).inc(count)

    def watch_drift(self, gallery: str, drift: Callable[[], float]) -> None:
        """Expose the drift of the query vectors of a gallery."""
        self._drift.labels(gallery).set_function(drift)

    def waited(self, limiter: str, seconds: float) -> None:
        """Time spent in a limiter's queue."""
        self._waited.labels(limiter).observe(seconds)

    def batched(self, photos: int) -> None:
        """Count the photos of a batch."""
        self._batches.observe(photos)

    def text(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)


def _or_unknown(count: Callable[[], int]) -> float:
    """A number, or -1 if it cannot be read."""
    try:
        return count()
    except LookalikeError:
        return -1
