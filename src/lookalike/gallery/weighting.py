"""Queries under weights of the spaces, which are prepared once for all searches with the same weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.errors import MismatchError
from lookalike.gallery.records import as_unit_rows
from lookalike.spaces import Space, check_rows, slices, width
from lookalike.types import Float32

PLAIN = frozenset((int, float))
"""Types of weights by which a weighting can be found again."""


class Weighting:
    """Weights of the spaces, and what is computed from them alone.

    Args:
        weights: Weight of each space, from `resolve_weights`.
        spaces: Spaces of the gallery.

    Attributes:
        weights: See above.
        places: Columns of each space with a weight above 0, by name.
    """

    def __init__(self, weights: Mapping[str, float], spaces: Sequence[Space]) -> None:
        self.weights = weights
        self.places = {name: place for name, place in slices(spaces).items() if weights[name] > 0}
        self._spaces = tuple(spaces)
        self._columns = width(spaces)
        self._shares = np.zeros(self._columns, dtype=np.float32)
        total = sum(weights.values())
        for name, place in self.places.items():
            self._shares[place] = np.float32(weights[name] / total)

    def units(self, queries: Mapping[str, Float32]) -> Float32:
        """Check queries, scale them to length 1 and concatenate them: (Q, sum of D), zeros in spaces of weight 0.

        Args:
            queries: (Q, D) for each space with a weight above 0.

        Raises:
            MismatchError: As `checked_queries`.
            UsageError: A number is not finite.
        """
        checked = checked_queries(queries, self.weights, self._spaces)
        units = [as_unit_rows(rows, name=name) for name, rows in checked.items()]
        if len(units) == len(self._spaces):
            return np.concatenate(units, axis=1)
        joined = np.zeros((len(units[0]), self._columns), dtype=np.float32)
        for place, unit in zip(self.places.values(), units, strict=True):
            joined[:, place] = unit
        return joined

    def scaled(self, units: Float32) -> Float32:
        """Scale unit queries, (Q, sum of D), by the shares of the weights, so that one inner product is the score."""
        return units * self._shares


def checked_queries(
    queries: Mapping[str, Float32], weights: Mapping[str, float], spaces: Sequence[Space]
) -> dict[str, Float32]:
    """Check the queries of all spaces with a weight above 0, and return them as float32.

    Raises:
        MismatchError: A query is missing or has another dimension, or the spaces have different numbers of queries.
    """
    checked = {}
    for space in spaces:
        if weights[space.name] > 0:
            check_rows(queries, space)
            checked[space.name] = np.asarray(queries[space.name], dtype=np.float32)
    counts = {len(rows) for rows in checked.values()}
    if len(counts) != 1:
        raise MismatchError(f"the queries of the spaces differ in number: {sorted(counts)}")
    return checked


def weights_key(weights: Mapping[str, float] | None) -> tuple[tuple[str, float], ...] | None:
    """Key by which a weighting can be found again; None for weights of unusual types, which may be invalid."""
    if weights is None:
        return ()
    if type(weights) is dict and weights and PLAIN.issuperset(map(type, weights.values())):
        return tuple(weights.items())
    return None
