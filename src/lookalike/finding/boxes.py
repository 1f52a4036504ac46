"""Overlap of boxes (x1, y1, x2, y2), and non-maximum suppression."""

from __future__ import annotations

import numpy as np

from lookalike.types import Bool, Float32, Int64


def areas(boxes: Float32) -> Float32:
    """Areas (N,) of boxes (N, 4); 0 for boxes with x2 < x1 or y2 < y1."""
    sides: Float32 = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    area: Float32 = sides[:, 0] * sides[:, 1]
    return area


def shared_areas(first: Float32, second: Float32) -> Float32:
    """Intersection areas (N, M) of N boxes with M boxes."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    shared: Float32 = sides[..., 0] * sides[..., 1]
    return shared


def intersection_over_union(first: Float32, second: Float32) -> Float32:
    """Intersection over union (N, M), in [0, 1], of N boxes with M boxes; 0 where both are empty."""
    shared = shared_areas(first, second)
    union = areas(first)[:, None] + areas(second)[None, :] - shared
    overlap: Float32 = shared / np.maximum(union, np.finfo(np.float32).tiny)
    return overlap


def suppress_duplicates(boxes: Float32, scores: Float32, kinds: Int64, *, same: float, other: float) -> Int64:
    """Non-maximum suppression with a separate threshold for boxes of different kinds.

    Args:
        boxes: (N, 4).
        scores: (N,).
        kinds: (N,).
        same: Intersection over union above which the lower scored of two boxes of one kind is removed.
        other: Threshold for two boxes of different kinds.

    Returns:
        (N,) int64, positions of the remaining boxes, highest score first.
    """
    order = np.argsort(-scores, kind="stable")
    limit = np.where(kinds[:, None] == kinds[None, :], same, other)
    double: Bool = intersection_over_union(boxes, boxes) > limit
    kept: list[int] = []
    gone = np.zeros(len(boxes), dtype=bool)
    for place in order.tolist():
        if not gone[place]:
            kept.append(place)
            gone |= double[place]
    return np.array(kept, dtype=np.int64)
