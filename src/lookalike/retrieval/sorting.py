"""Order of matches by attributes."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.gallery.sort_keys import SortKey
from lookalike.types import JSON, Item


def sorted_places(items: Sequence[Item], keys: Sequence[SortKey]) -> list[int]:
    """Places of items in the order of their attributes; equal ones stay in the order of the items.

    Numbers come first, `false` and `true` among them as 0 and 1, then texts without regard to case, and items without a
    value last; descending turns the numbers and the texts around, and leaves these three parts where they are.

    Args:
        items: Items, in the order of their similarity.
        keys: Attributes, the most important first.
    """
    order = [*range(len(items))]
    for key in reversed(keys):
        values = [items[place].attributes.get(key.name) for place in order]
        numbers = [(value, place) for value, place in zip(values, order, strict=True) if isinstance(value, int | float)]
        texts = [(value, place) for value, place in zip(values, order, strict=True) if isinstance(value, str)]
        numbers.sort(key=lambda one: one[0], reverse=key.descending)
        texts.sort(key=lambda one: (one[0].casefold(), one[0]), reverse=key.descending)
        others = [place for value, place in zip(values, order, strict=True) if not has_order(value)]
        order = [*(place for _, place in numbers), *(place for _, place in texts), *others]
    return order


def has_order(value: JSON) -> bool:
    """Whether matches can be sorted by a value."""
    return isinstance(value, int | float | str)
