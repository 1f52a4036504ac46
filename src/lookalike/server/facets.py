"""Cache of facets per version of the gallery: counting many values of many items takes seconds."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace
from time import monotonic
from typing import Any, Final, TypeAlias

from lookalike.deadline import DeadlineError
from lookalike.gallery.protocol import Gallery
from lookalike.server.errors import ApiError

MOST: Final = 64
"""Capacity of the cache."""

ALL_THE_TIME: Final = 0.5
"""Fraction of the time limit above which a count is remembered as too slow; a shorter one was held up in the queue."""

FORGOTTEN_S: Final = 600.0
"""Seconds after which facets that were too slow to count are counted again: the machine may have been busy."""

FacetsJson: TypeAlias = dict[str, Any]

Key: TypeAlias = tuple[str | None, int, str | None]
"""Filter, largest number of values, and group."""


class FacetCache:
    """Cache of facets, and of filters whose facets are too slow to count, for one version of the gallery. Thread-safe.

    Args:
        seconds: Time limit of a count; the caller sets the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._version: object = None
        self._cached: OrderedDict[Key, FacetsJson | float] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, gallery: Gallery, where: str | None, values: int, *, group: str | None = None) -> FacetsJson:
        """Facets of the items that pass a filter.

        Args:
            gallery: Gallery to count in.
            where: Filter expression.
            values: Largest number of values of each attribute.
            group: `product` counts products; None items.

        Raises:
            FilterError: The filter cannot be understood.
            ApiError: The count exceeds the time limit.
            DeadlineError: The deadline passed before the count could be judged too slow.
        """
        if gallery.version is None:
            return self._known(self._counted(gallery, where, values, group))
        version, key = gallery.version, (where, values, group)
        with self._lock:
            if version != self._version:
                self._version = version
                self._cached.clear()
            cached = self._cached.get(key)
        if cached is None or (isinstance(cached, float) and monotonic() > cached):
            cached = self._counted(gallery, where, values, group)
            if gallery.version == version:
                self._remember(version, key, cached)
        return self._known(cached)

    def _counted(self, gallery: Gallery, where: str | None, values: int, group: str | None) -> FacetsJson | float:
        """Facets; or, if the count is too slow, the time of the next try, in seconds of `time.monotonic`."""
        began = monotonic()
        total, _ = gallery.list(where=where, limit=0, group=group)  # a slow filter raises DeadlineError here
        try:
            return counted(gallery, where, values, total=total, group=group)
        except DeadlineError:
            if monotonic() - began < ALL_THE_TIME * self._seconds:
                raise
            return monotonic() + FORGOTTEN_S

    def _known(self, cached: FacetsJson | float) -> FacetsJson:
        if isinstance(cached, float):
            seconds = self._seconds
            what = f"the attributes have too many values to be counted within {seconds:g} s"
            raise ApiError("too_many_values", f"{what}; count fewer items with `where`", details={"limit": seconds})
        return cached

    def _remember(self, version: object, key: Key, cached: FacetsJson | float) -> None:
        with self._lock:
            if version == self._version:
                self._cached[key] = cached
                if len(self._cached) > MOST:
                    self._cached.popitem(last=False)


def counted(gallery: Gallery, where: str | None, values: int, *, total: int, group: str | None) -> FacetsJson:
    """Count the facets of the `total` items, or products, that pass a filter."""
    kinds = gallery.attributes()
    found = gallery.facets(where=where, limit=values, group=group)
    return {"total": total, "facets": [replace(facet, kinds=kinds.get(facet.name, ())).to_json() for facet in found]}
