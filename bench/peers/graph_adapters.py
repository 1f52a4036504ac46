"""Adapters of libraries that hold a graph: hnswlib and usearch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from engines import Answer, K, Passing

Rows = npt.NDArray[np.float32]


class Hnswlib:
    """hnswlib: https://github.com/nmslib/hnswlib."""

    def __init__(self) -> None:
        import hnswlib

        self._library = hnswlib

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Build and save the graph."""
        index = self._library.Index(space="ip", dim=rows.shape[1])
        index.init_index(max_elements=len(rows), M=16, ef_construction=200)
        index.add_items(rows, np.arange(len(rows)))
        index.save_index(str(folder / "index.bin"))
        np.savez(folder / "rest.npz", lots=lots, width=rows.shape[1])

    def open(self, folder: Path) -> None:
        """Load the graph."""
        rest = np.load(folder / "rest.npz")
        self._lots: list[int] = rest["lots"].tolist()
        self._index = self._library.Index(space="ip", dim=int(rest["width"]))
        self._index.load_index(str(folder / "index.bin"))
        self._index.set_num_threads(1)

    def prepared(self, query: Rows) -> Rows:
        """Return the query itself."""
        return query

    def search(self, query: Rows, effort: int, passing: Passing) -> Answer:
        """Search; the effort is ef."""
        self._index.set_ef(effort)
        lots = self._lots
        if passing is None:
            found, _ = self._index.knn_query(query, K, num_threads=1)
        else:
            low, high = passing
            try:
                found, _ = self._index.knn_query(query, K, num_threads=1, filter=lambda row: low <= lots[row] < high)
            except RuntimeError as error:
                if "Cannot return the results" not in str(error):
                    raise
                return []  # it found fewer than K rows, and returns none of them
        return [(row, lots[row]) for row in found[0].tolist()]


class Usearch:
    """usearch: https://github.com/unum-cloud/USearch."""

    def __init__(self) -> None:
        from usearch.index import Index

        self._library = Index

    def build(self, folder: Path, rows: Rows, lots: npt.NDArray[np.int16]) -> None:
        """Build and save the graph."""
        index = self._library(ndim=rows.shape[1], metric="ip", dtype="f32")
        index.add(np.arange(len(rows)), rows)
        index.save(str(folder / "index.usearch"))
        np.save(folder / "lots.npy", lots)

    def open(self, folder: Path) -> None:
        """Map the file."""
        self._lots = np.load(folder / "lots.npy")
        self._index = self._library.restore(str(folder / "index.usearch"), view=True)

    def prepared(self, query: Rows) -> Rows:
        """Return the query itself."""
        return query

    def search(self, query: Rows, effort: int, passing: Passing) -> Answer:
        """Search; the effort is expansion_search."""
        if passing is not None:
            raise NotImplementedError("usearch has no filters in Python")
        self._index.expansion_search = effort
        found = self._index.search(query, K, threads=1).keys
        return list(zip(found.tolist(), self._lots[found].tolist(), strict=True))
