"""Rows that a search may return, in the forms in which indexes use them."""

from __future__ import annotations

from functools import cached_property
from typing import Final

import numpy as np

from lookalike.types import Bool, Int64, UInt8

ASKED: Final = 3
"""Queries of a filter after which lists keep the codes of its rows; copying them takes as long as about five searches
without them."""

MOST_REPEATED: Final = 1 << 16
"""Largest number of rows of a filter whose codes lists keep."""

MOST_CHANGED: Final = 128
"""Largest number of rows by which a filter may differ from the rows whose codes lists keep for it; beyond, they are
copied again."""


class Allowed:
    """Allowed rows; forms that are derived from them are kept, so that a filter which is asked again costs nothing.

    Args:
        rows: (N,) bool.

    Attributes:
        rows: See above; must not change any more.
        count: Number of allowed rows.
        asked: Queries that indexes have answered among them.
        origin: Rows that these differ from by a few changes, of which lists may keep the codes, at least one; None for
            rows that do not come from others.
        changes: Positions at which they differ, ascending: (n,) int64, n at most `MOST_CHANGED`.
    """

    def __init__(self, rows: Bool) -> None:
        self.rows = rows
        self.count = int(np.count_nonzero(rows))
        self.asked = 0
        self.origin: Allowed | None = None
        self.changes: Int64 = np.empty(0, dtype=np.int64)

    @classmethod
    def of(cls, allowed: Bool | Allowed | None) -> Allowed | None:
        """Wrap an array; `Allowed`, and None for all rows, are returned as they are."""
        return allowed if allowed is None or isinstance(allowed, Allowed) else cls(allowed)

    def __len__(self) -> int:
        return len(self.rows)

    def changed(self, rows: Bool) -> Allowed:
        """What is allowed after a change, (N,) bool; it is known to have been asked for as often."""
        if np.array_equal(rows, self.rows):
            return self
        made, origin = Allowed(rows), self if self.origin is None else self.origin
        made.asked = self.asked
        changes = np.flatnonzero(rows != origin.rows)
        if origin.count and len(changes) <= MOST_CHANGED:
            made.origin, made.changes = origin, changes
        return made

    @property
    def share(self) -> float:
        """Fraction of all rows that are allowed."""
        return self.count / max(1, len(self.rows))

    @property
    def is_repeated(self) -> bool:
        """Whether lists have been asked often enough to keep the codes of the rows, and may."""
        return self.asked >= ASKED and self.count <= MOST_REPEATED

    @cached_property
    def positions(self) -> Int64:
        """Positions of the allowed rows, ascending: (count,) int64."""
        return np.flatnonzero(self.rows)

    @cached_property
    def bits(self) -> UInt8:
        """A bit for each row, the first one lowest: (N / 8 rounded up,) uint8."""
        return np.packbits(self.rows, bitorder="little")
