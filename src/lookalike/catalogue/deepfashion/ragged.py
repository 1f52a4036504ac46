"""Ragged array of 16-bit integers, for the annotations of 289,222 photos."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Literal


class Ragged:
    """N rows of whole numbers.

    Args:
        count: N.
        kind: `h` for -32,768 to 32,767, `H` for 0 to 65,535.
    """

    def __init__(self, count: int, *, kind: Literal["h", "H"]) -> None:
        self._numbers = array(kind)
        self._starts, self._ends = array("q", [-1]) * count, array("q", [-1]) * count

    def put(self, row: int, numbers: Iterable[int]) -> None:
        """Set a row, once."""
        self._starts[row] = len(self._numbers)
        self._numbers.extend(numbers)
        self._ends[row] = len(self._numbers)

    def __contains__(self, row: int) -> bool:
        return self._starts[row] >= 0

    def of(self, row: int) -> list[int]:
        """Row as a list; empty when it was not set."""
        return self._numbers[self._starts[row] : self._ends[row]].tolist() if row in self else []
