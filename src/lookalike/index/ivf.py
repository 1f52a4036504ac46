"""The default index of large galleries: many lists around k-means centroids of the whole rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lookalike.index.inverted_lists import Grouping, ListIndex
from lookalike.spaces import Space, width

FEWEST_PROBES = 32
"""In small galleries near rows are spread over relatively more lists, and looking into all of them costs little."""


class Ivf(ListIndex):
    """Looks into the lists nearest to the query in all spaces together."""

    name = "ivf"

    @staticmethod
    def grouping(count: int, spaces: Sequence[Space]) -> Grouping:
        """Lists grow with the root of the rows, and probes with the root of the lists: 32 of 523, 52 of 1,400."""
        lists = max(1, round(1.4 * math.sqrt(count)))
        probes = max(FEWEST_PROBES, round(1.4 * math.sqrt(lists)))
        everything = slice(0, width(spaces))
        return Grouping(lists=lists, sample=80, rounds=6, columns=everything, probes=probes, widens=True)
