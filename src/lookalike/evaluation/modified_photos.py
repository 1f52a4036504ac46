"""Queries of a photo and words of a published benchmark, measured by the photos that they describe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.catalogue.benchmark import Benchmark
from lookalike.errors import UsageError
from lookalike.evaluation.metric_values import Figures, MetricValues, table_of
from lookalike.retrieval.text_query import WEIGHT, check_photo_model
from lookalike.spaces import resolve_weights, unit_rows
from lookalike.text.composition import compose
from lookalike.types import Bool, Float32, Int64, Item

if TYPE_CHECKING:
    from lookalike.evaluation.evaluator import EmbeddedItems
    from lookalike.text.encoder import TextEncoder

JOINED: Final = " and "
"""What joins the captions of a query to one text."""


def measure_modifications(
    items: Sequence[Item],
    embedded: EmbeddedItems,
    encoder: TextEncoder,
    *,
    benchmark: Benchmark,
    protocol: str,
    weights: Mapping[str, float] | None = None,
    text_weight: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[MetricValues, dict[str, float]]:
    """Measure queries of a photo and captions as their benchmark does.

    A query is composed and scored as a search with a photo and words is. One whose photo, or all whose right answers,
    have no vectors counts as 0.

    Args:
        items: n items of the split.
        embedded: Their vectors.
        encoder: Text encoder of the model of the vectors.
        benchmark: Benchmark with the queries.
        protocol: Name of the protocol.
        weights: Weights of the spaces by name; None takes those stored in the gallery, or the defaults.
        text_weight: Weight of the words beside the photo; None is that of a search.
        seed: Seed of the intervals.
        progress: Called with the number of queries done and in all.

    Returns:
        Values of the metrics, and the weights of the spaces.

    Raises:
        UsageError: There are no queries among the items.
        MismatchError: The text encoder belongs to another photo model.

    Source: Wu et al. 2021, Fashion IQ, section 5; `start_kit/eval.py` of its repository.
    """
    sides = benchmark.words
    assert sides is not None
    check_photo_model(encoder, embedded.spaces)
    places = {item.id: place for place, item in enumerate(items)}
    asked = [
        query
        for query in benchmark.modifications
        if query.split == sides.split and query.candidate in places and query.target in places
    ]
    if not asked:
        raise UsageError(f"the protocol {protocol!r} finds no queries among the {len(items):,} photos")
    used = {
        name: weight
        for name, weight in resolve_weights(weights, embedded.spaces, stored=embedded.stored_weights).items()
        if weight > 0
    }
    units = {name: unit_rows(embedded.rows[name]) for name in used}
    groups = np.array([str(item.attributes.get(sides.within)) for item in items])
    kinds = np.array([str(item.attributes.get(sides.same) if sides.same else item.id) for item in items])
    sizes = Counter(query.category for query in asked)
    weight = WEIGHT if text_weight is None else text_weight
    rows: list[Figures] = []
    unread = 0
    for number, query in enumerate(asked, start=1):
        said = encoder.read(JOINED.join(query.captions))
        unread += not said.known
        photo = {name: rows_of[[places[query.candidate]]] for name, rows_of in units.items()}
        vectors = compose(photo, said, encoder, labels=None, weight=weight)
        own = places[query.candidate]
        among = (groups == groups[own]) & ~embedded.absent
        among[own] &= sides.itself
        gallery = np.flatnonzero(among)
        right = kinds[gallery] == kinds[places[query.target]]
        rank = None if embedded.absent[own] else _rank(vectors, units, used, gallery, right=right)
        weighed = 1 / sizes[query.category] if sides.within else 1.0
        rows.append(_figures(rank, query.category, depths=sides.depths, weight=weighed))
        if progress:
            progress(number, len(asked))
    names = [f"hit_rate@{k}" for k in sides.depths]
    order = [*names, *(f"{name}[{category}]" for category in sizes for name in names)]
    metrics, values, counts = table_of(rows, order)
    notes = [f"weight of the words beside the photo: {weight:g}"]
    if unread:
        notes.append(f"{unread:,} queries have no word that the text encoder has learnt: their photo alone is asked")
    found = MetricValues(
        protocol=protocol,
        metrics=metrics,
        queries=[f"{query.candidate}: {JOINED.join(query.captions)}" for query in asked],
        gallery=len(items),
        by="category",
        categories=[query.category for query in asked],
        values=values,
        counts=counts,
        notes=tuple(notes),
        seed=seed,
    )
    return found, used


def _rank(
    vectors: Mapping[str, Float32],
    units: Mapping[str, Float32],
    weights: Mapping[str, float],
    gallery: Int64,
    *,
    right: Bool,
) -> int | None:
    """Rank of the first right answer in the gallery, from 1; of equal scores the earlier place is first.

    Args:
        vectors: (1, D) float32 of the query by space.
        units: (n, D) float32 unit vectors of the items by space.
        weights: Weights of the spaces.
        gallery: Places of the gallery.
        right: Whether each of them is right.

    Returns:
        The rank; None if no answer is right.
    """
    total = sum(weights.values())
    scores = sum(
        np.float32(weight / total) * (units[name][gallery] @ vectors[name][0]) for name, weight in weights.items()
    )
    ranks = np.flatnonzero(right[np.argsort(-np.asarray(scores), kind="stable")])
    return int(ranks[0]) + 1 if len(ranks) else None


def _figures(rank: int | None, category: str, *, depths: Sequence[int], weight: float) -> Figures:
    """Figures of a query, of all queries and of its category.

    Args:
        rank: Rank of its first right answer; None without one.
        category: Its category.
        depths: The k of the hit rates.
        weight: Weight of the query among all.
    """
    figures: dict[str, tuple[float, float]] = {}
    for k in depths:
        hit = 0.0 if rank is None or rank > k else 1.0
        figures[f"hit_rate@{k}"] = (hit, weight)
        figures[f"hit_rate@{k}[{category}]"] = (hit, 1.0)
    return figures
