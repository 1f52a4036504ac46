"""Format of stored rows: float32, or 16-bit whole numbers, which take half the bytes.

As whole numbers, the part of a row in a space is multiplied so that its largest number becomes 32,767, and rounded.
The whole numbers alone tell the vector: it is they, scaled to length 1. So a vector has the length 1 as before, and
keeps its bits when it is read and stored again. Half-precision floating point takes as many bytes, rounds six to ten
times as much, and NumPy needs ten times as long to convert it (`bench/stored_vectors.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.spaces import Space, dtype_of, slices, width
from lookalike.types import Float32, Int64

Stored: TypeAlias = npt.NDArray[Any]
"""Stored rows, float32 or int16."""

LARGEST: Final = np.iinfo(np.int16).max


@dataclass(frozen=True, slots=True)
class RowFormat:
    """Format of the concatenated unit vectors of a gallery.

    Attributes:
        width: Sum of D, length of a row.
        places: Columns of each of the S spaces.
        is_int16: Whether rows are stored as whole numbers, which they are if that is the `dtype` of all spaces.
    """

    width: int
    places: tuple[slice, ...]
    is_int16: bool

    @classmethod
    def of(cls, spaces: Sequence[Space]) -> Self:
        """Format of the rows of some spaces."""
        return cls(width(spaces), tuple(slices(spaces).values()), dtype_of(spaces) == "int16")

    @property
    def dtype(self) -> np.dtype[Any]:
        """Little-endian type of the stored numbers."""
        return np.dtype("<i2" if self.is_int16 else "<f4")

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.dtype.itemsize * self.width

    def stored(self, unit: Float32) -> Stored:
        """Convert unit vectors, (B, sum of D) float32, for storing: (B, sum of D)."""
        if not self.is_int16:
            return unit.astype(self.dtype, copy=False)
        found = np.empty(unit.shape, dtype=self.dtype)
        for place in self.places:
            part = unit[:, place]
            largest = np.maximum(part.max(axis=1, keepdims=True), -part.min(axis=1, keepdims=True))
            factors = np.divide(np.float32(LARGEST), largest, out=np.zeros_like(largest), where=largest > 0)
            found[:, place] = np.rint(part * factors)
        return found

    def read(self, blobs: Sequence[bytes]) -> Stored:
        """Read stored rows: (B, sum of D), not converted."""
        return np.frombuffer(b"".join(blobs), dtype=self.dtype).reshape(len(blobs), self.width)

    def scales(self, stored: Stored) -> Float32 | None:
        """Factors that give stored rows the length 1, of each space: (B, S) float32, 0 for zeros; None for float32."""
        if not self.is_int16:
            return None
        squares = np.empty((len(stored), len(self.places)))
        for number, place in enumerate(self.places):
            part = stored[:, place].astype(np.float64)  # in which sums of squares are exact, in any order
            np.vecdot(part, part, out=squares[:, number])
        lengths = np.sqrt(squares)
        factors: Float32 = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0).astype(np.float32)
        return factors

    def unit(self, stored: Stored) -> Float32:
        """Convert stored rows to unit vectors: (B, sum of D) float32."""
        return decoded_rows(stored, self.scales(stored), widths_of(self.places))


def widths_of(places: Sequence[slice]) -> Int64:
    """Numbers of columns: (S,) int64."""
    return np.array([place.stop - place.start for place in places], dtype=np.int64)


def decoded_rows(stored: Stored, scales: Float32 | None, widths: Int64) -> Float32:
    """Convert stored rows to unit vectors.

    Args:
        stored: (..., sum of D).
        scales: (..., S) from `RowFormat.scales`; None for float32.
        widths: (S,) columns of each space.

    Returns:
        (..., sum of D) float32.
    """
    rows: Float32 = stored.astype(np.float32, copy=False)
    if scales is not None:
        rows *= np.repeat(scales, widths, axis=-1)  # half the time of a product with each space's columns
    return rows
