"""IVF: the default index of large galleries, with lists around k-means centroids of the concatenated vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lookalike.index.inverted_lists import Grouping, ListIndex
from lookalike.spaces import Space, width

FEWEST_PROBES = 16
"""Smallest number of probes; in small galleries near rows are spread over relatively more lists."""


class Ivf(ListIndex):
    """Inverted file over all spaces together."""

    name = "ivf"

    @staticmethod
    def grouping(count: int, spaces: Sequence[Space]) -> Grouping:
        """Lists grow with the square root of rows, and probes with that of lists: 16 of 523, 24 of 1,400."""
        lists = max(1, round(1.4 * math.sqrt(count)))
        probes = max(FEWEST_PROBES, round(0.65 * math.sqrt(lists)))
        everything = slice(0, width(spaces))
        return Grouping(lists=lists, sample=80, rounds=6, columns=everything, probes=probes, widens=True)
