"""Values of an attribute and their counts, as `Gallery.facets` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facet:
    """Values of an attribute and their counts.

    Attributes:
        name: Name of the attribute.
        counts: Number of items by value, as text, most frequent first.
        range: Smallest and largest numeric value, including values that `counts` leaves out; None without numbers.
    """

    name: str
    counts: Mapping[str, int]
    range: tuple[float, float] | None = None
