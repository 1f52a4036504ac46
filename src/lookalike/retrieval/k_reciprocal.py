"""Re-ranking by k-reciprocal neighbours: two photos are alike when they are in each other's neighbourhoods.

Source: Zhong et al. 2017, Re-ranking Person Re-identification with k-reciprocal Encoding, equations 1 to 12, with the
cosine distance. Neighbourhoods are those among the photos that are given: the query and its candidates.
"""

from __future__ import annotations

import numpy as np

from lookalike.types import Bool, Float32, Int64

NEIGHBOURS, EXPANSION, TRUST = 10, 3, 0.9
"""The paper's k1, k2 and lambda, which had 20, 6 and 0.3; with those, one changed photo in five no longer finds its own
item on the dev photos. See docs/fusion.md."""


def reciprocal_scores(
    similarity: Float32, *, neighbours: int = NEIGHBOURS, expansion: int = EXPANSION, trust: float = TRUST
) -> Float32:
    """Score candidates by how much of their neighbourhood they share with the query.

    Args:
        similarity: (1 + N, 1 + N) float32 in [-1, 1], symmetrical: the query first, then the candidates.
        neighbours: The paper's k1: so many nearest, besides the photo itself, are a neighbourhood.
        expansion: The paper's k2: so many nearest, the photo itself among them, share their neighbourhoods; 1 is none.
        trust: The paper's lambda in [0, 1]: the share of the similarity itself in what is returned.

    Returns:
        (N,) float32, higher is better, at most 1: `(1 - trust) * (1 - Jaccard distance) + trust * similarity`.
    """
    order = np.argsort(-_self_first(similarity), axis=1, kind="stable")
    alike = mutual(order, neighbours)
    close = mutual(order, round(neighbours / 2))
    shared = alike.astype(np.float32) @ close.T.astype(np.float32)
    joined = alike & (shared >= close.sum(axis=1) * np.float32(2 / 3) - np.float32(1e-4))
    members = alike | ((joined.astype(np.float32) @ close.astype(np.float32)) > 0)
    encoded = np.where(members, np.exp(similarity - 1), np.float32(0))
    encoded /= encoded.sum(axis=1, keepdims=True)
    if expansion > 1:
        encoded = encoded[order[:, :expansion]].mean(axis=1)
    shared_part = np.minimum(encoded[0], encoded[1:]).sum(axis=1)
    jaccard = shared_part / (2 - shared_part)
    scores: Float32 = ((1 - trust) * jaccard + trust * similarity[0, 1:]).astype(np.float32)
    return scores


def mutual(order: Int64, count: int) -> Bool:
    """Which pairs are among each other's nearest, the photo itself and `count` more: (M, M) bool.

    Args:
        order: (M, M) photos by falling similarity, each one's own first.
        count: At least 0.
    """
    near = np.zeros(order.shape, dtype=np.bool_)
    np.put_along_axis(near, order[:, : count + 1], values=True, axis=1)
    return near & near.T


def _self_first(similarity: Float32) -> Float32:
    """The same, with every photo nearest to itself, also where it has a twin or rows of zeros."""
    own = similarity.copy()
    np.fill_diagonal(own, np.inf)
    return own
