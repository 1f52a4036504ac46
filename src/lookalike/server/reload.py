"""Reload: new settings, keys, token and galleries in a running server, all of them or none.

What takes time or can fail is done first, in a thread, while the server answers from its present state: files are read,
new galleries opened, their models loaded, their indexes read. Then one step of the event loop puts all into effect.
Requests that have begun go on with what they began with; a gallery that was taken away is closed after the last.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lookalike.errors import LookalikeError
from lookalike.server.access import Access
from lookalike.server.configuration import Configuration, for_running
from lookalike.server.context import AppContext, ReloadReport
from lookalike.server.errors import ApiError
from lookalike.server.gallery_context import GalleryContext, OpenGallery
from lookalike.server.presentation import HIDDEN, redacted
from lookalike.server.rates import Bucket, Rate
from lookalike.server.settings import Settings
from lookalike.server.shared_models import SharedModels

FOLDERS: Final = re.compile(r"(?<![\w.])(?:/[^/\s'\":,;]+)+/")
"""Folders of an absolute path."""

LOG: Final = logging.getLogger("lookalike.server")


@dataclass
class Prepared:
    """A state that can be put into effect.

    Attributes:
        settings: Settings that the running server takes.
        access: Token and keys.
        galleries: Galleries by name.
        files: Files that the configuration was read from.
        effects: Functions that put further parts into effect.
        report: What the reload does, see `ReloadReport`.
    """

    settings: Settings
    access: Access
    galleries: dict[str, GalleryContext]
    files: tuple[str, ...]
    effects: list[Callable[[], None]]
    report: ReloadReport


class Reloader:
    """Reloads the state of one server; for use from its event loop."""

    def __init__(
        self,
        context: AppContext,
        models: SharedModels,
        read: Callable[[], Configuration],
        *,
        say: Callable[[str], None],
        bucket: Callable[[str, Rate], Bucket],
    ) -> None:
        """Make a reloader.

        Args:
            context: Context of the server.
            models: Models of the server.
            read: Reads the configuration.
            say: Called with messages for the operator.
            bucket: Makes the token bucket of a key, by its name and rate.
        """
        self._context, self._models, self._read, self._say, self._bucket = context, models, read, say, bucket
        self._lock = asyncio.Lock()
        self._addresses: tuple[str, ...] = ()  # of the galleries that were read last

    async def reload(self) -> ReloadReport:
        """Read the configuration again, and put it into effect; one reload after the other.

        Raises:
            ApiError: It cannot be put into effect, and the server goes on as before; the log has the reason too.
        """
        async with self._lock:
            try:
                prepared = await asyncio.to_thread(self._prepare)
            except LookalikeError as error:
                LOG.error("reload failed", extra={"fields": {"problem": str(error)}})  # noqa: TRY400 - no bug
                self._context.metrics.reloaded("failed")
                told = redacted(str(error), (*self._context.private_locations, *self._addresses))
                told = FOLDERS.sub(HIDDEN + "/", told)
                raise ApiError("reload_failed", f"nothing was changed: {told}") from error
            self._put_into_effect(prepared)
            self._context.metrics.reloaded("done")
            LOG.info("reloaded", extra={"fields": dict(prepared.report)})
            return prepared.report

    def _prepare(self) -> Prepared:
        """Read and open everything, in a thread."""
        context = self._context
        configuration = self._read()
        self._addresses = tuple(configuration.galleries.values())
        settings, restart = for_running(configuration.settings, context.settings)
        before = {each.opened.address: each.opened for each in context.galleries.values()}
        opened: dict[str, OpenGallery] = {}
        new: list[OpenGallery] = []
        try:
            for address in configuration.galleries.values():
                if address in opened:
                    continue
                if address in before and before[address].is_current():
                    opened[address] = before[address]
                else:
                    opened[address] = OpenGallery(address, self._models, say=self._say)
                    new.append(opened[address])
            galleries = {
                name: GalleryContext(name, opened[address], context, self._models, settings)
                for name, address in configuration.galleries.items()
            }
            access = Access(configuration.token, configuration.keys, before=context.access, bucket=self._bucket)
            for gallery in galleries.values():
                gallery.open_queue(writable=access.writable)
                if gallery.opened in new:
                    gallery.warm()
                    if access.writable:
                        gallery.writer.tidy()
            effects = [part(settings) for part in context.parts]
        except BaseException:
            for each in new:
                each.retire()
            raise
        report: ReloadReport = {
            "galleries": [*galleries],
            "opened": [name for name, each in galleries.items() if each.opened in new],
            "closed": [name for name in context.galleries if name not in galleries],
            "restart": restart,
        }
        return Prepared(settings, access, galleries, configuration.files, effects, report)

    def _put_into_effect(self, prepared: Prepared) -> None:
        """Replace the state, in one step of the event loop."""
        context, before = self._context, self._context.galleries
        context.settings, context.access = prepared.settings, prepared.access
        context.galleries, context.files = prepared.galleries, prepared.files
        for take_effect in prepared.effects:
            take_effect()
        context.watch(before)
        for gallery in context.galleries.values():
            gallery.start_jobs()
        for gallery in before.values():  # which finish what they are writing
            threading.Thread(target=gallery.stop_jobs, name="lookalike-stop-jobs").start()
        kept = [each.opened for each in prepared.galleries.values()]
        for opened in {each.opened for each in before.values()}:
            if opened not in kept:
                threading.Thread(target=opened.retire, name="lookalike-close").start()
