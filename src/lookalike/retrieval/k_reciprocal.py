"""Re-ranking by k-reciprocal neighbours: photos are similar if they are in each other's neighbourhoods.

Source: Zhong et al. 2017, Re-ranking Person Re-identification with k-reciprocal Encoding, equations 1 to 12, with the
cosine distance. Neighbourhoods are computed among the query and its candidates.
"""

from __future__ import annotations

import numpy as np

from lookalike.types import Bool, Float32, Int64

NEIGHBOURS, EXPANSION, TRUST = 10, 3, 0.9
"""Defaults of k1, k2 and lambda. The paper has 20, 6 and 0.3; with those, one changed photo in five no longer finds its
own item on the dev photos. See docs/fusion.md."""


def reciprocal_scores(
    similarity: Float32, *, neighbours: int = NEIGHBOURS, expansion: int = EXPANSION, trust: float = TRUST
) -> Float32:
    """Score candidates by how much of their neighbourhood they share with the query.

    Args:
        similarity: (1 + N, 1 + N) float32 in [-1, 1], symmetrical: the query first, then the candidates.
        neighbours: The paper's k1, size of a neighbourhood without the photo itself.
        expansion: The paper's k2, number of nearest photos, including itself, whose neighbourhoods are averaged; 1 is
            none.
        trust: The paper's lambda in [0, 1], share of the similarity itself in the score.

    Returns:
        (N,) float32, higher is better, at most 1: `(1 - trust) * (1 - Jaccard distance) + trust * similarity`.
    """
    order = np.argsort(-_self_first(similarity), axis=1, kind="stable")
    near = mutual(order, neighbours)
    close = mutual(order, round(neighbours / 2))
    shared = near.astype(np.float32) @ close.T.astype(np.float32)
    joined = near & (shared >= close.sum(axis=1) * np.float32(2 / 3) - np.float32(1e-4))
    members = near | ((joined.astype(np.float32) @ close.astype(np.float32)) > 0)
    encoded = np.where(members, np.exp(similarity - 1), np.float32(0))
    encoded /= encoded.sum(axis=1, keepdims=True)
    if expansion > 1:
        # One neighbour of all photos at a time: all at once would take (M, k2, M) numbers.
        summed = encoded[order[:, 0]]
        for place in range(1, min(expansion, len(order))):
            summed += encoded[order[:, place]]
        encoded = summed / np.float32(min(expansion, len(order)))
    shared_part = np.minimum(encoded[0], encoded[1:]).sum(axis=1)
    jaccard = shared_part / (2 - shared_part)
    scores: Float32 = ((1 - trust) * jaccard + trust * similarity[0, 1:]).astype(np.float32)
    return scores


def mutual(order: Int64, count: int) -> Bool:
    """Pairs of photos that are among each other's `count` nearest, and each photo with itself: (M, M) bool.

    Args:
        order: (M, M) photos by descending similarity, each photo first in its own row.
        count: Number of nearest photos, at least 0.
    """
    near = np.zeros(order.shape, dtype=np.bool_)
    np.put_along_axis(near, order[:, : count + 1], values=True, axis=1)
    return near & near.T


def _self_first(similarity: Float32) -> Float32:
    """Similarity with an infinite diagonal: each photo is nearest to itself, also with twins or zero vectors."""
    own = similarity.copy()
    np.fill_diagonal(own, np.inf)
    return own
