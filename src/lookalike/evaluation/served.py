"""Rankings as they are served: each query is a search by the retriever's code, with its index and refinement."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.ranking import RetrievalResult, evaluate_rankings
from lookalike.evaluation.task import Task, product_groups, value_of
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import ResolvedRequest, SearchRequest
from lookalike.retrieval.candidates import Products
from lookalike.retrieval.ranking import Ranking, deep, ranking_of
from lookalike.retrieval.refinement import Refinement
from lookalike.spaces import Space
from lookalike.types import JSON, Bool, Float32, Int64, Neighbours

AT_ONCE: Final = 1024
"""Items of one transaction."""


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How the gallery is searched, as in `lookalike search`.

    Attributes:
        index: `auto`, `exact`, `kmeans`, `ivf` or `hnsw`.
        probes: Number of lists that `kmeans` or `ivf` look into; None is the index's own.
        k: Number of matches of a search; the ranking goes on where it ends, as for the next pages.
        expand: Number of nearest items to add to the query for a second search; 0 is none.
        rerank: Number of best matches to sort by shared neighbours; 0 is none.
        group: `product` ranks products by their best photo; None ranks photos.
        alpha: Exponent of the scores in `expand`; None is that of a search.
        k1: Size of a neighbourhood in `rerank`; None is that of a search.
        k2: Number of photos whose neighbourhoods `rerank` averages; None is that of a search.
        trust: Share of the similarity itself in `rerank`; None is that of a search.

    Raises:
        UsageError: A value is out of range.
        UnknownNameError: There is no such index.
    """

    index: str = "auto"
    probes: int | None = None
    k: int = 10
    expand: int = 0
    rerank: int = 0
    group: str | None = None
    alpha: float | None = None
    k1: int | None = None
    k2: int | None = None
    trust: float | None = None

    def __post_init__(self) -> None:
        self.request()

    def request(self, weights: Mapping[str, float] | None = None) -> SearchRequest:
        """Return the request of a search with these options."""
        return SearchRequest(
            k=self.k,
            weights=weights,
            index=self.index,
            probes=self.probes,
            expand=self.expand,
            alpha=self.alpha,
            rerank=self.rerank,
            k1=self.k1,
            k2=self.k2,
            trust=self.trust,
            group=self.group,
        )

    def to_json(self) -> dict[str, JSON]:
        """Return the options that are not left out, for a report."""
        found: dict[str, JSON] = {"index": self.index, "k": self.k}
        used = Refinement.of(self.request())
        if self.probes is not None:
            found["probes"] = self.probes
        if self.expand:
            found |= {"expand": self.expand, "alpha": used.alpha}
        if self.rerank:
            found |= {"rerank": self.rerank, "k1": used.k1, "k2": used.k2, "trust": used.trust}
        if self.group is not None:
            found["group"] = self.group
        return found


def search_options(
    *,
    k: int | None,
    index: str | None,
    probes: int | None,
    group: str | None,
    expand: int,
    alpha: float | None,
    rerank: int,
    k1: int | None,
    k2: int | None,
    trust: float | None,
) -> SearchOptions | None:
    """Return the options of searches as `evaluate` gets them; None if there are none.

    Raises:
        UsageError: A value is out of range, or a parameter is given without what it belongs to.
        UnknownNameError: There is no such index.
    """
    options = SearchOptions(
        index=index or "auto",
        probes=probes,
        k=10 if k is None else k,
        expand=expand,
        alpha=alpha,
        rerank=rerank,
        k1=k1,
        k2=k2,
        trust=trust,
        group=group,
    )
    given = any(option is not None for option in (k, index, probes, group)) or expand or rerank
    return options if given else None


def check_search(protocol: Protocol, search: SearchOptions | None, *, metrics: Mapping[str, str] | None) -> None:
    """Check that searches as served go with a protocol, and with distances.

    Raises:
        UsageError: They do not.
    """
    if search is None:
        return
    if protocol.classifies or protocol.asks_in_words:
        raise UsageError(f"the protocol {protocol.name!r} has no photos as queries; leave the options of searches out")
    if protocol.name == "street2shop" and (
        search.expand or search.rerank or search.index not in (None, "auto", "exact")
    ):
        raise UsageError(
            "each category of street2shop is a retrieval of its own, so leave expand, rerank and index out"
        )
    if metrics:
        raise UsageError("searches as served are by the cosine; leave the metrics or the options of searches out")


def evaluate_served(
    rows: Mapping[str, Float32],
    *,
    spaces: Sequence[Space],
    absent: Bool,
    task: Task,
    weights: Mapping[str, float],
    options: SearchOptions,
    progress: Callable[[int, int], None] | None = None,
) -> RetrievalResult:
    """Evaluate searches as they are served.

    The photos of the task's gallery are put into a gallery of their own, with its indexes, and every query is one
    search there. An item of that gallery searches as an item. The ranking of a search is followed to its end: what an
    approximate index does not find counts as not found. With `group`, answers are products: each counts once, with
    the grade of its best photo.

    Args:
        rows: (n, D) float32 vectors of the task's items by space; zeros where there are none.
        spaces: Spaces of the vectors.
        absent: (n,) bool, items without vectors: they find nothing and are never found.
        task: Task to evaluate.
        weights: Weight of each space.
        options: How the gallery is searched.
        progress: Called with the number of queries answered and in all.

    Raises:
        UsageError: No photo of the gallery has vectors.
    """
    with filled_gallery(rows, task, spaces=spaces, absent=absent) as (gallery, columns):
        request = options.request(weights).resolved(gallery.spaces, stored=None)
        used = [name for name, weight in request.weights.items() if weight > 0]
        done = 0

        def rank(queries: Int64, silent: Bool) -> tuple[Int64, Bool, Float32]:
            nonlocal done
            order = np.empty(silent.shape, dtype=np.int64)
            answers = np.zeros(silent.shape, dtype=np.bool_)
            scores = np.full(silent.shape, np.nan, dtype=np.float32)
            for at, query in enumerate(queries.tolist()):
                found = np.empty(0, dtype=np.int64)
                if not absent[query]:
                    vectors = {name: rows[name][query][np.newaxis] for name in used}
                    is_item = bool((task.gallery == query).any())
                    ranking = whole_ranking(gallery, vectors, request, is_item=is_item)
                    places = _answers(ranking, columns, silent[at])
                    found = columns.of(ranking.rows[places])
                    scores[at, : len(found)] = ranking.neighbours.scores[0, places]
                others = np.setdiff1d(np.arange(silent.shape[1]), found)
                order[at] = np.concatenate([found, others])
                answers[at, : len(found)] = True
                done += 1
                if progress:
                    progress(done, len(task.queries))
            return order, answers, scores

        products = product_groups(task.items, unknown=task.unknown) if options.group else None
        return evaluate_rankings(rank, task=task, absent=absent, products=products)


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of the task's gallery by row of the gallery that is searched.

    Attributes:
        by_row: Column of each row number, int64; -1 where there is none.
    """

    by_row: Int64

    def of(self, rows: Int64) -> Int64:
        """Return the columns of rows, of the same shape."""
        found: Int64 = self.by_row[rows]
        return found


def whole_ranking(
    gallery: LocalGallery,
    vectors: Mapping[str, Float32],
    request: ResolvedRequest,
    *,
    is_item: bool,
) -> Ranking:
    """Rank the whole gallery for a query: the answer of a search, and what its next pages would have."""
    first = deep(request, beside=int(is_item))
    first = replace(first, k=max(first.k, first.rerank))
    ranking = ranking_of(gallery, vectors, first, is_item=is_item, text=None)
    while not ranking.is_complete:
        ranking.deepen()
    return ranking


def _answers(ranking: Ranking, columns: Columns, silent: Bool) -> Sequence[int]:
    """Return the places of the answers in a ranking, without photos that are none; of products, the best photo."""

    def good(neighbours: Neighbours) -> Bool:
        kept: Bool = ~silent[columns.of(neighbours.rows[0])]
        return kept

    if ranking.request.group is None:
        return np.flatnonzero(good(ranking.neighbours)).tolist()
    return Products(ranking, good, without=frozenset()).first(len(silent))


@contextmanager
def filled_gallery(
    rows: Mapping[str, Float32], task: Task, *, spaces: Sequence[Space], absent: Bool
) -> Iterator[tuple[LocalGallery, Columns]]:
    """Yield a gallery of the photos of a task's gallery that have vectors, and their columns.

    Unknown products are none there, so that their photos are not one product.

    Raises:
        UsageError: None has vectors.
    """
    present = np.flatnonzero(~absent[task.gallery])
    if not len(present):
        raise UsageError("no photo of the gallery has vectors")
    with TemporaryDirectory() as folder, LocalGallery(Path(folder) / "items", create=True) as gallery:
        for start in range(0, len(present), AT_ONCE):
            places = task.gallery[present[start : start + AT_ONCE]]
            items = [task.items[place] for place in places.tolist()]
            known = [replace(item, product=value_of(item, "product", unknown=task.unknown)) for item in items]
            plain = [replace(item, garments=(), attributes={}) for item in known]
            vectors = {name: part[places] for name, part in rows.items()}
            gallery.add(plain, vectors, spaces=spaces)
        gallery.optimise()
        found = gallery.search(
            {name: part[task.gallery[present[:1]]] for name, part in rows.items()},
            SearchRequest(k=len(present), index="exact", weights={space.name: 1.0 for space in spaces}),
        )
        numbers = found.rows[0]
        items_of = gallery.items(numbers.tolist())
        by_id = {task.items[task.gallery[column]].id: column for column in present.tolist()}
        by_row = np.full(int(numbers.max()) + 1, -1, dtype=np.int64)
        for row, item in items_of.items():
            by_row[row] = by_id[item.id]
        yield gallery, Columns(by_row)
