"""Codes of rows that were added after an index of lists was built, so that a query need not read all of these rows.

A row of 542 numbers takes 2,168 bytes, and its code 136. Encoding takes 10 microseconds a row, which is as long as 100
queries take to scan it; so a query encodes a few rows only, and scans those that have no code yet.
"""

from __future__ import annotations

import threading
from typing import Final

import faiss
import numpy as np

from lookalike.index.exact import Exact
from lookalike.index.exact_scores import best
from lookalike.index.faiss_candidates import FaissIndex, candidate_count, one_thread, search
from lookalike.index.rows import Rows
from lookalike.index.scaling import Scale
from lookalike.spaces import Space
from lookalike.types import Float32, Int64

WITHOUT_CODES: Final = 512
"""Number of rows that stay without codes: scanning them takes 0.05 ms."""

AT_ONCE: Final = 128
"""Largest number of rows that one query encodes, in 1.3 ms."""

MOST_REMOVED: Final = 256
"""Largest number of encoded rows that a query may lack. When more were removed, the codes of the others are made again;
a query of rows that were read before many others were encoded scans all of its rows."""


class LaterCodes:
    """Codes of rows by their numbers, which only grow. Searches are thread-safe.

    Args:
        lists: An `IndexIVFPQFastScan` of whole rows, whose codebooks are used.
        scale: Scale of its rows.
        spaces: Spaces of the columns.
    """

    def __init__(self, lists: FaissIndex, scale: Scale, spaces: tuple[Space, ...]) -> None:
        empty = faiss.IndexPQ(lists.d, lists.pq.M, lists.pq.nbits, lists.metric_type)
        empty.pq, empty.is_trained = lists.pq, True
        self._index = faiss.IndexPQFastScan(empty)
        self._scale = scale
        self._spaces = spaces
        self._numbers: Int64 = np.empty(0, dtype=np.int64)
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._numbers)

    def search(self, query: Float32, k: int, *, numbers: Int64, rows: Float32) -> tuple[Int64, Float32]:
        """Find about the k best rows of a query; see `Index.search`.

        Args:
            query: (1, D) float32.
            k: Number of rows.
            numbers: (M,) int64 row numbers, ascending. A number always means the same row.
            rows: (M, D) float32, their unit vectors.
        """
        count = candidate_count(k)
        found = None
        if len(rows) - WITHOUT_CODES > count:
            with self._lock:
                encoded, without = self._encode(numbers, rows)
                absent = len(self) - (encoded - len(without))
                if max(absent, len(without)) <= MOST_REMOVED and encoded - len(without) > count:
                    found = self._candidates(query, count + absent)
        if found is None:
            return Exact(rows, spaces=self._spaces).search(query, k)
        places = np.searchsorted(numbers, found)
        places = places[numbers[np.minimum(places, len(numbers) - 1)] == found]
        if len(places) < k:  # FAISS leaves out the rows with the lowest estimate
            return Exact(rows, spaces=self._spaces).search(query, k)
        rest = rows[encoded:]
        nearest = Exact(rest, spaces=self._spaces).search(query, min(k, len(rest)))[0][0] + encoded
        candidates = np.sort(np.concatenate([places, without, nearest]))
        positions, scores = best(Rows.of(rows), query[0], candidates, k=k)
        return positions[np.newaxis], scores[np.newaxis]

    def _encode(self, numbers: Int64, rows: Float32) -> tuple[int, Int64]:
        """Encode some more rows, if there are many and the codes will be used; see `_compared`."""
        encoded, without = self._compared(numbers)
        absent = len(self) - (encoded - len(without))
        later = len(self) - int(np.searchsorted(self._numbers, numbers[-1], side="right"))
        if absent - later > MOST_REMOVED:  # later ones were not removed, but added after these rows were read
            self._index.reset()
            self._numbers, encoded, without, absent = self._numbers[:0], 0, without[:0], 0
        last = min(encoded + AT_ONCE, len(rows) - WITHOUT_CODES)
        if last > encoded and max(absent, len(without)) <= MOST_REMOVED:
            with one_thread():
                self._index.add(self._scale.rows(rows[encoded:last]))
            self._numbers = np.concatenate([self._numbers, numbers[encoded:last]])
            encoded = last
        return encoded, without

    def _compared(self, numbers: Int64) -> tuple[int, Int64]:
        """Compare row numbers with those of the encoded rows.

        Returns:
            Number of rows up to the last encoded one; and the positions of those among them that have no code, since
            they were removed before others were encoded.
        """
        encoded = int(np.searchsorted(numbers, self._numbers[-1], side="right")) if len(self) else 0
        if np.array_equal(numbers[:encoded], self._numbers):
            return encoded, np.empty(0, dtype=np.int64)
        return encoded, np.flatnonzero(np.isin(numbers[:encoded], self._numbers, assume_unique=True, invert=True))

    def _candidates(self, query: Float32, count: int) -> Int64:
        """Numbers of the encoded rows with the best estimates, at most `count`."""
        with one_thread():
            found = search(self._index, self._scale.queries(query), min(count, len(self)))[0]
        numbers: Int64 = self._numbers[found[found >= 0]]
        return numbers
