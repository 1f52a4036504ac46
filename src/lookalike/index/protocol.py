"""Interface of indexes, and the table of implementations.

An index is built over the concatenated unit vectors of a gallery (see `lookalike.spaces`) and returns positions in
them. It may select candidates by any method; the scores it returns are always the inner products with the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from lookalike.errors import UnknownNameError
from lookalike.index.allowed import Allowed
from lookalike.index.rows import Rows
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space
from lookalike.types import Bool, Float32, Int64

INDEXES: dict[str, str] = {
    "exact": "lookalike.index.exact:Exact",
    "kmeans": "lookalike.index.kmeans:KMeans",
    "ivf": "lookalike.index.ivf:Ivf",
    "hnsw": "lookalike.index.hnsw:Hnsw",
}
"""Class of each index by name, as `module:Class`; imported when the index is first used."""


class Index(Protocol):
    """Finds the rows with the largest inner products. Searches are thread-safe."""

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | Allowed | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find the k best rows of each query.

        Args:
            queries: (Q, D) float32, from `spaces.scaled_query`.
            k: Number of rows, at least 1.
            allowed: (N,) bool; only rows marked true are returned. `Allowed` keeps what is computed from them for the
                next search. None allows all.
            probes: Number of lists to look into, at least 1; ignored by indexes without lists. None takes the index's
                own number.

        Returns:
            Positions in the rows, (Q, k) int64, and their inner products, (Q, k) float32: best first, equal scores by
            position, no position twice. If fewer than k rows are allowed, the rest is -1 and -inf; there are no other
            gaps.
        """
        ...

    def save(self, path: Path) -> None:
        """Write the index, without the rows, to a file that `load` reads.

        The file is written in place; write to a temporary name and rename it if another process may read it.
        """
        ...


class SearchesLater(Protocol):
    """Index that finds the best of rows which were added after it was built without reading them all."""

    def search_later(self, query: Float32, k: int, *, numbers: Int64, rows: Float32) -> tuple[Int64, Float32]:
        """Find about the k best of rows that were added later.

        Args:
            query: (1, D) float32, from `spaces.scaled_query`.
            k: Number of rows.
            numbers: (M,) int64, ascending. A number means the same row in each call; numbers may be missing later, and
                larger ones follow.
            rows: (M, D) float32 unit vectors.

        Returns:
            Positions in the rows and their inner products; see `Index.search`.
        """
        ...


class IndexClass(Protocol):
    """Class methods of the classes in `INDEXES`."""

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Index:
        """Build an index; see `build`."""
        ...

    @classmethod
    def load(
        cls, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
    ) -> Index:
        """Load an index; see `load`."""
        ...


def build(name: str, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Index:
    """Build an index over rows, of which it keeps a view.

    Args:
        name: One of `INDEXES`.
        rows: N concatenated unit vectors of D numbers, usually memory-mapped; or a C-contiguous (N, D) float32 array.
        spaces: Spaces of the columns.
        settings: Index settings.

    Raises:
        UnknownNameError: There is no such index.
    """
    return index_class(name).build(rows, spaces=spaces, settings=settings)


def load(
    name: str, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
) -> Index:
    """Load an index that `Index.save` wrote, mapping its bulk into memory.

    Args:
        name: Name of the index.
        path: Index file.
        rows: N rows of D numbers that it was built over; only their number and width are checked.
        spaces: Spaces of the columns.
        settings: Settings that it was built with.

    Raises:
        UnknownNameError: There is no such index.
        IndexFileError: The file is missing, damaged, of another index, or of another number or width of rows.
    """
    return index_class(name).load(path, rows=rows, spaces=spaces, settings=settings)


def index_class(name: str) -> IndexClass:
    """Import the class of an index.

    Raises:
        UnknownNameError: There is no such index.
    """
    if name not in INDEXES:
        raise UnknownNameError("index", name, INDEXES)
    module, _, attribute = INDEXES[name].partition(":")
    return cast(IndexClass, getattr(import_module(module), attribute))
