"""Rows that indexes score; rows from a file are checked before they are scored.

A memory-mapped file is read long after it was opened, and the disk may then return other bytes than were written. So
each row has a checksum, stored in another file and compared whenever candidates are copied. A scan of all rows reads
them in place: their checksums are compared once, and again when the file has changed.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import RowFileError
from lookalike.index.row_format import Stored, decoded_rows, widths_of
from lookalike.types import Float32, Int64

Sums: TypeAlias = npt.NDArray[np.uint64]

State: TypeAlias = tuple[int, int, int]
"""State of a file: size, modification time and inode change time, nanoseconds."""

WORDS: Final = (np.uint64, np.uint32, np.uint16)
"""Words of a checksum, the longest first."""

STEP_BYTES: Final = 8 << 20
"""Bytes that are compared at once."""


class Mapped:
    """Memory-mapped file, kept open to detect changes.

    Attributes:
        path: Path at which it was opened; another file may be there now.
        descriptor: File descriptor.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.descriptor)

    def state(self) -> State:
        """State of the file, which differs after a change."""
        found = os.fstat(self.descriptor)
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def size(self) -> int:
        """Size in bytes. Reading mapped memory beyond the end of a truncated file kills the process."""
        return os.fstat(self.descriptor).st_size


class Rows:
    """Rows of unit vectors, with optional checksums; of any vectors, where they are stored as float32.

    Attributes:
        array: (N, D) as stored, float32 or int16, not checked.
        scales: (N, S) float32, factors of int16 rows, see `RowFormat`; None for float32.
        places: Columns of each of the S spaces.
        shape: (N, D).
    """

    def __init__(
        self,
        array: Stored,
        *,
        scales: Float32 | None = None,
        places: Sequence[slice] = (),
        sums: Sums | None = None,
        file: Mapped | None = None,
    ) -> None:
        """Wrap an array.

        Args:
            array: (N, D), float32 or int16.
            scales: (N, S) from `RowFormat.scales`; None for float32.
            places: Columns of each space; needed with scales.
            sums: (N,) uint64 from `row_sums`; None for rows in memory, which are not checked.
            file: File that the array is mapped from; None for rows in memory.
        """
        self.array = array
        self.scales = scales
        self.places = tuple(places)
        self._widths = widths_of(self.places)
        self._sums = sums
        self._file = file
        self._bytes = array.nbytes
        self._compared: State | None = None
        self._lock = threading.Lock()
        self.shape: tuple[int, int] = (array.shape[0], array.shape[1])

    @classmethod
    def of(cls, rows: Float32 | Self) -> Self:
        """Wrap an array in memory; `Rows` are returned as they are."""
        return rows if isinstance(rows, cls) else cls(np.asarray(rows))

    def __len__(self) -> int:
        return self.shape[0]

    def take(self, positions: Int64) -> Float32:
        """Copy rows, after their checksums have been compared.

        Args:
            positions: (K,) int64.

        Returns:
            (K, D) float32.

        Raises:
            RowFileError: A row is damaged, or the file was truncated.
        """
        taken = self.take_stored(positions)
        return decoded_rows(taken, None if self.scales is None else self.scales.take(positions, axis=0), self._widths)

    def take_stored(self, positions: Int64) -> Stored:
        """Copy rows as they are stored, (K, D) float32 or int16; see `take`."""
        if self._file is not None and self._file.size() < self._bytes:
            raise RowFileError(self._file.path, "it was truncated")
        taken: Stored = self.array.take(positions, axis=0)
        if self._sums is not None:
            found, wanted = row_sums(taken), self._sums.take(positions)
            if found.tobytes() != wanted.tobytes():  # 1 microsecond; an array of differences takes 5
                raise self._damaged(int(positions[np.flatnonzero(found != wanted)[0]]))
        return taken

    def __getitem__(self, which: slice | Int64) -> Float32:
        """Rows without a check, (..., D) float32: a view of float32 ones that a slice selects, else a copy."""
        return decoded_rows(self.array[which], None if self.scales is None else self.scales[which], self._widths)

    def columns(self, place: slice) -> Rows:
        """The columns of one space."""
        if self.scales is None:
            return Rows(self.array[:, place])
        number = self.places.index(place)
        every = slice(0, place.stop - place.start)
        return Rows(self.array[:, place], scales=self.scales[:, number : number + 1], places=[every])

    def check(self) -> None:
        """Compare all checksums, unless that was done and the file has not changed since.

        Raises:
            RowFileError: A row is damaged, or the file was truncated.
        """
        if self._file is None or self._sums is None:
            return
        now = self._file.state()
        if now != self._compared:
            with self._lock:
                if now != self._compared:
                    self._compare(now)

    def _compare(self, now: State) -> None:
        assert self._file is not None
        assert self._sums is not None
        if now[0] < self.array.nbytes:
            raise RowFileError(self._file.path, "it was truncated")
        step = max(1, STEP_BYTES // (self.array.itemsize * self.shape[1]))
        for at in range(0, len(self), step):
            wrong = np.flatnonzero(row_sums(self.array[at : at + step]) != self._sums[at : at + step])
            if len(wrong):
                raise self._damaged(at + int(wrong[0]))
        self._compared = now

    def _damaged(self, position: int) -> RowFileError:
        path = Path() if self._file is None else self._file.path
        return RowFileError(path, f"row {position} (from 0) is damaged")


def row_sums(rows: Stored) -> Sums:
    """Checksum of each row: the sum of its words, of 64 bits or of the most that its bytes can be divided into.

    A change within one word is always detected, larger ones almost surely. It costs a few percent of a search; a CRC-32
    of each row would cost fifteen times as much.

    Args:
        rows: (B, D), C-contiguous.

    Returns:
        (B,) uint64.
    """
    row_bytes = rows.shape[1] * rows.itemsize
    words = rows.view(next(word for word in WORDS if row_bytes % word().itemsize == 0))
    dtype = np.uint64 if words.dtype == np.uint64 else np.uint32
    found: Sums = np.add.reduce(words, axis=1, dtype=dtype).astype(np.uint64, copy=False)
    return found
