"""Maximal marginal relevance: matches that are similar to the query, and not to the matches before them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from lookalike.types import Bool, Float32, Int64

Float64: TypeAlias = npt.NDArray[np.float64]


def maximal_marginal_relevance(values: Float32 | Float64, similarity: Float32, *, diversity: float) -> Int64:
    """Order candidates by how good they are and how different from those before: (N,) int64, places.

    Each step takes the candidate with the largest `(1 - diversity) * value - diversity * similarity`, where the
    similarity is the largest one with a candidate taken before; of equal ones the first. Both are scaled to 0..1 over
    the candidates, so that a half weighs them equally, whatever the scores and the model.

    Args:
        values: (N,), higher is better.
        similarity: (N, N) float32, symmetrical.
        diversity: From 0, the order of the values, to 1.

    Source: Carbonell and Goldstein 1998, The Use of MMR, Diversity-Based Reranking for Reordering Documents and
        Producing Summaries; lambda is 1 - diversity.
    """
    count = len(values)
    order = np.empty(count, dtype=np.int64)
    if not count:
        return order
    gain = (1.0 - diversity) * scaled(values)
    apart = ~np.eye(count, dtype=np.bool_)
    alike = scaled(similarity, among=apart) if count > 1 else np.zeros((1, 1))
    nearest = np.zeros(count, dtype=np.float64)
    left = np.ones(count, dtype=np.bool_)
    for place in range(count):
        marginal = np.where(left, gain - diversity * nearest, -np.inf)
        order[place] = taken = int(np.argmax(marginal))
        left[taken] = False
        nearest = np.maximum(nearest, alike[taken])
    return order


def scaled(values: Float32 | Float64, *, among: Bool | None = None) -> Float64:
    """Scale values linearly: the smallest is 0 and the largest 1; zeros if all are equal.

    Args:
        values: Any shape.
        among: Mask of the values that count for the smallest and the largest; None is all.
    """
    counted = values if among is None else values[among]
    low, high = float(counted.min()), float(counted.max())
    if high <= low:
        return np.zeros(values.shape, dtype=np.float64)
    return (values.astype(np.float64) - low) / (high - low)
