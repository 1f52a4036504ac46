"""Boosts: what the attributes of relevant matches add to their rank."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.gallery.sort_keys import BoostTerm
from lookalike.retrieval.diversity import Float64, scaled
from lookalike.types import JSON, Item


def boosts(items: Sequence[Item], terms: Mapping[BoostTerm, float]) -> Mapping[BoostTerm, Float64]:
    """What each term adds to each item: its weight times the item's share, from 0 to 1.

    The share of a number is its place between the smallest and the largest one of these items; of a boolean it is 1 or
    0, and with a value 1 for the items that have it. An item without a number or a boolean gets the least: the share 0,
    or 1 with a negative weight.

    Args:
        items: N items.
        terms: Weights by term.

    Returns:
        (N,) float64 for each term.
    """
    return {term: weight * shares(items, term, missing=float(weight < 0)) for term, weight in terms.items()}


def shares(items: Sequence[Item], term: BoostTerm, *, missing: float) -> Float64:
    """Shares of items in a term, (N,) float64 in [0, 1]; see `boosts`.

    Args:
        items: N items.
        term: Term.
        missing: Share of an item without a number or a boolean.
    """
    values = [item.attributes.get(term.name) for item in items]
    if term.value is not None:
        return np.array([has_value(value, term.value) for value in values], dtype=np.float64)
    found = np.array([missing] * len(values), dtype=np.float64)
    is_boolean = np.array([isinstance(value, bool) for value in values], dtype=np.bool_)
    is_number = np.array([isinstance(value, int | float) for value in values], dtype=np.bool_) & ~is_boolean
    found[is_boolean] = [float(value) for value in values if isinstance(value, bool)]
    if is_number.any():
        numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        found[is_number] = scaled(np.array(numbers, dtype=np.float64))
    return found


def has_value(value: JSON, wanted: str) -> bool:
    """Whether a value, or one of a list of values, is a certain one, written as text."""
    parts = value if isinstance(value, list) else [value]
    return any(wanted == (part if isinstance(part, str) else json.dumps(part)) for part in parts)
