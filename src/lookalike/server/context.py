"""Application context: the galleries of a server and what they share, and how a request gets at them."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from inspect import signature
from typing import Annotated, TypedDict

from fastapi import Depends
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from lookalike.errors import LookalikeError
from lookalike.server.access import ASK, Caller
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext
from lookalike.server.gallery_names import UNNAMED
from lookalike.server.presentation import locations_to_hide
from lookalike.server.query_strings import check_query
from lookalike.server.settings import Settings
from lookalike.server.shared_state import SharedState
from lookalike.spaces import Space


class ReloadReport(TypedDict):
    """What a reload did.

    Attributes:
        galleries: Names of all galleries.
        opened: Those that were opened: new ones, and those with another folder, address or model.
        closed: Those that are gone.
        restart: Changed settings that take effect at the next start.
    """

    galleries: list[str]
    opened: list[str]
    closed: list[str]
    restart: list[str]


@dataclass
class AppContext(SharedState):
    """State of one running server.

    Attributes:
        galleries: Galleries by name; the first is the default one, which paths without a name mean.
        files: Files of the settings, keys and token.
        reload: Reads settings, token, keys and galleries again, and puts them into effect.
        parts: Functions that prepare further parts of the server for new settings, in a thread, and return what puts
            them into effect on the event loop. An error refuses the settings.
        ready: Whether requests are accepted: from `start` until `stop`.
    """

    galleries: Mapping[str, GalleryContext] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    reload: Callable[[], Coroutine[None, None, ReloadReport]] | None = None
    parts: list[Callable[[Settings], Callable[[], None]]] = field(default_factory=list)
    ready: bool = False

    @property
    def default(self) -> GalleryContext:
        """The default gallery."""
        return next(iter(self.galleries.values()))

    @property
    def described(self) -> str:
        """Names and addresses of the galleries, for the operator."""
        addresses = {name: gallery.opened.address for name, gallery in self.galleries.items()}
        return ", ".join(address if name == UNNAMED else f"{name} ({address})" for name, address in addresses.items())

    @contextmanager
    def using(self, name: str | None) -> Iterator[GalleryContext | None]:
        """A gallery by its name, which stays open during the context; None if there is none of that name.

        Args:
            name: Its name; None means the default gallery.
        """
        gallery = self.default if name is None else self.galleries.get(name)
        if gallery is None or not gallery.opened.take():
            yield None
            return
        try:
            yield gallery
        finally:
            gallery.opened.give_back()

    def start(self) -> None:
        """Warm up the indexes, and accept requests.

        Raises:
            LookalikeError: A gallery cannot be read.
        """
        self.watch({})
        for gallery in self.galleries.values():
            with suppress(LookalikeError):  # `/readyz` and every request say so
                gallery.warm()
            if self.access.writable:
                gallery.writer.tidy()
                gallery.start_jobs()
        self.ready = True

    def watch(self, before: Mapping[str, GalleryContext]) -> None:
        """Count the items of the present galleries, have threads for them, and know what to redact from errors.

        Args:
            before: Galleries that were counted.
        """
        for name in before.keys() - self.galleries.keys():
            self.metrics.forget_gallery(name)
        for name, gallery in self.galleries.items():
            self.metrics.watch_gallery(name, gallery.retriever.gallery.__len__)
            if gallery.item_writes.queue is not None:
                self.metrics.watch_queue(name, gallery.item_writes.queue.waiting)
        self.fit_searchers(waits=any(gallery.opened.waits for gallery in self.galleries.values()))
        self.private_locations = self._locations()

    def remodelled(self) -> tuple[tuple[str, tuple[Space, ...]], ...]:
        """Galleries that were given another model since they were opened, with their spaces now."""
        found = []
        for name in [*self.galleries]:
            with self.using(name) as gallery, suppress(LookalikeError):  # `/readyz` and every request say so
                if gallery is not None and (spaces := gallery.opened.remodelled()):
                    found.append((name, spaces))
        return tuple(found)

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
        for gallery in self.galleries.values():
            gallery.stop_jobs()
        self.finish()
        for gallery in self.galleries.values():
            gallery.opened.retire()

    def _locations(self) -> tuple[str, ...]:
        of_galleries = [place for each in self.galleries.values() for place in each.locations()]
        known = [self.settings.photos, *self.files, *of_galleries]
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


async def caller_of(request: Request) -> Caller:
    """The caller of a request, who may search; counts the request.

    Raises:
        ApiError: A key is needed, unknown, or used too often.
    """
    context: AppContext = request.app.state.context
    caller: Caller = request.state.caller
    context.access.check(caller, is_open=context.settings.open)
    return caller


async def context_of(request: Request) -> GalleryContext:
    """The gallery that a request names, or the default one. No route gets at a gallery in another way.

    Raises:
        ApiError: The caller may not search, or there is no such gallery for the caller.
    """
    caller = await caller_of(request)
    gallery = gallery_of(request)
    if caller.key is not None and not caller.key.allows(gallery.name):
        raise unknown_gallery(gallery.name)
    return gallery


async def photo_context_of(request: Request) -> GalleryContext:
    """The gallery of a photo, as `context_of`, or by the ticket in the URL.

    Raises:
        ApiError: The caller may not search, the ticket is invalid or has ended, or there is no such gallery.
    """
    ticket = request.query_params.get("ticket")
    if ticket is None:
        return await context_of(request)
    context: AppContext = request.app.state.context
    gallery: GalleryContext | None = request.state.gallery
    if gallery is None or not context.access.accepts_ticket(ticket, gallery.name):
        raise ApiError("unauthorized", "the ticket is not one for photos of this gallery, or has ended", headers=ASK)
    return gallery


def gallery_of(request: Request) -> GalleryContext:
    """The gallery that a request names.

    Raises:
        ApiError: There is none of that name.
    """
    gallery: GalleryContext | None = request.state.gallery
    if gallery is None:
        raise unknown_gallery(request.state.asked_gallery)
    return gallery


def unknown_gallery(name: str) -> ApiError:
    """Error 404, for the name of a gallery: of one that there is not, or not for the caller."""
    return ApiError("unknown_gallery", f"there is no gallery {name!r}", details={"name": name})


class GalleryRoute(APIRoute):
    """Route whose endpoint takes a request and the gallery, `Context`, and no query parameter.

    Passing these two directly takes a fifth of the time of FastAPI's resolution of dependencies, and the result is the
    same: the query string is checked first.

    Raises:
        TypeError: The route has another dependency or parameter, which would not be resolved.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Function that answers a request."""
        endpoint, needed = self.endpoint, self.dependant
        others = [each.call for each in needed.dependencies if each.call not in (check_query, context_of)]
        takes = [*signature(endpoint).parameters]
        if others or takes != [needed.request_param_name, "context"]:
            raise TypeError(f"{self.path} can take (request, context) alone, got {takes}, and dependencies {others}")

        async def answer(request: Request) -> Response:
            await check_query(request)
            response: Response = await endpoint(request, await context_of(request))
            return response

        return answer


App = Annotated[AppContext, Depends(app_of)]
Context = Annotated[GalleryContext, Depends(context_of)]
PhotoContext = Annotated[GalleryContext, Depends(photo_context_of)]
CallerOf = Annotated[Caller, Depends(caller_of)]
