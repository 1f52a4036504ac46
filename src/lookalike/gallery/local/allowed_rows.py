"""Rows that a search may return."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.gallery.local.version import Version
from lookalike.index import Allowed
from lookalike.types import Bool, Int64

FILTERS_REMEMBERED: Final = 32
"""Filters whose rows a snapshot keeps."""


@dataclass(frozen=True, slots=True)
class AllowedRows:
    """Rows that pass a filter and have not been removed.

    Attributes:
        segment: Rows of the segment; None allows the whole segment.
        segment_count: Number of allowed rows of the segment.
        unindexed: (M,) bool; None allows all unindexed rows.
        unindexed_count: Number of allowed unindexed rows.
    """

    segment: Allowed | None
    segment_count: int
    unindexed: Bool | None
    unindexed_count: int

    @property
    def count(self) -> int:
        """Number of allowed rows."""
        return self.segment_count + self.unindexed_count

    def together(self, segment_rows: int, unindexed_rows: int) -> Bool | None:
        """Segment and unindexed rows in one array, (N + M,) bool; None allows all.

        Args:
            segment_rows: N.
            unindexed_rows: M.
        """
        if self.segment is None and self.unindexed is None:
            return None
        segment = np.ones(segment_rows, dtype=np.bool_) if self.segment is None else self.segment.rows
        unindexed = np.ones(unindexed_rows, dtype=np.bool_) if self.unindexed is None else self.unindexed
        return np.concatenate([segment, unindexed])


@dataclass(frozen=True, slots=True)
class PassingRows:
    """Rows that passed a filter at a version, from which those of a later version are found.

    Attributes:
        version: The version.
        segment: Rows of the segment; None without a segment.
        unindexed: (M,) int64, numbers of the unindexed rows.
    """

    version: Version
    segment: Allowed | None
    unindexed: Int64


class RememberedRows:
    """Allowed rows of the filters that were asked for last. Thread-safe, also in free-threaded Python."""

    def __init__(self) -> None:
        self._rows: OrderedDict[str | None, AllowedRows] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, where: str | None) -> AllowedRows | None:
        """Rows that a filter passes; None if they are not kept."""
        with self._lock:
            found = self._rows.get(where)
            if found is not None:
                self._rows.move_to_end(where)
            return found

    def keep(self, where: str | None, rows: AllowedRows) -> None:
        """Keep the rows that a filter passes, in place of the filter asked for longest ago; None is no filter."""
        with self._lock:
            if where not in self._rows and len(self._rows) >= FILTERS_REMEMBERED:
                self._rows.pop(next(filter(None, self._rows), None), None)
            self._rows[where] = rows

    def items(self) -> list[tuple[str | None, AllowedRows]]:
        """Filters with their rows, that asked for last at the end."""
        with self._lock:
            return [*self._rows.items()]
