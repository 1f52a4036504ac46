"""The exact index: every row is scored, by matrix products at the speed of memory. The oracle for all others."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from lookalike.index import checksummed
from lookalike.index.rows import Rows
from lookalike.index.scoring import BLOCK_BYTES, best, empty_answer
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space, slices
from lookalike.types import Bool, Float32, Int64

GATHER_BELOW = 0.2
"""Allowed rows are copied together and scored alone when they are fewer than this fraction: reading scattered rows
costs about five times as much for each as reading all of them in order."""

NARROW = 128
"""Of so few columns BLAS makes a quicker matrix product than one inner product after the other."""

CHUNK_BYTES = 8 << 20
"""A single query is multiplied with this much of the rows at a time, in a few threads of our own. One thread of BLAS's
waits for the other, which takes several times longer where another process wants a core."""

FEWEST_CHUNKS = 4
"""Fewer are done before a thread has started."""

THREADS = 4
"""More do not read memory faster."""

ROUNDING = 1e-5
"""More than a matrix product of unit rows is wrong by. Rows this close below the k-th best are scored again."""


class Exact:
    """Scores every row that is allowed."""

    def __init__(self, rows: Float32 | Rows, *, spaces: Sequence[Space]) -> None:
        self._rows = Rows.of(rows)
        self._spaces = tuple(spaces)
        self._places = list(slices(spaces).values())

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Exact:
        """Take the rows as they are; there is nothing to build."""
        del settings  # there is nothing to set
        return cls(rows, spaces=spaces)

    @classmethod
    def load(
        cls, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
    ) -> Exact:
        """Check that the file was saved over rows of this shape."""
        del settings
        checksummed.check(path, name="exact", count=len(rows), spaces=spaces)
        return cls(rows, spaces=spaces)

    def save(self, path: Path) -> None:
        """Write a file that says what the rows are and nothing else."""
        path.write_bytes(b"")
        checksummed.write_footer(path, name="exact", count=len(self._rows), spaces=self._spaces)

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find the k best rows of each query; see `Index.search`."""
        del probes  # there are no lists to look into
        count = len(self._rows)
        chosen = None
        if allowed is not None:
            permitted = int(np.count_nonzero(allowed))
            if permitted < GATHER_BELOW * count:
                chosen = np.flatnonzero(allowed)
            count = permitted
        positions, scores = empty_answer(len(queries), k)
        found = min(k, count)
        if found == 0:
            return positions, scores
        forbidden = None if allowed is None or chosen is not None else ~allowed
        width = len(self._rows) if chosen is None else len(chosen)
        step = max(1, BLOCK_BYTES // (4 * width))
        for at in range(0, len(queries), step):
            estimates = self._estimate(queries[at : at + step], chosen)
            if forbidden is not None:
                estimates[:, forbidden] = -np.inf
            for row, (query, estimate) in enumerate(zip(queries[at : at + step], estimates, strict=True), start=at):
                candidates = near_best(estimate, k=found, margin=ROUNDING * float(np.linalg.norm(query)))
                if chosen is not None:
                    candidates = chosen[candidates]
                positions[row, :found], scores[row, :found] = best(self._rows, query, candidates, k=found)
        return positions, scores

    def _estimate(self, queries: Float32, chosen: Int64 | None) -> Float32:
        """Inner products of queries with all rows, or those chosen, as matrix products round them: (Q, N) float32."""
        columns = self._columns(queries)
        queries = queries[:, columns]
        if chosen is None:
            return multiply(queries, self._rows.whole()[:, columns])
        estimates = np.empty((len(queries), len(chosen)), dtype=np.float32)
        step = max(1, BLOCK_BYTES // (4 * self._rows.shape[1]))
        for at in range(0, len(chosen), step):
            estimates[:, at : at + step] = multiply(queries, self._rows.take(chosen[at : at + step])[:, columns])
        return estimates

    def _columns(self, queries: Float32) -> slice:
        """The columns from the first space that is weighted to the last; what is outside of them need not be read."""
        weighted = [place for place in self._places if queries[:, place].any()]
        if not weighted:
            return slice(0, 0)
        return slice(weighted[0].start, weighted[-1].stop)


def multiply(queries: Float32, rows: Float32) -> Float32:
    """(Q, D) times (N, D) transposed: (Q, N) float32."""
    count, columns = rows.shape
    if len(queries) > 1 or columns < NARROW:
        product: Float32 = queries @ rows.T
        return product
    products = np.empty((1, count), dtype=np.float32)

    def fill(start: int) -> None:
        np.vecdot(rows[start : start + step], queries[0], out=products[0, start : start + step])

    step = max(1, CHUNK_BYTES // (4 * columns))
    starts = range(0, count, step)
    if len(starts) < FEWEST_CHUNKS:
        for start in starts:
            fill(start)
    else:
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, starts))
    return products


def near_best(estimates: Float32, *, k: int, margin: float) -> Int64:
    """Positions, in rising order, of every estimate that is among the k largest or within a margin below them.

    Args:
        estimates: (N,) float32, at least k of them finite.
        k: At least 1, at most N.
        margin: At least 0.
    """
    kth = len(estimates) - k
    return np.flatnonzero(estimates >= np.partition(estimates, kth)[kth] - np.float32(margin))
