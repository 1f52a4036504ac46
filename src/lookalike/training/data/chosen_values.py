"""Check of the attribute values by which settings choose items: a misspelt one would choose others, or none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from lookalike.errors import CatalogueError, UnknownNameError

SPLIT: Final = "split"
"""Attribute of the split by default, which catalogues without splits do not have."""

STANDARD: Final = frozenset({"train", "dev", "val"})
"""Values of the split by default, of which a catalogue need not have all."""

MOST_SHOWN: Final = 20
"""Values that a message lists."""


class ChosenValues:
    """Values that the items of a catalogue have of some attributes, with their numbers.

    Args:
        source: Catalogue, for messages.
        names: The attributes.
    """

    def __init__(self, source: str, names: Iterable[str]) -> None:
        self.source = source
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in names}

    def note(self, values: Mapping[str, object]) -> None:
        """Count the values of an item."""
        for name, counts in self.counts.items():
            value = values.get(name)
            if value not in (None, ""):
                counts[str(value)] += 1

    def check_split(self, split: str, wanted: Iterable[str]) -> None:
        """Check the values of the attribute `split` that belong to a split.

        Raises:
            UnknownNameError: No item has one of them, and it is not one by default.
        """
        self._check(split, [value for value in wanted if value not in STANDARD])

    def check_where(self, where: Mapping[str, Iterable[str]]) -> None:
        """Check values that items must have.

        Raises:
            UnknownNameError: No item has one of them.
        """
        for name, values in where.items():
            self._check(name, values)

    def _check(self, name: str, values: Iterable[str]) -> None:
        known = [value for value, _ in self.counts[name].most_common(MOST_SHOWN)]
        for value in values:
            if value not in self.counts[name]:
                raise UnknownNameError(f"value of {name!r} in {self.source}", value, known)

    def nothing_chosen(self, what: str, split: str, wanted: Iterable[str]) -> CatalogueError:
        """Error for a split without items.

        Args:
            what: The items, such as `training items`.
            split: Attribute of the split.
            wanted: Values that belong to it.
        """
        shown = ", ".join(f"{value!r} ({count:,})" for value, count in self.counts[split].most_common(MOST_SHOWN))
        return CatalogueError(
            f"{self.source}: no {what}: none that the settings choose has a {split!r} of {' or '.join(wanted)}; there "
            f"are {shown or 'none with that attribute'}"
        )


def check_dev_where(source: str, *, before: int, after: int, dev_where: Mapping[str, Iterable[str]]) -> None:
    """Check that `dev_where` leaves something of a dev split.

    Raises:
        CatalogueError: It leaves none of its items.
    """
    if before and not after:
        told = ", ".join(f"{name} = {' or '.join(values)}" for name, values in dev_where.items())
        raise CatalogueError(f"{source}: `dev_where` leaves none of the {before:,} dev items: none has {told}")
