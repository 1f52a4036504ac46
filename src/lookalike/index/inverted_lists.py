"""Inverted lists with product-quantised codes, shared by `ivf` and `kmeans`.

Rows are grouped around centroids. Within a list each pair of columns is encoded in 4 bits by a product quantiser, laid
out so that a processor scores 32 rows at a time: two bits per number, a sixteenth of the rows' size. The codes only
select candidates; see `faiss_candidates`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Self

import faiss
import numpy as np

from lookalike.index import checksummed, faiss_candidates
from lookalike.index.allowed import Allowed
from lookalike.index.compact_codes import CompactCache
from lookalike.index.exact import Exact
from lookalike.index.faiss_candidates import (
    FEWEST_ROWS,
    Among,
    Asked,
    FaissIndex,
    FaissParameters,
    candidate_count,
)
from lookalike.index.later_codes import LaterCodes
from lookalike.index.mapped_lists import read_mapped, write_mapped
from lookalike.index.rows import Rows
from lookalike.index.scaling import Scale
from lookalike.index.settings import USUAL, IndexSettings
from lookalike.spaces import Space
from lookalike.types import Bool, Float32, Int64

PAIR = 2
"""Columns that share a code."""

BLOCK = 16_384
"""Rows that are scaled and added at a time."""

CODE_ROUNDS = 12
"""Iterations of k-means for each codebook; with 25, FAISS's default, recall@10 of the hardest rows was .955 instead of
.954."""

ASTRAY = 10
"""Factor by which the number of probes grows with `Scale.astray`."""

UNUSUAL = 20
"""Factor by which it grows with `Scale.unusual`. Among a million synthetic rows, in lists built for 1 : 0.3, recall@10
of .99 takes 22 lists with the default weights of 1 : 0.1, 55 with 1 : 0, 78 with 1 : 0.3 and 279 with 1 : 1."""

FEW = 10
"""Number of results that `Grouping.probes` are for; for k, if that is more, probes grow with the root of k / FEW."""

MOST_ASTRAY = 0.5
"""Largest `Scale.astray` of a query for which added rows are selected by their codes; beyond, where `auto` does not
choose lists either, all of them are scored. With colour alone, the codes of 12,000 rows held .80 of the ten best."""

ONE_BY_ONE = 11
"""FAISS's `implem` that scans lists for one query after the other: a tenth faster than its default, also for many
queries, since those do not probe the same lists."""

FILTERED = 3.6
"""Exponent of the growth of probes with the inverse of the fraction of rows that a filter passes: the ten nearest of
those are further away, and spread over more lists. Where half of a million rows pass, recall@10 is .96 with 100 lists,
.984 with 200 and .996 with 300."""

LOOK_FURTHER = 4
"""Factor by which a search probes more lists when they held too few rows."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """Parameters of grouping rows into lists.

    Attributes:
        lists: Number of lists.
        sample: Largest number of training rows per list.
        rounds: Iterations of k-means.
        columns: Columns by which rows are grouped; the others are scored, but do not affect the list.
        probes: Default number of lists to look into.
        widens: Probe more lists when a filter passes few rows, whose nearest are further from the query; when the
            weights are far from those that the lists are built for; and when the lists hold few rows. False probes
            only `probes` lists as long as they hold enough rows for an answer.
    """

    lists: int
    sample: int
    rounds: int
    columns: slice
    probes: int
    widens: bool

    def as_set(self, settings: IndexSettings, *, count: int) -> Grouping:
        """Replace the numbers of lists and probes by those of the settings, at most one list per row."""
        lists = min(settings.nlist or self.lists, max(1, count))
        return replace(self, lists=lists, probes=min(settings.nprobe or self.probes, lists))


class ListIndex(ABC):
    """Index of inverted lists; subclasses define the grouping of rows."""

    name: ClassVar[str]

    def __init__(
        self,
        rows: Float32 | Rows,
        *,
        spaces: Sequence[Space],
        lists: FaissIndex | None,
        settings: IndexSettings = USUAL,
        path: Path | None = None,
    ) -> None:
        self._rows = Rows.of(rows)
        self._spaces = tuple(spaces)
        self._scale = Scale(spaces, multiple=PAIR)
        self._grouping = self.grouping(len(rows), spaces).as_set(settings, count=len(rows))
        grouped = np.where(self._scale.within(self._grouping.columns), self._scale.weights, 0)
        self._row_length = np.sqrt(grouped.sum())
        self._per_square = np.divide(1, grouped, out=np.zeros_like(grouped), where=grouped > 0)
        self._exact = Exact(rows, spaces=spaces)
        self._lists = lists
        self._compact = CompactCache()
        self._later = None if lists is None else LaterCodes(lists, self._scale, self._spaces)
        self._path = path
        if lists is not None:
            lists.implem = ONE_BY_ONE

    @staticmethod
    @abstractmethod
    def grouping(count: int, spaces: Sequence[Space]) -> Grouping:
        """Parameters of grouping `count` rows."""

    @classmethod
    def build(cls, rows: Float32 | Rows, *, spaces: Sequence[Space], settings: IndexSettings = USUAL) -> Self:
        """Group the rows and encode them; see `lookalike.index.build`."""
        if len(rows) < FEWEST_ROWS:
            return cls(rows, spaces=spaces, lists=None)
        given = Rows.of(rows)
        given.check()
        scale = Scale(spaces, multiple=PAIR)
        grouping = cls.grouping(len(rows), spaces).as_set(settings, count=len(rows))
        size = min(len(rows), grouping.sample * grouping.lists)
        chosen = np.random.default_rng(0).choice(len(rows), size=size, replace=False)
        sample = scale.rows(given[np.sort(chosen)])
        quantizer = faiss.IndexFlatL2(scale.width)
        quantizer.add(centroids(sample, grouping))
        index = faiss.IndexIVFPQFastScan(
            quantizer, scale.width, grouping.lists, scale.width // PAIR, 4, faiss.METRIC_INNER_PRODUCT
        )
        index.pq.cp.min_points_per_centroid = 1  # FAISS warns on standard error about fewer than 39 points
        index.pq.cp.niter = CODE_ROUNDS
        with faiss_candidates.one_thread():  # for hundreds of tiny codebooks, waking threads takes longer than the work
            index.train(sample)
        for at in range(0, len(rows), BLOCK):
            index.add(scale.rows(given[at : at + BLOCK]))
        return cls(rows, spaces=spaces, lists=index, settings=settings)

    @classmethod
    def load(
        cls, path: Path, *, rows: Float32 | Rows, spaces: Sequence[Space], settings: IndexSettings = USUAL
    ) -> Self:
        """Read the lists from a file; see `lookalike.index.load`."""
        with checksummed.in_place(path):
            bulk = checksummed.check(path, name=cls.name, count=len(rows), spaces=spaces)
            if len(rows) < FEWEST_ROWS:
                return cls(rows, spaces=spaces, lists=None)
            width = Scale(spaces, multiple=PAIR).width
            lists = read_mapped(path, bulk=bulk, count=len(rows), width=width)
        return cls(rows, spaces=spaces, lists=lists, settings=settings, path=path)

    def save(self, path: Path) -> None:
        """Write the lists, without the rows, to a file."""
        bulk = 0
        if self._lists is None:
            path.write_bytes(b"")
        else:
            bulk = write_mapped(self._lists, path)
        checksummed.write_footer(path, name=self.name, count=len(self._rows), spaces=self._spaces, bulk=bulk)

    def search(
        self, queries: Float32, k: int, *, allowed: Bool | Allowed | None = None, probes: int | None = None
    ) -> tuple[Int64, Float32]:
        """Find about the k best rows of each query; see `Index.search`."""
        lists = self._lists
        squares = self._scale.squares(queries)
        lengths = self._grouped_lengths(squares)
        if lists is None or not lengths.all():
            return self._exact.search(queries, k, allowed=allowed)  # zeros in the grouped columns are near to no list
        # Queries get the length of rows in the grouped columns, so that they are assigned to lists as rows are.
        seen = self._scale.queries(queries, self._row_length / lengths)
        eager = probes is None and self._grouping.widens
        base, spread = float(self._grouping.probes if probes is None else probes), 1.0
        if eager:
            base *= math.sqrt(max(1, k / FEW))
            spread += ASTRAY * self._scale.astray(squares) + UNUSUAL * self._scale.unusual(squares)
        permitted = Allowed.of(allowed)
        compact = None
        if eager and permitted is not None and permitted.count > candidate_count(k):
            compact = self._compact.codes(lists, permitted, queries=len(queries), path=self._path)

        def find(asked: Asked, count: int, *, among: Among, effort: int) -> tuple[Int64, bool]:
            if compact is not None and permitted is not None:
                return compact.search(seen[asked], count, allowed=permitted), False
            first = round(base * (spread + among.share**-FILTERED - 1)) if eager else round(base)
            probed = min(lists.nlist, first * LOOK_FURTHER**effort)
            parameters = probing(probed)
            if among.selector is not None:
                parameters = faiss.SearchParametersIVF(nprobe=probed, sel=among.selector)
            return faiss_candidates.search(lists, seen[asked], count, parameters=parameters), probed < lists.nlist

        return faiss_candidates.answer(
            self._exact, self._rows, queries, k=k, allowed=permitted, find=find, eager=eager, path=self._path
        )

    def search_later(self, query: Float32, k: int, *, numbers: Int64, rows: Float32) -> tuple[Int64, Float32]:
        """Find about the k best of rows that were added later; see `SearchesLater.search_later`."""
        squares = self._scale.squares(query)
        total = np.square(np.sqrt(squares).sum())  # below 1 where a part of the query is zero
        served = self._grouped_lengths(squares).all() and self._scale.astray(squares / total) <= MOST_ASTRAY
        if self._later is None or not self._grouping.widens or not served:
            return Exact(rows, spaces=self._spaces).search(query, k)
        return self._later.search(query, k, numbers=numbers, rows=rows)

    def _grouped_lengths(self, squares: Float32) -> Float32:
        """Lengths of the scaled queries with these squares (see `Scale`) in the grouped columns: (Q,) float32."""
        lengths: Float32 = np.sqrt(squares @ self._per_square)
        return lengths


@lru_cache(maxsize=64)
def probing(probed: int) -> FaissParameters:
    """FAISS parameters for a search in `probed` lists; cached, since FAISS's Python layer creates them slowly."""
    return faiss.SearchParametersIVF(nprobe=probed)


def centroids(sample: Float32, grouping: Grouping) -> Float32:
    """Group rows by k-means.

    Args:
        sample: (B, D) float32 training rows, at least as many as lists.
        grouping: Number of lists and grouped columns.

    Returns:
        (lists, D) float32 centroids, zero in the other columns, so that these do not affect which is nearest.
    """
    grouped = np.ascontiguousarray(sample[:, grouping.columns])
    means = faiss.Kmeans(
        grouped.shape[1],
        grouping.lists,
        niter=grouping.rounds,
        seed=1,
        min_points_per_centroid=1,
        max_points_per_centroid=grouping.sample,
    )
    means.train(grouped)
    found = np.zeros((grouping.lists, sample.shape[1]), dtype=np.float32)
    found[:, grouping.columns] = means.centroids
    return found
