"""What the gallery needs from an index, and the table of those there are.

An index is built over the concatenated unit rows of a gallery (see `lookalike.spaces`) and answers with positions in
them. It may find candidates however it likes; the scores it returns are always the inner products with the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from lookalike.errors import UnknownNameError
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
"""Every index by the name that callers use, as `module:Class`; a module is imported when its index is first used."""


class Index(Protocol):
    """Finds the rows of largest inner product. Safe to search from several threads at once."""

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find the k best rows of each query.

        Args:
            queries: (Q, D) float32, scaled by the weights as `spaces.scaled_query` does.
            k: How many, at least 1.
            allowed: (N,) bool; only rows marked true are answered. None allows all.
            probes: How many lists to look into, at least 1, where the index has lists; others pass it over. None
                takes the index's own number.

        Returns:
            Positions in the rows, (Q, k) int64, and their inner products, (Q, k) float32: best first, equal scores by
            position, no position twice. Where fewer than k rows are allowed the rest is -1 and -inf; for no other
            reason do fewer than k come back.
        """
        ...

    def save(self, path: Path) -> None:
        """Write the index, without the rows, to a file that `load` reads.

        The file is written in place: write to a temporary name and rename where a reader may be about.
        """
        ...


class IndexClass(Protocol):
    """What a class named in `INDEXES` offers to make its indexes."""

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Index:
        """Make an index over rows; see `build`."""
        ...

    @classmethod
    def load(
        cls, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
    ) -> Index:
        """Read an index that was made over these rows; see `load`."""
        ...


def build(name: str, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Index:
    """Make an index over rows, which it keeps a view of.

    Args:
        name: One of `INDEXES`.
        rows: N of D numbers, concatenated unit rows, usually memory-mapped; or a C-contiguous (N, D) float32 array.
        spaces: What the columns are.
        settings: What it is made with, and how far searches look.

    Raises:
        UnknownNameError: There is no such index.
    """
    return index_class(name).build(rows, spaces=spaces, settings=settings)


def load(
    name: str, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
) -> Index:
    """Read an index that `Index.save` wrote, mapping its bulk into memory.

    Args:
        name: The one it was built as.
        path: The file.
        rows: N of D numbers, the very rows that it was built over. That they are the same ones is for the caller to
            know; that their number and width are is checked.
        spaces: What the columns are.
        settings: Those that it was built with.

    Raises:
        UnknownNameError: There is no such index.
        IndexFileError: The file is missing, damaged, of another index, or of rows of another number or width.
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
