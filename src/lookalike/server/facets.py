"""Facets as they are sent, counted once for each state of the gallery: many values of many items take seconds."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from time import monotonic
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from lookalike.deadline import DeadlineError
from lookalike.gallery.protocol import Facet, Gallery
from lookalike.server.errors import Refusal

MOST: Final = 64
"""Answers that are remembered."""

ALL_THE_TIME: Final = 0.5
"""A count that had less than this part of its time, because it waited for others, says nothing of the next one."""

FORGOTTEN_S: Final = 600.0
"""After so long it is tried again whether facets can be counted: the machine may have been busy."""

Told: TypeAlias = dict[str, Any]


@runtime_checkable
class Changing(Protocol):
    """A gallery that tells whether it has changed."""

    @property
    def version(self) -> object:
        """Another one after each change."""
        ...


class FacetMemory:
    """Remembers facets, and that they take too long, for as long as the gallery stays as it is. Safe in threads.

    Args:
        seconds: Longest time to count them; the caller sets the deadline.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._version: object = None
        self._told: OrderedDict[tuple[str | None, int], Told | float] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, gallery: Gallery, where: str | None, values: int) -> Told:
        """The facets of the items that a filter passes.

        Args:
            gallery: Whose.
            where: The filter.
            values: Most values of each attribute.

        Raises:
            FilterError: The filter cannot be understood.
            Refusal: There are too many values to be counted in time.
            DeadlineError: There was less time than that.
        """
        if not isinstance(gallery, Changing):
            return self._known(self._counted(gallery, where, values))
        version, key = gallery.version, (where, values)
        with self._lock:
            if version != self._version:
                self._version = version
                self._told.clear()
            told = self._told.get(key)
        if told is None or (isinstance(told, float) and monotonic() > told):
            told = self._counted(gallery, where, values)
            if gallery.version == version:
                self._remember(version, key, told)
        return self._known(told)

    def _counted(self, gallery: Gallery, where: str | None, values: int) -> Told | float:
        """The facets; or, where there are too many values, when to try again, in seconds of `time.monotonic`."""
        began = monotonic()
        total, _ = gallery.list(where=where, limit=0)  # a filter that takes long is another matter
        try:
            return counted(gallery, where, values, total=total)
        except DeadlineError:
            if monotonic() - began < ALL_THE_TIME * self._seconds:
                raise
            return monotonic() + FORGOTTEN_S

    def _known(self, told: Told | float) -> Told:
        if isinstance(told, float):
            seconds = self._seconds
            message = (
                f"the attributes have too many values to be counted within {seconds:g} s; count fewer items, by `where`"
            )
            raise Refusal("too_many_values", message, facts={"limit": seconds})
        return told

    def _remember(self, version: object, key: tuple[str | None, int], told: Told | float) -> None:
        with self._lock:
            if version == self._version:
                self._told[key] = told
                if len(self._told) > MOST:
                    self._told.popitem(last=False)


def counted(gallery: Gallery, where: str | None, values: int, *, total: int) -> Told:
    """Count the facets of the `total` items that a filter passes."""
    kinds = gallery.info()["attributes"]
    assert isinstance(kinds, dict)
    found = gallery.facets(where=where, limit=values)
    return {"total": total, "facets": [facet_json(facet, kinds.get(facet.name, [])) for facet in found]}


def facet_json(facet: Facet, kinds: list[str]) -> Told:
    """One facet; values are typed where all of them are of one kind, and text otherwise."""
    told = [kind for kind in kinds if kind != "none"]
    typed = told in (["number"], ["boolean"])
    ends = list(facet.range) if facet.range is not None and told == ["number"] else None
    values = [{"value": json.loads(value) if typed else value, "count": count} for value, count in facet.counts.items()]
    return {"name": facet.name, "kinds": told, "range": ends, "values": values}
