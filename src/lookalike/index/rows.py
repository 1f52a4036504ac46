"""The rows that indexes score, each checked before it is scored where it comes from a file.

A file that is mapped into memory is read long after it was opened, and what the disk then brings may not be what was
written. So each row has a checksum, which is kept apart and compared whenever the row is copied together with other
candidates. A scan of all rows reads them where they stand: these are compared once, and again when the file has
changed.
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
"""Of a file: its size, and when its content and its description were last changed."""

STEP_BYTES: Final = 8 << 20
"""How much is compared at once, at most."""


class Mapped:
    """A file that is mapped into memory, held so that changes of it are noticed.

    Attributes:
        path: Where it was opened; another one may stand there now.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self.descriptor)

    def state(self) -> State:
        """What would be another after a change."""
        found = os.fstat(self.descriptor)
        return found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def size(self) -> int:
        """In bytes. A process that touches what a shorter file no longer has is killed by the system."""
        return os.fstat(self.descriptor).st_size


class Rows:
    """Rows to be searched.

    Attributes:
        array: (N, D) float32, not checked.
        shape: (N, D).
    """

    def __init__(self, array: Float32, *, sums: Sums | None = None, file: Mapped | None = None) -> None:
        """Take rows.

        Args:
            array: (N, D) float32.
            sums: (N,) uint64, what `row_sums` gave for them; None where they are in memory and need no check.
            file: Where the array is mapped from, if it is.
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
        """Rows as they are, or those of an array in memory."""
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
            RowFileError: One is not as it was written, or the file was cut short.
        """
        if self._file is not None and self._file.size() < self._bytes:
            raise RowFileError(self._file.path, "it was cut short")
        taken: Float32 = self.array.take(positions, axis=0)
        if self._sums is not None:
            found, wanted = row_sums(taken), self._sums.take(positions)
            if found.tobytes() != wanted.tobytes():  # a microsecond, where an array of differences takes five
                raise self._damaged(int(positions[np.flatnonzero(found != wanted)[0]]))
        return taken

    def whole(self) -> Float32:
        """All rows where they stand, (N, D) float32, once all of them have been compared.

        Raises:
            RowFileError: One is not as it was written, or the file was cut short.
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
            raise RowFileError(self._file.path, "it was cut short")
        step = max(1, STEP_BYTES // (4 * self.shape[1]))
        for at in range(0, len(self), step):
            wrong = np.flatnonzero(row_sums(self.array[at : at + step]) != self._sums[at : at + step])
            if len(wrong):
                raise self._damaged(at + int(wrong[0]))
        self._compared = now

    def _damaged(self, position: int) -> RowFileError:
        path = Path() if self._file is None else self._file.path
        return RowFileError(path, f"row {position} (from 0) is not as it was written")


def row_sums(rows: Float32) -> Sums:
    """A checksum of each row: the sum of its bits, taken 64 at a time, or 32 where D is odd.

    A change within 64 bits is always found, others all but surely. It costs a few percent of a search; CRC-32 of one
    row after the other would cost fifteen times as much.

    Args:
        rows: (B, D) float32, C-contiguous.

    Returns:
        (B,) uint64.
    """
    words = rows.view(np.uint32 if rows.shape[1] % 2 else np.uint64)
    found: Sums = np.add.reduce(words, axis=1, dtype=words.dtype).astype(np.uint64, copy=False)
    return found
