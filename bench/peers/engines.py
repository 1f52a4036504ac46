"""The engines that are compared, and what an adapter of one has to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

K = 10
ATTRIBUTE = "lot"
"""Whole number of each row, below 1,000, that answers have and filters compare."""

Passing = tuple[int, int] | None
"""Filter: the attribute is at least the first number and below the second; None passes all rows."""

Answer = list[tuple[int, int]]
"""Row and attribute of each match, best first."""


class Adapter(Protocol):
    """An engine as the benchmark uses it."""

    def build(self, folder: Path, rows: npt.NDArray[np.float32], lots: npt.NDArray[np.int16]) -> None:
        """Write rows, (N, D) float32 of length 1, with their attributes and all indexes to a folder."""
        ...

    def open(self, folder: Path) -> None:
        """Open what `build` wrote in another process."""
        ...

    def prepared(self, query: npt.NDArray[np.float32]) -> object:
        """Return a query, (D,) float32 of length 1, in the form that the engine takes."""
        ...

    def search(self, query: Any, effort: int, passing: Passing) -> Answer:  # noqa: ANN401 - what `prepared` returned
        """Find the `K` rows of the highest inner product with a query from `prepared`."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine in the comparison.

    Attributes:
        name: Name in tables and pictures.
        adapter: Module and class of the adapter.
        library: Distribution whose version is reported.
        effort: Name of the search parameter that trades time for recall; empty for none.
        efforts: Values of that parameter, ascending; 0 leaves the choice to the engine.
        filters: Whether it can filter.
        peer: Whether it is in the environment of the peers, and not in that of the tests.
        how: How it is set up, for the page.
    """

    name: str
    adapter: str
    library: str
    effort: str
    efforts: tuple[int, ...]
    how: str
    filters: bool = True
    peer: bool = True


OURS = "Lookalike"
PROBES = (2, 4, 8, 16, 32, 64)
VISITED = (10, 20, 40, 80, 160, 320)

ENGINES: tuple[Engine, ...] = (
    Engine(
        OURS,
        "own_adapters:Lookalike",
        "lookalike",
        "probes",
        (*PROBES, 0),
        "a gallery in a folder, `Gallery.search` with the default index, and `Gallery.items`",
        peer=False,
    ),
    Engine(
        "FAISS IVF-RaBitQ",
        "own_adapters:FaissLists",
        "faiss-cpu",
        "nprobe",
        PROBES,
        "the same lists and codes as Lookalike, and `IndexRefineFlat` over float32 rows; attributes are an array of "
        "NumPy, and a filter is an `IDSelectorBitmap`",
        peer=False,
    ),
    Engine(
        "FAISS HNSW",
        "own_adapters:FaissGraph",
        "faiss-cpu",
        "efSearch",
        VISITED,
        "`IndexHNSWFlat`, M 32, efConstruction 40; attributes and filters as above",
        peer=False,
    ),
    Engine(
        "hnswlib",
        "graph_adapters:Hnswlib",
        "hnswlib",
        "ef",
        VISITED,
        "inner product, M 16, ef_construction 200; attributes are a list; a filter is a function of Python, called for "
        "each row that is visited",
    ),
    Engine(
        "usearch",
        "graph_adapters:Usearch",
        "usearch",
        "expansion_search",
        VISITED,
        "inner product, float32, connectivity 16, expansion_add 128, file mapped; attributes are an array; its Python "
        "package has no filters",
        filters=False,
    ),
    Engine(
        "Qdrant Edge",
        "database_adapters:QdrantEdge",
        "qdrant-edge-py",
        "hnsw_ef",
        VISITED,
        "dot product, m 16, ef_construct 100, an integer payload index made before the points, `optimize` after them",
    ),
    Engine(
        "LanceDB",
        "database_adapters:LanceDB",
        "lancedb",
        "nprobes",
        (1, 2, 4, 8, 16, 32),
        "IVF_HNSW_SQ with a partition for about 4,096 rows, refine_factor 3; a BTree index of the attribute, and "
        "filters before the search",
    ),
    Engine(
        "Chroma",
        "database_adapters:Chroma",
        "chromadb",
        "ef_search",
        (10, 40, 160),
        "a persistent client, inner product, max_neighbors 16, ef_construction 100; ef_search, which belongs to the "
        "collection, is changed between turns",
    ),
    Engine(
        "sqlite-vec",
        "database_adapters:SqliteVec",
        "sqlite-vec",
        "",
        (0,),
        "`vec0`, cosine, the attribute as a metadata column; its release has exact search only",
    ),
)
