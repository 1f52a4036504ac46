"""Adapters of Lookalike and of FAISS alone."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from engines import ATTRIBUTE, Answer, K, Passing
from lookalike.benchmarking.features import SPACES
from lookalike.benchmarking.searching import BATCH, WEIGHTS
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index import IndexSettings
from lookalike.index.faiss_candidates import candidate_count
from lookalike.index.ivf import Ivf
from lookalike.spaces import concatenate, slices, unit_rows
from lookalike.types import Float32, Int64, Item


def by_space(rows: Float32) -> dict[str, Float32]:
    """Split rows, (N, D), into unit vectors by space."""
    return {name: unit_rows(rows[:, place]) for name, place in slices(SPACES).items()}


class Lookalike:
    """A gallery in a folder."""

    def build(self, folder: Path, rows: Float32, lots: np.ndarray) -> None:
        """Add items in batches, each durable; the first filter makes the index of the attribute."""
        with LocalGallery(folder / "gallery", create=True) as gallery:
            for start in range(0, len(rows), BATCH):
                part = slice(start, start + BATCH)
                items = [
                    Item(id=str(number), photo=f"{number}.jpg", attributes={ATTRIBUTE: lot})
                    for number, lot in enumerate(lots[part].tolist(), start=start)
                ]
                gallery.add(items, by_space(rows[part]), spaces=SPACES)
            gallery.optimise()
            gallery.search(by_space(rows[:1]), SearchRequest(k=K, weights=WEIGHTS, where=f"{ATTRIBUTE} = 0"))

    def open(self, folder: Path) -> None:
        """Open the gallery."""
        self._gallery = LocalGallery(folder / "gallery")

    def prepared(self, query: Float32) -> dict[str, Float32]:
        """Return its unit vectors by space."""
        return by_space(query[None])

    def search(self, query: dict[str, Float32], effort: int, passing: Passing) -> Answer:
        """Search, and read the items; the effort is the number of probes."""
        where = None if passing is None else f"{ATTRIBUTE} >= {passing[0]} and {ATTRIBUTE} < {passing[1]}"
        found = self._gallery.search(query, SearchRequest(k=K, weights=WEIGHTS, where=where, probes=effort or None))
        rows = found.rows[0].tolist()
        items = self._gallery.items(rows, version=found.version)
        return [(int(items[row].id), items[row].attributes[ATTRIBUTE]) for row in rows]


class Bare:
    """What FAISS has no place for: attributes, and filters by them."""

    def prepared(self, query: Float32) -> Float32:
        """Return a query of one row."""
        return query[None]

    def load(self, folder: Path) -> None:
        """Read the index and the attributes."""
        faiss.omp_set_num_threads(1)
        self.index = faiss.read_index(str(folder / "index.faiss"))
        self.lots = np.load(folder / "lots.npy")

    def save(self, folder: Path, index: object, lots: np.ndarray) -> None:
        """Write both."""
        faiss.write_index(index, str(folder / "index.faiss"))
        np.save(folder / "lots.npy", lots)

    def selector(self, passing: Passing) -> tuple[object, object]:
        """Return a selector of the rows that pass, and the bits that it refers to."""
        if passing is None:
            return None, None
        bits = np.packbits((self.lots >= passing[0]) & (self.lots < passing[1]), bitorder="little")
        return faiss.IDSelectorBitmap(bits), bits

    def answer(self, rows: Int64) -> Answer:
        """Return rows and their attributes."""
        found = rows[rows >= 0]
        return list(zip(found.tolist(), self.lots[found].tolist(), strict=True))


class FaissLists(Bare):
    """FAISS with the lists and codes of `Ivf`, which scales rows as the drawn ones are scaled."""

    def build(self, folder: Path, rows: Float32, lots: np.ndarray) -> None:
        """Build the lists, and add the rows that score candidates again."""
        unit = concatenate(by_space(rows), SPACES)
        lists = Ivf.build(unit, spaces=SPACES, settings=IndexSettings())._lists
        self.save(folder, faiss.IndexRefineFlat(lists, faiss.swig_ptr(rows)), lots)

    def open(self, folder: Path) -> None:
        """Read the index."""
        self.load(folder)
        self._lists = faiss.downcast_index(self.index.base_index).nlist

    def search(self, query: Float32, effort: int, passing: Passing) -> Answer:
        """Search; the effort is the number of probes, and a filter looks into all lists."""
        selector, _bits = self.selector(passing)
        probes = effort if passing is None else self._lists
        inner = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        how = faiss.IndexRefineSearchParameters(k_factor=candidate_count(K) / K, base_index_params=inner)
        return self.answer(self.index.search(query, K, params=how)[1][0])


class FaissGraph(Bare):
    """FAISS's HNSW."""

    def build(self, folder: Path, rows: Float32, lots: np.ndarray) -> None:
        """Build the graph with FAISS's defaults."""
        index = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
        index.add(rows)
        self.save(folder, index, lots)

    def open(self, folder: Path) -> None:
        """Read the index."""
        self.load(folder)

    def search(self, query: Float32, effort: int, passing: Passing) -> Answer:
        """Search; the effort is the number of rows that a search keeps in view."""
        selector, _bits = self.selector(passing)
        how = faiss.SearchParametersHNSW(efSearch=effort, sel=selector)
        return self.answer(self.index.search(query, K, params=how)[1][0])
