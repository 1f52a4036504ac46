"""Rows that a search may return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike.index import Allowed
from lookalike.types import Bool


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
