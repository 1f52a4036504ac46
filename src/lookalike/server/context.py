"""Application context: the galleries of a server and what they share, and how a request gets at them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from lookalike.errors import LookalikeError
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.presentation import locations_to_hide
from lookalike.server.shared_state import SharedState


@dataclass
class AppContext(SharedState):
    """State of one running server.

    Attributes:
        galleries: Galleries by name; the first is the default one, which paths without a name mean.
        ready: Whether requests are accepted: from `start` until `stop`.
    """

    galleries: Mapping[str, GalleryContext] = field(default_factory=dict)
    ready: bool = False

    @property
    def default(self) -> GalleryContext:
        """The default gallery."""
        return next(iter(self.galleries.values()))

    @contextmanager
    def using(self, name: str | None) -> Iterator[GalleryContext | None]:
        """A gallery by its name, which stays open during the context; None if there is none of that name.

        Args:
            name: Its name; None means the default gallery.
        """
        gallery = self.default if name is None else self.galleries.get(name)
        if gallery is None:
            yield None
            return
        gallery.opened.take()
        try:
            yield gallery
        finally:
            gallery.opened.give_back()

    def start(self) -> None:
        """Warm up the indexes, and accept requests.

        Raises:
            LookalikeError: A gallery cannot be read.
        """
        for name, gallery in self.galleries.items():
            self.metrics.watch_gallery(name, gallery.retriever.gallery.__len__)
        self.private_locations = self._locations()
        for gallery in self.galleries.values():
            with suppress(LookalikeError):  # `/readyz` and every request say so
                gallery.warm()
            if self.token is not None:
                gallery.writer.tidy()
        self.ready = True

    def check(self) -> None:
        """Check that all galleries can be searched.

        Raises:
            MismatchError: A gallery was replaced by one of another model.
            LookalikeError: A gallery is gone or cannot be read.
        """
        for name in [*self.galleries]:
            with self.using(name) as gallery:
                if gallery is not None:
                    gallery.check()

    def stop(self) -> None:
        """Finish running work, and close everything."""
        self.ready = False
        self.finish()
        for gallery in self.galleries.values():
            gallery.opened.retire()

    def _locations(self) -> tuple[str, ...]:
        known = [self.settings.photos, *(place for each in self.galleries.values() for place in each.locations())]
        absolute = [os.path.abspath(place) for place in known if place and "://" not in place]  # noqa: PTH100
        return locations_to_hide(*known, *absolute)


async def app_of(request: Request) -> AppContext:
    """Application context. A coroutine, since FastAPI would run a plain function in a thread.

    Raises:
        ApiError: The path has the name of a gallery, and the route is one of the whole server.
    """
    if request.state.gallery_name is not None:
        raise ApiError("not_found", f"no route at {request.state.exchange.path}; /docs lists the routes")
    context: AppContext = request.app.state.context
    return context


async def context_of(request: Request) -> GalleryContext:
    """The gallery that a request names, or the default one.

    Raises:
        ApiError: There is no such gallery.
    """
    gallery: GalleryContext | None = request.state.gallery
    if gallery is None:
        name = request.state.gallery_name
        raise ApiError("unknown_gallery", f"there is no gallery {name!r}", details={"name": name})
    return gallery


App = Annotated[AppContext, Depends(app_of)]
Context = Annotated[GalleryContext, Depends(context_of)]
