"""Rescoring of candidates, shared by all indexes that compress rows.

FAISS returns more candidates than requested, by estimated scores; they are scored again from the rows. If it finds too
few, as when a filter passes few rows near the query, it searches further, and finally the exact scan answers, so that
no query gets fewer results than there are.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import faiss
import numpy as np

from lookalike.errors import IndexFileError
from lookalike.index.allowed import Allowed
from lookalike.index.exact import Exact
from lookalike.index.exact_scores import best
from lookalike.index.rows import Rows
from lookalike.types import Float32, Int64

FEWEST_ROWS = 256
"""Number of rows below which every index uses the exact scan."""

FaissIndex: TypeAlias = Any
"""FAISS index; FAISS has no types."""

FaissParameters: TypeAlias = Any
"""FAISS search parameters."""

FaissSelector: TypeAlias = Any
"""FAISS selector of allowed rows."""

Asked: TypeAlias = slice | list[int]
"""Selection of queries by position."""


class Finder(Protocol):
    """Function that finds candidates; the part in which indexes differ."""

    def __call__(self, asked: Asked, count: int, *, among: Among, effort: int) -> tuple[Int64, bool]:
        """Find candidates.

        Args:
            asked: The Q queries to answer.
            count: Number of candidates.
            among: Allowed rows.
            effort: 0 is the usual effort; each step above searches several times further.

        Returns:
            Positions, (Q, count) int64, -1 where fewer were found; and whether a larger effort would search further.
        """
        ...


@dataclass(frozen=True, slots=True)
class Among:
    """Allowed rows.

    Attributes:
        selector: FAISS selector; None for all rows.
        share: Fraction of all rows, in (0, 1].
    """

    selector: FaissSelector | None
    share: float


def search(index: FaissIndex, queries: Float32, count: int, *, parameters: FaissParameters | None = None) -> Int64:
    """Search a FAISS index: positions, (Q, count) int64.

    If another library has imported `faiss.contrib.torch_utils` (as pytorch-metric-learning's evaluation does), `search`
    no longer takes parameters, and the original method is `search_numpy`.
    """
    ask = getattr(index, "search_numpy", index.search)
    found: Int64 = ask(queries, count, params=parameters)[1]
    return found


def candidate_count(k: int) -> int:
    """Number of candidates that are scored again for k results.

    For a network's features rotated to principal components, which are hardest for the codes, 50 candidates held .982
    of the ten best, 100 held .997 and 200 held .998.
    """
    return 60 + 5 * k


def answer(
    exact: Exact,
    rows: Rows,
    queries: Float32,
    *,
    k: int,
    allowed: Allowed | None,
    find: Finder,
    eager: bool,
    path: Path | None,
) -> tuple[Int64, Float32]:
    """Answer queries from candidates; other arguments and results as in `Index.search`.

    Args:
        exact: Exact scan of the same rows.
        rows: N rows of D numbers.
        queries: (Q, D) float32.
        k: Number of results.
        allowed: Allowed rows; None for all.
        find: Function that finds candidates.
        eager: Search further until there are `candidate_count(k)` candidates; else until there are k.
        path: File that the index was loaded from; None for a built one.

    Raises:
        IndexFileError: A candidate is impossible, so the file has damage that opening did not find.
    """
    permitted = len(rows) if allowed is None else allowed.count
    count = candidate_count(k)
    if permitted <= count:
        return exact.search(queries, k, allowed=allowed)
    among = Among(None if allowed is None else faiss.IDSelectorBitmap(allowed.bits), permitted / len(rows))
    positions = np.empty((len(queries), k), dtype=np.int64)
    scores = np.empty((len(queries), k), dtype=np.float32)
    enough = count if eager else k
    waiting, effort, more = list(range(len(queries))), 0, True
    while waiting and more:
        with one_thread() if len(waiting) == 1 else nullcontext():
            found, more = find(slice(None) if effort == 0 else waiting, count, among=among, effort=effort)
        short = []
        for query, positions_found in zip(waiting, found, strict=True):
            if positions_found[enough - 1] == -1:
                short.append(query)
                continue
            if positions_found[-1] == -1:
                positions_found = positions_found[positions_found != -1]
            positions_found.sort()
            if impossible(positions_found, rows=len(rows)):
                assert path is not None, "FAISS returned a row that is not in the index"
                raise IndexFileError(path, "it holds rows out of range, or a row twice")
            positions[query], scores[query] = best(rows, queries[query], positions_found, k=k)
        waiting, effort = short, effort + 1
    if waiting:
        positions[waiting], scores[waiting] = exact.search(queries[waiting], k, allowed=allowed)
    return positions, scores


def impossible(positions: Int64, *, rows: int) -> bool:
    """Whether ascending positions, (C,) int64 with C at least 1, are out of range or contain one twice."""
    return bool(positions[0] < 0 or positions[-1] >= rows or (positions[1:] == positions[:-1]).any())


@contextmanager
def one_thread() -> Iterator[None]:
    """Make FAISS use the calling thread alone; for a single query, waking others takes longer than the search.

    OpenMP keeps this setting per thread, so other threads are not affected.
    """
    threads = faiss.omp_get_max_threads()
    if threads == 1:
        yield
        return
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@contextmanager
def name_of(path: Path, *, mode: str = "rb") -> Iterator[str]:
    """Name by which FAISS can open a file: FAISS takes Unicode text, and a path may hold any bytes.

    Args:
        path: Path of the file.
        mode: Mode in which it is opened.

    Raises:
        OSError: It cannot be opened.
    """
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:
        with path.open(mode) as file:
            yield f"/dev/fd/{file.fileno()}"
    else:
        yield name


def read(path: Path, *, count: int, width: int) -> FaissIndex:
    """Read a FAISS index, mapped into memory.

    Raises:
        IndexFileError: The index has another shape, or cannot be read.
    """
    try:
        with name_of(path) as name:
            index = faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)
    except (OSError, RuntimeError) as error:
        raise IndexFileError(path, str(error).splitlines()[-1]) from None
    if (index.ntotal, index.d) != (count, width):
        raise IndexFileError(path, f"it holds {index.ntotal} x {index.d} numbers, and {count} x {width} were expected")
    return index
