"""Opening galleries and their models for serving; mistakes of the operator are reported before the server starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lookalike.server.access import Access
from lookalike.server.configuration import Configuration
from lookalike.server.context import AppContext
from lookalike.server.gallery_context import GalleryContext, OpenGallery
from lookalike.server.gallery_names import UNNAMED
from lookalike.server.keys import KeyFile
from lookalike.server.rates import Bucket, Rate, TokenBucket
from lookalike.server.reload import Reloader
from lookalike.server.settings import Settings
from lookalike.server.shared_models import SharedModels


def open_context(
    galleries: str | Mapping[str, str],
    *,
    settings: Settings,
    token: bytes | None = None,
    keys: KeyFile | None = None,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> AppContext:
    """Open galleries and their models, and run the models.

    Args:
        galleries: Addresses by name, the default gallery first; or the folder or address of the gallery `default`.
        settings: Limits of the server.
        token: Bearer token for writes; None if there is none.
        keys: Keys; None if there are none.
        model: See `lookalike.open`.
        runtime: See `lookalike.open`.
        device: See `lookalike.open`.
        finder: See `lookalike.open`.
        say: Called with messages for the operator.

    Raises:
        UsageError: A gallery has a name that none may have.
        GalleryNotFoundError: There is no gallery.
        ModelError: A model or the finder cannot be loaded.
        MismatchError: A gallery was filled by another model.
    """
    addresses = {UNNAMED: galleries} if isinstance(galleries, str) else galleries
    configuration = Configuration(settings, addresses, token, keys)
    return open_server(lambda: configuration, model=model, runtime=runtime, device=device, finder=finder, say=say)


def open_server(
    read: Callable[[], Configuration],
    *,
    model: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | None = None,
    say: Callable[[str], None] = lambda _: None,
    bucket: Callable[[str, Rate], Bucket] = lambda _, rate: TokenBucket(rate),
) -> AppContext:
    """Open the galleries of a configuration, which a reload reads again.

    Args:
        read: Reads the configuration.
        model: See `open_context`.
        runtime: See `open_context`.
        device: See `open_context`.
        finder: See `open_context`.
        say: See `open_context`.
        bucket: Makes the token bucket of a key, by its name and rate.

    Raises:
        LookalikeError: As `open_context`, and those of `read`.
    """
    configuration = read()
    settings = configuration.settings
    access = Access(configuration.token, configuration.keys, bucket=bucket)
    context = AppContext(settings, access, files=configuration.files)
    models = SharedModels(
        model=model,
        runtime=runtime,
        device=device,
        finder=finder,
        batch=settings.batch,
        observe=context.metrics.batched,
    )
    opened: dict[str, OpenGallery] = {}
    try:
        for address in configuration.galleries.values():
            if address not in opened:
                opened[address] = OpenGallery(address, models, say=say)
        context.galleries = {
            name: GalleryContext(name, opened[address], context, models, settings)
            for name, address in configuration.galleries.items()
        }
        for gallery in context.galleries.values():
            gallery.open_queue(writable=context.access.writable)
    except BaseException:
        for each in opened.values():
            each.retire()
        raise
    context.reload = Reloader(context, models, read, say=say, bucket=bucket).reload
    return context
