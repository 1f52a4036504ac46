"""Exact index: scores every allowed row; the reference for all other indexes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lookalike.index import checksummed
from lookalike.index.allowed import Allowed
from lookalike.index.exact_scores import BLOCK_BYTES, best, empty_answer
from lookalike.index.rows import Rows
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space, slices
from lookalike.types import Bool, Float32, Int64

GATHER_BELOW = 0.2
"""Fraction of allowed rows below which they are copied together and scored alone: a scattered row takes about five
times as long to read as a row in order."""

NARROW = 128
"""Number of columns below which a BLAS matrix product is faster than single inner products."""

CHUNK_BYTES = 8 << 20
"""Bytes of rows that a thread multiplies with a single query at a time. BLAS's own threads wait for each other, which
takes several times longer when another process uses a core."""

FEWEST_CHUNKS = 4
"""Number of chunks below which starting threads takes longer than the work."""

THREADS = 4
"""Largest number of threads; more do not read memory faster."""

CONVERTED_ROWS = 1024
"""Number of int16 rows that are converted at once: with 512 or with 8,192 a scan takes a third longer."""

GATHERED_ROWS = 256
"""Number of scattered rows that are copied at once for a single query. With all 1,400 rows of a filter at once a query
takes six times as long where the memory for them is new to the process: each page of it is a fault."""

ROUNDING = 1e-5
"""Bound of the rounding error of a matrix product of unit vectors; rows this close below the k-th best are rescored."""


class Exact:
    """Scores every allowed row.

    Args:
        rows: N rows of D numbers.
        spaces: Spaces of the columns.
    """

    def __init__(self, rows: Float32 | Rows, *, spaces: Sequence[Space]) -> None:
        self._rows = Rows.of(rows)
        self._spaces = tuple(spaces)
        self._places = list(slices(spaces).values())

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Exact:
        """Wrap the rows; there is nothing to build."""
        del settings  # has none
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
        """Write a file with a footer and no payload."""
        path.write_bytes(b"")
        checksummed.write_footer(path, name="exact", count=len(self._rows), spaces=self._spaces)

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | Allowed | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find the k best rows of each query; see `Index.search`."""
        del probes  # has no lists
        count = len(self._rows)
        chosen, permitted = None, Allowed.of(allowed)
        if permitted is not None:
            permitted.asked += len(queries)
            if permitted.count < GATHER_BELOW * count:
                chosen = permitted.positions
            count = permitted.count
        positions, scores = empty_answer(len(queries), k)
        found = min(k, count)
        if found == 0:
            return positions, scores
        forbidden = None if permitted is None or chosen is not None else ~permitted.rows
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
        """Approximate inner products of queries with all or chosen rows, by matrix products: (Q, N) float32."""
        if chosen is None:
            self._rows.check()
        if self._rows.scales is not None:
            return multiply_int16(queries, self._rows, chosen)
        columns = self._columns(queries)
        queries = queries[:, columns]
        if chosen is None:
            return multiply(queries, self._rows[:][:, columns])
        return multiply_chosen(queries, self._rows, chosen, columns=columns)

    def _columns(self, queries: Float32) -> slice:
        """Columns from the first to the last space with a weight above 0; the others need not be read."""
        weighted = [place for place in self._places if queries[:, place].any()]
        if not weighted:
            return slice(0, 0)
        return slice(weighted[0].start, weighted[-1].stop)


def multiply_int16(queries: Float32, rows: Rows, chosen: Int64 | None) -> Float32:
    """Multiply (Q, D) by the transposed int16 rows, (N, D), or by chosen ones: (Q, N) float32.

    A few rows at a time are converted, so that their float32 numbers do not leave the processor's cache.

    Args:
        queries: (Q, D) float32.
        rows: All rows, whose checksums have been compared.
        chosen: (n,) positions of rows, whose checksums are compared here; None multiplies by all rows.

    Raises:
        RowFileError: A chosen row is damaged.
    """
    assert rows.scales is not None
    scales = rows.scales if chosen is None else rows.scales.take(chosen, axis=0)
    count, at_once = len(scales), CONVERTED_ROWS if chosen is None else gathered_rows(queries)
    weighted = [number for number, place in enumerate(rows.places) if queries[:, place].any()]
    products = np.zeros((len(queries), count), dtype=np.float32)
    if not weighted:
        return products
    columns = slice(rows.places[weighted[0]].start, rows.places[weighted[-1]].stop)
    parts = [
        (slice(place.start - columns.start, place.stop - columns.start), queries[:, place])
        for place in (rows.places[number] for number in weighted)
    ]

    def fill(start: int) -> None:
        stop = min(start + step, count)
        converted = np.empty((min(at_once, stop - start), columns.stop - columns.start), dtype=np.float32)
        by_space = np.empty((len(parts), len(queries), stop - start), dtype=np.float32)
        for at in range(start, stop, at_once):
            block = converted[: stop - at]
            end = at + len(block)
            stored = rows.array[at:end] if chosen is None else rows.take_stored(chosen[at:end])
            np.copyto(block, stored[:, columns])
            for number, (place, part) in enumerate(parts):
                found = by_space[number, :, at - start : end - start]
                if len(part) > 1 or part.shape[1] < NARROW:
                    np.matmul(part, block[:, place].T, out=found)
                else:
                    np.vecdot(block[:, place], part[0], out=found[0])
        by_space *= scales[start:stop, weighted].T[:, np.newaxis]
        by_space.sum(axis=0, out=products[:, start:stop])

    step = max(CONVERTED_ROWS, CHUNK_BYTES // (2 * rows.shape[1]))
    in_threads(fill, range(0, count, step))
    return products


def gathered_rows(queries: Float32) -> int:
    """Number of scattered rows that are copied at once: for many queries more, since one product serves them all."""
    return GATHERED_ROWS if len(queries) == 1 else CONVERTED_ROWS


def multiply_chosen(queries: Float32, rows: Rows, chosen: Int64, *, columns: slice) -> Float32:
    """Multiply (Q, D) by the transposed columns of chosen float32 rows: (Q, n) float32.

    Args:
        queries: (Q, D) float32.
        rows: All rows.
        chosen: (n,) positions of rows, whose checksums are compared here.
        columns: D columns of the rows.

    Raises:
        RowFileError: A chosen row is damaged.
    """
    products, at_once = np.empty((len(queries), len(chosen)), dtype=np.float32), gathered_rows(queries)

    def fill(start: int) -> None:
        for at in range(start, min(start + step, len(chosen)), at_once):
            found = chosen[at : min(at + at_once, start + step)]
            products[:, at : at + len(found)] = multiply(queries, rows.take(found)[:, columns])

    step = max(CONVERTED_ROWS, CHUNK_BYTES // (4 * rows.shape[1]))
    in_threads(fill, range(0, len(chosen), step))
    return products


def in_threads(fill: Callable[[int], None], starts: range) -> None:
    """Call a function for each chunk of rows, in several threads if there are many."""
    if len(starts) < FEWEST_CHUNKS:
        for start in starts:
            fill(start)
    else:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            list(pool.map(fill, starts))


def multiply(queries: Float32, rows: Float32) -> Float32:
    """Multiply (Q, D) by the transposed (N, D): (Q, N) float32."""
    count, columns = rows.shape
    if len(queries) > 1 or columns < NARROW:
        product: Float32 = queries @ rows.T
        return product
    products = np.empty((1, count), dtype=np.float32)

    def fill(start: int) -> None:
        np.vecdot(rows[start : start + step], queries[0], out=products[0, start : start + step])

    step = max(1, CHUNK_BYTES // (4 * columns))
    in_threads(fill, range(0, count, step))
    return products


def near_best(estimates: Float32, *, k: int, margin: float) -> Int64:
    """Positions, ascending, of the k largest estimates and of those within a margin below them.

    Args:
        estimates: (N,) float32, at least k of them finite.
        k: Number of estimates, from 1 to N.
        margin: Margin below the k-th largest, at least 0.
    """
    kth = len(estimates) - k
    return np.flatnonzero(estimates >= np.partition(estimates, kth)[kth] - np.float32(margin))
