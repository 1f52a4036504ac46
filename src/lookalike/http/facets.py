"""Facets as they are sent, counted once for each state of the gallery: many values of many items take seconds."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from typing import Any, Final, Protocol, TypeAlias, runtime_checkable

from lookalike.deadline import DeadlineError
from lookalike.gallery.protocol import Facet, Gallery

MOST: Final = 64
"""Answers that are remembered."""

Told: TypeAlias = dict[str, Any]


@runtime_checkable
class Changing(Protocol):
    """A gallery that tells whether it has changed."""

    @property
    def moment(self) -> object:
        """Another one after each change."""
        ...


class FacetMemory:
    """Remembers facets, and that they take too long, for as long as the gallery stays as it is. Safe in threads."""

    def __init__(self) -> None:
        self._moment: object = None
        self._told: OrderedDict[tuple[str | None, int], Told | DeadlineError] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, gallery: Gallery, where: str | None, values: int) -> Told:
        """The facets of the items that a filter passes.

        Args:
            gallery: Whose.
            where: The filter.
            values: Most values of each attribute.

        Raises:
            FilterError: The filter cannot be understood.
            DeadlineError: To count them takes too long.
        """
        if not isinstance(gallery, Changing):
            return counted(gallery, where, values)
        moment, key = gallery.moment, (where, values)
        with self._lock:
            if moment != self._moment:
                self._moment = moment
                self._told.clear()
            told = self._told.get(key)
        if told is None:
            try:
                told = counted(gallery, where, values)
            except DeadlineError as error:
                told = error
            if gallery.moment == moment:
                self._remember(moment, key, told)
        if isinstance(told, DeadlineError):
            raise DeadlineError(str(told))
        return told

    def _remember(self, moment: object, key: tuple[str | None, int], told: Told | DeadlineError) -> None:
        with self._lock:
            if moment == self._moment:
                self._told[key] = told
                if len(self._told) > MOST:
                    self._told.popitem(last=False)


def counted(gallery: Gallery, where: str | None, values: int) -> Told:
    """Count the facets."""
    total, _ = gallery.list(where=where, limit=0)
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
