"""Facets of matches: values of their attributes, and how many matches have each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from lookalike.types import JSON, Facet, Item

GARMENT: Final = "garment"
"""Name of the facet of kinds of garments, as filters have it."""

MOST_VALUES: Final = 50
"""Largest number of values of an attribute that are listed."""


def match_facets(matches: Sequence[Sequence[Item]], kinds: Mapping[str, Sequence[str]]) -> list[Facet]:
    """Values and counts of each attribute, the most frequent first, equal ones in the order of their texts.

    Args:
        matches: Photos of each match. A match counts once for each value that one of its photos has.
        kinds: Kinds of values by attribute, whose order the facets have.
    """
    counts: dict[str, Counter[str]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for photos in matches:
        for name, text in {found for item in photos for found in values_of(item)}:
            counts.setdefault(name, Counter())[text] += 1
        for name, number in (found for item in photos for found in numbers_of(item)):
            low, high = ranges.get(name, (number, number))
            ranges[name] = min(low, number), max(high, number)
    return [
        Facet(name, dict(listed(counts[name])), ranges.get(name), tuple(of_name))
        for name, of_name in kinds.items()
        if name in counts
    ]


def listed(counter: Counter[str]) -> list[tuple[str, int]]:
    """Values to list, with their counts."""
    return sorted(counter.items(), key=lambda one: (-one[1], one[0]))[:MOST_VALUES]


def values_of(item: Item) -> list[tuple[str, str]]:
    """Attributes of an item with their values as text, and the kinds of its garments; without lists and objects."""
    found = [(name, text_of(value)) for name, value in item.attributes.items() if isinstance(value, str | int | float)]
    return found + [(GARMENT, garment.kind) for garment in item.garments]


def numbers_of(item: Item) -> list[tuple[str, float]]:
    """Attributes of an item that are numbers."""
    return [
        (name, value)
        for name, value in item.attributes.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def text_of(value: JSON) -> str:
    """Value of a facet as text."""
    return value if isinstance(value, str) else json.dumps(value)
