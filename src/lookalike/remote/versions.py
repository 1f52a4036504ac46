"""Versions of the objects of one run, by which it knows what has changed without reading it."""

from __future__ import annotations

import logging
import threading

from lookalike.remote.addresses import Reach
from lookalike.remote.http_client import SilentServerError
from lookalike.remote.object_store import version


class Versions:
    """Asks for versions of objects, of a server on the web that lets such a request wait only until the first has.

    Each of thousands of photos would wait as long as the first one. It may be called by several threads.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._silent: set[str] = set()

    def of(self, reach: Reach) -> tuple[int, int] | None:
        """Version of an object, see `object_store.version`; None if it is unknown.

        Raises:
            PhotoError: The request fails.
            MissingExtraError: The library for such addresses is not installed.
        """
        origin = reach.address.origin
        if origin in self._silent:
            return None
        try:
            return version(reach)
        except SilentServerError as error:
            with self._lock:
                is_first = origin not in self._silent
                self._silent.add(origin)
            if is_first:
                logging.getLogger(__name__).warning(
                    "%s %s; all of its photos are read in this run", origin, error.reason
                )
            return None
