"""Candidates of an answer, best first: photos, or products with their best photo."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from lookalike.types import Bool, Neighbours

if TYPE_CHECKING:
    from lookalike.retrieval.ranking import Ranking

AT_ONCE: Final = 64
"""Least number of rows whose products are read at once."""

Good = Callable[[Neighbours], Bool]
"""Marks the neighbours of one query that may be matches: (K,) bool."""


class Candidates(Protocol):
    """Candidates in the order of a ranking."""

    def first(self, count: int, *, deeper: bool = True) -> Sequence[int]:
        """Places of the first candidates in the ranking, ascending; fewer if there are fewer.

        Args:
            count: Number of candidates.
            deeper: Whether more rows may be ranked for it.
        """
        ...

    def members(self, place: int) -> Sequence[int]:
        """Places of all photos of a candidate that have been looked at."""
        ...

    @property
    def products(self) -> Mapping[int, str | None]:
        """Products of candidates by place; empty for photos."""
        ...


class Photos:
    """Each good row of a ranking is a candidate."""

    products: Mapping[int, str | None] = {}

    def __init__(self, ranking: Ranking, good: Good) -> None:
        self._places = np.flatnonzero(good(ranking.neighbours)).tolist()

    def first(self, count: int, *, deeper: bool = True) -> Sequence[int]:
        """Places of the first candidates in the ranking, ascending; fewer if there are fewer."""
        del deeper  # as many rows are ranked as an answer can have
        return self._places[:count]

    def members(self, place: int) -> Sequence[int]:
        """The place itself: a candidate is a photo."""
        return [place]


class Products:
    """The first good row of each product is a candidate, and each good row without a product.

    The ranking becomes deeper until there are enough products, or until it ends. Among good rows only, it ends where a
    half of it has none, too.

    Args:
        ranking: Ranking of the query.
        good: Rows that count.
        without: Products to leave out.
    """

    def __init__(self, ranking: Ranking, good: Good, *, without: Set[str]) -> None:
        self._ranking = ranking
        self._good = good
        self._without = without
        self._next = 0
        self._members: dict[str, list[int]] = {}
        self.products: dict[int, str | None] = {}

    def members(self, place: int) -> Sequence[int]:
        """Places of all photos of a candidate that have been looked at."""
        product = self.products[place]
        return [place] if product is None else self._members[product]

    def first(self, count: int, *, deeper: bool = True) -> Sequence[int]:
        """Places of the first candidates in the ranking, ascending; fewer if there are fewer."""
        good = self._good(self._ranking.neighbours)
        while len(self.products) < count:
            if self._next < len(good):
                self._look_at(good, max(AT_ONCE, count, self._next))
            elif not deeper or self._ranking.is_complete or not good[len(good) // 2 :].any():
                break
            else:
                self._ranking.deepen()
                good = self._good(self._ranking.neighbours)
        return [*self.products][:count]

    def _look_at(self, good: Bool, count: int) -> None:
        """Read the products of the next rows, and note new ones."""
        places = np.flatnonzero(good[self._next : self._next + count]) + self._next
        self._next = min(self._next + count, len(good))
        rows = self._ranking.rows[places].tolist()
        products = self._ranking.gallery.products(rows, version=self._ranking.neighbours.version)
        for place, row in zip(places.tolist(), rows, strict=True):
            product = products.get(row) or None  # a product without a name is none
            if row not in products or product in self._without:
                continue
            if product not in self._members:
                self.products[place] = product
            if product is not None:
                self._members.setdefault(product, []).append(place)
