"""Rows that indexes score; rows from a file are checked before they are scored.

A memory-mapped file is read long after it was opened, and the disk may then return other bytes than were written. So
each row has a checksum, stored in another file and compared whenever candidates are copied. A scan of all rows reads
them in place: their checksums are compared once, and again when the file has changed.
"""

from __future__ import annotations

import os
import threading
import weakref
from pathlib import Path
from typing import Final, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.errors import RowFileError
from lookalike.types import Float32, Int64

Sums: TypeAlias = npt.NDArray[np.uint64]

State: TypeAlias = tuple[int, int, int]
"""State of a file: size, modification time and inode change time, nanoseconds."""

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
    """Rows with optional checksums.

    Attributes:
        array: (N, D) float32, not checked.
        shape: (N, D).
    """

    def __init__(self, array: Float32, *, sums: Sums | None = None, file: Mapped | None = None) -> None:
        """Wrap an array.

        Args:
            array: (N, D) float32.
            sums: (N,) uint64 from `row_sums`; None for rows in memory, which are not checked.
            file: File that the array is mapped from; None for rows in memory.
        """
        self.array = array
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
        """Copy rows.

        Args:
            positions: (K,) int64.

        Returns:
            (K, D) float32.

        Raises:
            RowFileError: A row is damaged, or the file was truncated.
        """
        if self._file is not None and self._file.size() < self._bytes:
            raise RowFileError(self._file.path, "it was truncated")
        taken: Float32 = self.array.take(positions, axis=0)
        if self._sums is not None:
            found, wanted = row_sums(taken), self._sums.take(positions)
            if found.tobytes() != wanted.tobytes():  # 1 microsecond; an array of differences takes 5
                raise self._damaged(int(positions[np.flatnonzero(found != wanted)[0]]))
        return taken

    def whole(self) -> Float32:
        """All rows without a copy, (N, D) float32, after all checksums have been compared.

        Raises:
            RowFileError: A row is damaged, or the file was truncated.
        """
        if self._file is None or self._sums is None:
            return self.array
        now = self._file.state()
        if now != self._compared:
            with self._lock:
                if now != self._compared:
                    self._compare(now)
        return self.array

    def _compare(self, now: State) -> None:
        assert self._file is not None
        assert self._sums is not None
        if now[0] < self.array.nbytes:
            raise RowFileError(self._file.path, "it was truncated")
        step = max(1, STEP_BYTES // (4 * self.shape[1]))
        for at in range(0, len(self), step):
            wrong = np.flatnonzero(row_sums(self.array[at : at + step]) != self._sums[at : at + step])
            if len(wrong):
                raise self._damaged(at + int(wrong[0]))
        self._compared = now

    def _damaged(self, position: int) -> RowFileError:
        path = Path() if self._file is None else self._file.path
        return RowFileError(path, f"row {position} (from 0) is damaged")


def row_sums(rows: Float32) -> Sums:
    """Checksum of each row: the sum of its 64-bit words, or of its 32-bit words if D is odd.

    A change within one word is always detected, larger ones almost surely. It costs a few percent of a search; a CRC-32
    of each row would cost fifteen times as much.

    Args:
        rows: (B, D) float32, C-contiguous.

    Returns:
        (B,) uint64.
    """
    words = rows.view(np.uint32 if rows.shape[1] % 2 else np.uint64)
    found: Sums = np.add.reduce(words, axis=1, dtype=words.dtype).astype(np.uint64, copy=False)
    return found
