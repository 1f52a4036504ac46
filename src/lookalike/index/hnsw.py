"""HNSW graph over rows quantised to 8 bits per number: fast for queries near the default weights, slow to build."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np

from lookalike.index import checksummed, faiss_candidates
from lookalike.index.allowed import Allowed
from lookalike.index.exact import Exact
from lookalike.index.faiss_candidates import FEWEST_ROWS, Among, Asked, FaissIndex
from lookalike.index.rows import Rows
from lookalike.index.scaling import Scale
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space
from lookalike.types import Bool, Float32, Int64

LANES = 16
"""Columns are padded to a multiple of this; FAISS scores 8-bit rows of other widths ten times slower."""

NEIGHBOURS = 32
"""Default number of edges of a row."""

BUILD_EFFORT = 40
"""Default number of candidates when a row is inserted into the graph (efConstruction)."""

LOOK_FURTHER = 4
"""Factor by which a search visits more rows when too few of them were allowed."""

LONGEST_LOOK = 4096
"""Largest number of rows that a search visits; beyond, the exact scan is as fast."""

TRAINING_ROWS = 65_536
"""Rows that train the quantiser."""

BLOCK = 65_536
"""Rows that are scaled and added at a time."""


class Hnsw:
    """Hierarchical navigable small-world graph.

    Source: Malkov and Yashunin 2016, https://arxiv.org/abs/1603.09320.
    """

    def __init__(
        self,
        rows: Float32 | Rows,
        *,
        spaces: Sequence[Space],
        graph: FaissIndex | None,
        settings: IndexSettings = USUAL,
        path: Path | None = None,
    ) -> None:
        self._rows = Rows.of(rows)
        self._spaces = tuple(spaces)
        self._scale = Scale(spaces, multiple=LANES)
        self._exact = Exact(rows, spaces=spaces)
        self._graph = graph
        self._least_look = settings.ef or 1
        self._path = path

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Hnsw:
        """Insert the rows into a graph; see `lookalike.index.build`."""
        if len(rows) < FEWEST_ROWS:
            return cls(rows, spaces=spaces, graph=None)
        given = Rows.of(rows)
        given.check()
        scale = Scale(spaces, multiple=LANES)
        edges, bits = settings.M or NEIGHBOURS, faiss.ScalarQuantizer.QT_8bit
        graph = faiss.IndexHNSWSQ(scale.width, bits, edges, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = settings.efConstruction or BUILD_EFFORT
        chosen = np.linspace(0, len(rows) - 1, num=min(len(rows), TRAINING_ROWS)).astype(np.int64)
        graph.train(scale.rows(given[chosen]))
        for at in range(0, len(rows), BLOCK):
            graph.add(scale.rows(given[at : at + BLOCK]))
        return cls(rows, spaces=spaces, graph=graph, settings=settings)

    @classmethod
    def load(
        cls, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
    ) -> Hnsw:
        """Read the graph from a file; see `lookalike.index.load`."""
        with checksummed.in_place(path):
            checksummed.check(path, name="hnsw", count=len(rows), spaces=spaces)
            if len(rows) < FEWEST_ROWS:
                return cls(rows, spaces=spaces, graph=None)
            graph = faiss_candidates.read(path, count=len(rows), width=Scale(spaces, multiple=LANES).width)
        return cls(rows, spaces=spaces, graph=graph, settings=settings, path=path)

    def save(self, path: Path) -> None:
        """Write the graph, without the rows, to a file."""
        if self._graph is None:
            path.write_bytes(b"")
        else:
            with faiss_candidates.name_of(path, mode="wb") as name:
                faiss.write_index(self._graph, name)
        checksummed.write_footer(path, name="hnsw", count=len(self._rows), spaces=self._spaces)

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | Allowed | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find about the k best rows of each query; see `Index.search`."""
        del probes  # has no lists
        graph = self._graph
        if graph is None or not queries.any(axis=1).all():
            return self._exact.search(queries, k, allowed=allowed)  # a query of zeros is equally near to all rows
        seen = self._scale.queries(queries)

        def find(asked: Asked, count: int, *, among: Among, effort: int) -> tuple[Int64, bool]:
            looked = max(count, self._least_look) * LOOK_FURTHER**effort
            parameters = faiss.SearchParametersHNSW(efSearch=looked, sel=among.selector)
            found = faiss_candidates.search(graph, seen[asked], count, parameters=parameters)
            return found, looked * LOOK_FURTHER <= LONGEST_LOOK

        return faiss_candidates.answer(
            self._exact, self._rows, queries, k=k, allowed=Allowed.of(allowed), find=find, eager=True, path=self._path
        )
