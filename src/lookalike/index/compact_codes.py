"""Codes of the rows that a filter passes, side by side, so that a repeated filter is answered without all the others.

Lists hold the codes of 32 rows woven into each other, and a search among a few percent of all rows reads nearly all of
them. The codes of the rows that pass take 136 bytes a row of 542 numbers, and scoring every one of them takes less time
than probing lists; no row is missed because its list was not looked into. Codes are of whole rows, and not of what
remains of a row in its list; else those of different lists could not be compared.
"""

from __future__ import annotations

import threading
import weakref
from pathlib import Path
from typing import Final

import faiss
import numpy as np

from lookalike.errors import IndexFileError
from lookalike.index.allowed import ASKED, MOST_REPEATED, Allowed
from lookalike.index.faiss_candidates import FaissIndex, search
from lookalike.types import Bool, Float32, Int64, UInt8

LARGEST_SHARE: Final = 0.3
"""Largest fraction of the rows; where more pass, the lists near the query hold enough of them."""

MOST_ROWS: Final = 1 << 18
"""Largest number of rows that an index keeps codes of, of all filters together: 36 MB with 542 numbers."""

WOVEN: Final = 32
"""Rows of a block."""

ORDER: Final = np.array(2 * [0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15])
"""Byte of a row within the 16 bytes of a block that hold a column of codes; the second half of the rows has the upper
four bits. FAISS's `pq4_pack_codes` writes them so."""


class CompactCodes:
    """Codes of some rows of an index of inverted lists.

    Args:
        lists: An `IndexIVFPQFastScan` of whole rows.
        allowed: Rows whose codes are copied, at least one.
        path: File that the lists are mapped from; None for lists in memory.

    Raises:
        IndexFileError: The file is damaged.
    """

    def __init__(self, lists: FaissIndex, allowed: Allowed, *, path: Path | None) -> None:
        codes, self._positions = codes_of(lists, allowed.rows, path=path)
        flat = faiss.IndexPQ(lists.d, lists.pq.M, lists.pq.nbits, lists.metric_type)
        flat.pq, flat.is_trained, flat.ntotal = lists.pq, True, len(codes)
        faiss.copy_array_to_vector(codes.ravel(), flat.codes)
        self._index = faiss.IndexPQFastScan(flat)

    def __len__(self) -> int:
        return len(self._positions)

    def search(self, queries: Float32, count: int, *, allowed: Allowed) -> Int64:
        """Positions of the rows with the best estimated scores, and of those whose codes are lacking: (Q, C) int64.

        Args:
            queries: (Q, D) float32, scaled as those of the lists.
            count: Number of rows, at most as many as are allowed.
            allowed: Rows whose codes these are, or rows that come from them by a few changes.

        Returns:
            C is `count`, and more by the number of lacking codes. -1 after the positions found, which are fewer than
            `count` where FAISS leaves out the rows with the lowest estimate, as it does for queries with one number.
        """
        if not len(allowed.changes):
            return self._found(queries, count)
        lacking = allowed.changes[allowed.rows[allowed.changes]]
        most = min(len(self), count + len(allowed.changes) - len(lacking))
        positions = np.full((len(queries), count + len(lacking)), -1, dtype=np.int64)
        for row, every in zip(positions, self._found(queries, most), strict=True):
            found = every[every >= 0]
            chosen = np.concatenate([lacking, found[allowed.rows[found]]])[: len(row)]
            row[: len(chosen)] = chosen
        return positions

    def _found(self, queries: Float32, count: int) -> Int64:
        """Positions of the rows with the best estimates, (Q, count) int64; -1 where FAISS leaves out the worst."""
        found = search(self._index, queries, count)
        return np.where(found >= 0, self._positions[found], -1)


class CompactCache:
    """Compact codes of the filters that an index is asked for repeatedly."""

    def __init__(self) -> None:
        self._made: weakref.WeakKeyDictionary[Allowed, CompactCodes] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()

    def codes(self, lists: FaissIndex, allowed: Allowed, *, queries: int, path: Path | None) -> CompactCodes | None:
        """Compact codes of a filter's rows; None while they are not worth their memory and the time to copy them.

        Args:
            lists: Lists of the index.
            allowed: Rows that the filter passes; they may come from rows whose codes are kept.
            queries: Number of queries of this search.
            path: File that the lists are mapped from; None for lists in memory.

        Raises:
            IndexFileError: The file is damaged.
        """
        found = self._made.get(allowed if allowed.origin is None else allowed.origin)
        if found is not None or allowed.share > LARGEST_SHARE or allowed.count > MOST_REPEATED:
            return found
        allowed.asked += queries
        if allowed.asked <= ASKED:
            return None
        allowed = allowed if allowed.origin is None else allowed.origin
        with self._lock:
            if (found := self._made.get(allowed)) is not None:  # made by another thread meanwhile
                return found
            made = CompactCodes(lists, allowed, path=path)
            while self._made and sum(map(len, self._made.values())) + len(made) > MOST_ROWS:
                oldest = next(iter(self._made))
                oldest.asked = 0
                self._made.pop(oldest, None)
            self._made[allowed] = made
            return made


def codes_of(lists: FaissIndex, wanted: Bool, *, path: Path | None) -> tuple[UInt8, Int64]:
    """Codes of rows, unwoven.

    Args:
        lists: An `IndexIVFPQFastScan`.
        wanted: (N,) bool rows, at least one.
        path: File that the lists are mapped from; None for lists in memory.

    Raises:
        IndexFileError: The file holds rows that there are not, or lacks some.

    Returns:
        (n, C) uint8, two codes of 4 bits in each byte; and the positions of their rows, (n,) int64, in any order.
    """
    inverted, columns = lists.invlists, -(-lists.pq.M // 2)
    both_halves = np.arange(columns) * WOVEN
    offsets = np.concatenate([both_halves, both_halves + WOVEN // 2])
    woven, positions, places = [], [], []
    for number in range(lists.nlist):
        size = inverted.list_size(number)
        if not size:
            continue
        rows = faiss.rev_swig_ptr(inverted.get_ids(number), size)
        if rows.view(np.uint64).max() >= len(wanted):
            assert path is not None, "FAISS holds a row that is not in the index"
            raise IndexFileError(path, "it holds rows out of range")
        found = np.flatnonzero(wanted[rows])
        if not len(found):
            continue
        blocks = faiss.rev_swig_ptr(inverted.get_codes(number), -(-size // WOVEN) * columns * WOVEN)
        block, within = np.divmod(found, WOVEN)
        woven.append(blocks.take((block * (columns * WOVEN) + ORDER[within])[:, np.newaxis] + offsets))
        positions.append(rows[found])
        places.append(within)
    found = np.concatenate(positions) if positions else np.empty(0, dtype=np.int64)
    if not np.array_equal(np.sort(found), np.flatnonzero(wanted)):
        assert path is not None, "FAISS lacks rows of the index"
        raise IndexFileError(path, "its lists lack rows, or hold one twice")
    pairs = np.concatenate(woven)
    pairs >>= np.where(np.concatenate(places) < WOVEN // 2, 0, 4).astype(np.uint8)[:, np.newaxis]
    pairs &= 15
    return pairs[:, :columns] | (pairs[:, columns:] << 4), found
