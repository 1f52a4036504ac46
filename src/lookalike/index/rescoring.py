"""From an estimate to the answer: what every index that compresses rows does with its candidates.

The library returns more candidates than were asked for, by estimated scores. They are scored again from the rows.
When it finds too few, as happens when a filter passes little of what is near the query, it is asked to look further;
in the end the exact scan answers, so that no query gets fewer results than there are.
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
from lookalike.index.exact import Exact
from lookalike.index.rows import Rows
from lookalike.index.scoring import best
from lookalike.types import Bool, Float32, Int64

FEWEST_ROWS = 256
"""Fewer rows than this are not worth a structure; every index scans them exactly."""

FaissIndex: TypeAlias = Any
"""An index of the FAISS library, which has no types."""

FaissParameters: TypeAlias = Any
"""Parameters of a search of the FAISS library."""

FaissSelector: TypeAlias = Any
"""A selector of the FAISS library: which rows may be found."""


Asked: TypeAlias = slice | list[int]
"""Some of the queries, by their positions."""


class Finder(Protocol):
    """Finds candidates; the part in which indexes differ."""

    def __call__(self, asked: Asked, count: int, *, among: Among, effort: int) -> tuple[Int64, bool]:
        """Find about the best rows.

        Args:
            asked: Which of the queries: Q of them.
            count: How many candidates.
            among: Which rows may be found.
            effort: 0 looks as far as is usual; each step above looks several times further.

        Returns:
            Positions, (Q, count) int64, the rest -1 where there are fewer; and whether it could look further.
        """
        ...


@dataclass(frozen=True, slots=True)
class Among:
    """Which rows may be found.

    Attributes:
        selector: As FAISS takes it; None for all.
        share: Of all rows, in (0, 1].
    """

    selector: FaissSelector | None
    share: float


def search(index: FaissIndex, queries: Float32, count: int, *, parameters: FaissParameters) -> Int64:
    """Ask an index of the library: positions, (Q, count) int64.

    Where another library has imported `faiss.contrib.torch_utils` (pytorch-metric-learning's evaluation does), `search`
    takes no parameters any more, and what it was is `search_numpy`.
    """
    ask = getattr(index, "search_numpy", index.search)
    found: Int64 = ask(queries, count, params=parameters)[1]
    return found


def candidate_count(k: int) -> int:
    """How many candidates are scored again for k results.

    Of a network's features turned to their principal components, the hardest there are for the codes, 50 candidates
    held .982 of the ten best, 100 held .997 and 200 held .998.
    """
    return 60 + 5 * k


def answer(
    exact: Exact,
    rows: Rows,
    queries: Float32,
    *,
    k: int,
    allowed: Bool | None,
    find: Finder,
    eager: bool,
    path: Path | None,
) -> tuple[Int64, Float32]:
    """Answer queries from candidates; other arguments and results as in `Index.search`.

    Args:
        exact: The exact scan of the same rows.
        rows: N of D numbers.
        queries: (Q, D) float32.
        k: How many results.
        allowed: (N,) bool.
        find: Finds candidates.
        eager: Look further until there are as many candidates as wanted; else k are enough.
        path: The file that the index was read from, if it was.

    Raises:
        IndexFileError: What was found cannot be, so the file is damaged where opening did not look.
    """
    permitted = len(rows) if allowed is None else int(np.count_nonzero(allowed))
    count = candidate_count(k)
    if permitted <= count:
        return exact.search(queries, k, allowed=allowed)
    bits = None if allowed is None else np.packbits(allowed, bitorder="little")  # must outlive the selector
    among = Among(None if bits is None else faiss.IDSelectorBitmap(bits), permitted / len(rows))
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
                assert path is not None, "the library found what it was not given"
                raise IndexFileError(path, "it names rows that there are not, or a row twice")
            positions[query], scores[query] = best(rows, queries[query], positions_found, k=k)
        waiting, effort = short, effort + 1
    if waiting:
        positions[waiting], scores[waiting] = exact.search(queries[waiting], k, allowed=allowed)
    return positions, scores


def impossible(positions: Int64, *, rows: int) -> bool:
    """Whether positions in rising order, (C,) int64 with C at least 1, are not those of so many rows, each once."""
    return bool(positions[0] < 0 or positions[-1] >= rows or (positions[1:] == positions[:-1]).any())


@contextmanager
def one_thread() -> Iterator[None]:
    """Let FAISS work in the calling thread alone: for a single query the others take longer to wake than to search.

    OpenMP keeps this setting for each thread by itself, so what other threads do is not touched.
    """
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(threads)


@contextmanager
def name_of(path: Path, *, mode: str = "rb") -> Iterator[str]:
    """A name by which FAISS can open a file: it takes text, and a path may be any bytes.

    Args:
        path: The file.
        mode: How it is opened.

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
    """Read what the library wrote, its bulk mapped into memory.

    Raises:
        IndexFileError: It is of another shape than it should be.
    """
    try:
        with name_of(path) as name:
            index = faiss.read_index(name, faiss.IO_FLAG_MMAP_IFC)
    except (OSError, RuntimeError) as error:
        raise IndexFileError(path, str(error).splitlines()[-1]) from None
    if (index.ntotal, index.d) != (count, width):
        raise IndexFileError(path, f"it holds {index.ntotal} x {index.d} numbers, and {count} x {width} were expected")
    return index
