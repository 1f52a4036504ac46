"""Keys that matches are sorted by, and weights that boost them, as a request gives them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Final

from lookalike.errors import UnknownNameError, UsageError

MOST_KEYS: Final = 4
"""Largest number of attributes to sort by."""

LONGEST: Final = 400
"""Longest text of `sort`, in characters."""

MOST_BOOSTS: Final = 16
"""Largest number of boosts."""

LARGEST_BOOST: Final = 10.0
"""Largest weight of a boost, above or below 0."""


@dataclass(frozen=True, slots=True)
class SortKey:
    """Attribute that matches are sorted by.

    Attributes:
        name: Name of the attribute.
        descending: Whether large values come first.
    """

    name: str
    descending: bool = False


def sort_keys(sort: str) -> list[SortKey]:
    """Read `price` or `-in_stock,price`: attributes, the most important first; `-` is descending.

    Raises:
        UsageError: An attribute is missing or named twice, or there are too many.
    """
    keys = [SortKey(part.strip().removeprefix("-"), part.strip().startswith("-")) for part in sort.split(",")]
    names = [key.name for key in keys]
    if len(sort) > LONGEST or not all(names) or len({*names}) < len(names) or len(names) > MOST_KEYS:
        raise UsageError(
            f"sort expects up to {MOST_KEYS} attributes, such as 'price' or '-in_stock,price', got {sort!r:.200}"
        )
    return keys


def check_sort(sort: object) -> None:
    """Check keys to sort by; None is none.

    Raises:
        UsageError: They are not such a text.
    """
    if sort is not None:
        if not isinstance(sort, str):
            raise UsageError(f"sort must be text such as 'price' or '-in_stock,price', got {sort!r:.200}")
        sort_keys(sort)


def check_boost(boost: object) -> None:
    """Check the weights of boosts; None is none.

    Raises:
        UsageError: They are not numbers by name, or too large or too many.
    """
    if boost is None:
        return
    if not isinstance(boost, Mapping) or not all(isinstance(name, str) and name for name in boost):
        raise UsageError(f"boost must be a dict such as {{'in_stock': 0.2}}, got {boost!r:.200}")
    if not 1 <= len(boost) <= MOST_BOOSTS:
        raise UsageError(f"boost must have 1 to {MOST_BOOSTS} weights, got {len(boost)}")
    for name, weight in boost.items():
        is_number = isinstance(weight, Real) and not isinstance(weight, bool) and math.isfinite(weight)
        if not is_number or abs(float(weight)) > LARGEST_BOOST:
            raise UsageError(
                f"the boost of {name!r:.200} must be a number from -{LARGEST_BOOST:g} to {LARGEST_BOOST:g}, "
                f"got {weight!r:.200}"
            )


@dataclass(frozen=True, slots=True)
class BoostTerm:
    """What a boost goes by: the value of an attribute, or whether it is a certain one.

    Attributes:
        name: Name of the attribute.
        value: Value as text; None goes by numbers and booleans.
    """

    name: str
    value: str | None = None


def boost_term(text: str, kinds: Mapping[str, Collection[str]]) -> BoostTerm:
    """Read `in_stock` or `brand:Acme`.

    Args:
        text: Name of an attribute with numbers or booleans, or of any attribute with one of its values.
        kinds: Kinds of values by attribute.

    Raises:
        UnknownNameError: There is no such attribute.
        UsageError: The attribute has no numbers or booleans, and no value is named.
    """
    if text in kinds:
        if not {"number", "boolean"} & {*kinds[text]}:
            raise UsageError(
                f"the attribute {text!r} has no numbers or booleans; boost one of its values, such as '{text}:VALUE'"
            )
        return BoostTerm(text)
    parts = text.split(":")
    for end in range(len(parts) - 1, 0, -1):
        if (name := ":".join(parts[:end])) in kinds:
            return BoostTerm(name, ":".join(parts[end:]))
    raise UnknownNameError("attribute", parts[0] or text, kinds)


def check_sorted_attributes(keys: Collection[SortKey], kinds: Mapping[str, Collection[str]]) -> None:
    """Check that a gallery has the attributes that matches are to be sorted by.

    Raises:
        UnknownNameError: It lacks one.
        UsageError: One has lists and objects only, which have no order.
    """
    for key in keys:
        if key.name not in kinds:
            raise UnknownNameError("attribute", key.name, kinds)
        if not {*kinds[key.name]} - {"nested"}:
            raise UsageError(f"the attribute {key.name!r} has lists or objects, which have no order")
