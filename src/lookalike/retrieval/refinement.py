"""Refinement of an answer: query expansion by the nearest neighbours, and re-ranking by k-reciprocal neighbours.

Only the order changes. Scores stay the weighted mean of the cosines with the query itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lookalike.retrieval.expansion import ALPHA, expand
from lookalike.retrieval.k_reciprocal import EXPANSION, NEIGHBOURS, TRUST, reciprocal_scores
from lookalike.retrieval.scoring import scored, unit_query
from lookalike.spaces import Space, concatenate, scaled_query
from lookalike.types import Bool, Float32, Int64, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest, SearchRequest


@dataclass(frozen=True, slots=True)
class Refinement:
    """Parameters of the refinement; the defaults are those of a search that gives none.

    Attributes:
        k1: Size of a neighbourhood in re-ranking, at least 1; see `reciprocal_scores`.
        k2: Number of nearest photos whose neighbourhoods are averaged, at least 1; 1 is none.
        trust: The paper's lambda of re-ranking, in [0, 1], share of the similarity itself.
        alpha: Exponent of the scores in query expansion, at least 0; 0 is the plain mean.
    """

    k1: int = NEIGHBOURS
    k2: int = EXPANSION
    trust: float = TRUST
    alpha: float = ALPHA

    @classmethod
    def of(cls, request: SearchRequest) -> Refinement:
        """Return the parameters of a search."""
        given = {name: getattr(request, name) for name in ("k1", "k2", "trust", "alpha")}
        return cls(**{name: value for name, value in given.items() if value is not None})


def search_refined(
    gallery: Gallery,
    query: Mapping[str, Float32],
    request: ResolvedRequest,
    *,
    is_item: bool = False,
) -> Neighbours:
    """Search for one query, and refine the answer by its neighbours.

    Args:
        gallery: Gallery to search.
        query: (1, D) float32 for each space with a weight above 0.
        request: Resolved request without metrics; its filter applies to the neighbours too.
        is_item: Whether the query is an item of the gallery, which is not used as its own neighbour. The copy of a
            query photo in the gallery is used: that keeps the copy the first match.

    Returns:
        Neighbours in the refined order, with their scores with the query itself, and `refined`, the values that they
        are ordered by.
    """
    k, weights, refinement = request.k, request.weights, Refinement.of(request)
    weighted = unit_query(query, weights)
    asked: Mapping[str, Float32] = weighted
    if request.expand:
        first = gallery.search(weighted, replace(request, k=request.expand + 1))
        units = gallery.unit_vectors(first.rows[0].tolist(), version=first.version)
        asked = expanded(weighted, first, units, count=request.expand, is_item=is_item, alpha=refinement.alpha)
    found = gallery.search(asked, replace(request, k=max(k, request.rerank)))
    rows = found.rows[0]
    rows = rows[rows >= 0]
    units = gallery.unit_vectors(rows.tolist(), version=found.version)
    refined = found.scores[0, : len(rows)]
    if request.rerank and len(rows):
        refined = reranked(asked, units, weights=weights, spaces=gallery.spaces, refinement=refinement)
    order = np.argsort(-refined, kind="stable")[:k]
    scores, by_space = scored({name: part[order] for name, part in units.items()}, weighted, weights)
    return replace(
        found,
        rows=rows[order][np.newaxis],
        scores=scores[np.newaxis],
        by_space={name: part[np.newaxis] for name, part in by_space.items()},
        refined=refined[order][np.newaxis],
    )


def expanded(
    query: Mapping[str, Float32],
    found: Neighbours,
    units: Mapping[str, Float32],
    *,
    count: int,
    is_item: bool,
    alpha: float,
) -> dict[str, Float32]:
    """Sum a query and its nearest neighbours in each space; every space takes the same neighbours.

    Args:
        query: (1, D) float32 unit vectors by space.
        found: Neighbours of the query.
        units: (K, D) float32 unit vectors of the neighbours by space.
        count: Number of neighbours to take.
        is_item: Skip the neighbour that is the query itself.
        alpha: Exponent of the scores.
    """
    usable = found.rows[0] >= 0
    if is_item:
        usable &= ~same_as(query, units)
    taken: Int64 = np.flatnonzero(usable)[:count]
    scores = found.scores[0, taken]
    return {name: expand(row[0], units[name][taken], scores, alpha=alpha)[np.newaxis] for name, row in query.items()}


def same_as(query: Mapping[str, Float32], units: Mapping[str, Float32]) -> Bool:
    """Mark rows that equal the query in every space: (K,) bool."""
    equal = [np.abs(units[name] - row).max(axis=1) < 1e-6 for name, row in query.items()]
    return np.asarray(np.all(equal, axis=0))


def reranked(
    query: Mapping[str, Float32],
    units: Mapping[str, Float32],
    *,
    weights: Mapping[str, float],
    spaces: Sequence[Space],
    refinement: Refinement,
) -> Float32:
    """Score candidates by their k-reciprocal neighbours: (N,) float32, higher is better.

    Args:
        query: (1, D) float32 unit vectors by space.
        units: (N, D) float32 unit vectors of the candidates by space.
        weights: Weight of each space.
        spaces: Spaces of the gallery.
        refinement: Parameters.
    """
    counted = [space for space in spaces if weights[space.name] > 0]
    together = {space.name: np.concatenate([query[space.name], units[space.name]]) for space in counted}
    scaled = scaled_query(together, {space.name: weights[space.name] for space in counted}, counted)
    return reciprocal_scores(
        scaled @ concatenate(together, counted).T,
        neighbours=refinement.k1,
        expansion=refinement.k2,
        trust=refinement.trust,
    )
