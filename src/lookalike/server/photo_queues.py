"""The place of a gallery's queue of photos, and the worker on it, as the settings of the server want them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lookalike.errors import ConfigError, UsageError
from lookalike.extras import extra_wanted
from lookalike.gallery.protocol import Gallery
from lookalike.jobs.database import exists
from lookalike.jobs.opening import place_of_jobs
from lookalike.server.ordered_writes import OrderedWrites
from lookalike.server.photo_fetching import PhotoFetcher
from lookalike.server.photo_jobs import PhotoJobs, Submit
from lookalike.server.settings import Settings


def wanted_queue(gallery: Gallery, settings: Settings) -> Path | None:
    """File of the queue of a gallery, if the settings name hosts or photos may still wait in it; else None.

    Raises:
        ConfigError: The gallery is on a server, and the setting `jobs` names no folder.
        MissingExtraError: The library that fetches photos is not installed.
    """
    if settings.photo_hosts:
        with extra_wanted("fetching photos by their addresses", "stores"):
            import aiohttp  # noqa: F401
        try:
            return place_of_jobs(gallery, settings.jobs)
        except UsageError:
            raise ConfigError("photo_hosts: a gallery on a Milvus server needs the setting `jobs`, too") from None
    if gallery.photo_folder is None and not settings.jobs:
        return None
    place = place_of_jobs(gallery, settings.jobs)
    return place if exists(place) else None


def make_jobs(
    writes: OrderedWrites, settings: Settings, *, submit: Submit, observe: Callable[[str, float], None]
) -> PhotoJobs:
    """The worker on a queue."""
    assert writes.queue is not None
    return PhotoJobs(
        writes,
        PhotoFetcher(frozenset(settings.photo_hosts), limit=settings.upload_bytes),
        submit,
        lock=writes.queue.path.with_suffix(".lock"),
        batch=settings.batch,
        observe=observe,
    )
