"""Scores of rows: the weighted mean of their cosines with the query."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lookalike.spaces import unit_rows
from lookalike.types import Float32


def unit_query(query: Mapping[str, Float32], weights: Mapping[str, float]) -> dict[str, Float32]:
    """Unit vectors of a query, (1, D) float32, for each of its spaces with a weight above 0."""
    return {name: unit_rows(np.asarray(rows, dtype=np.float32)) for name, rows in query.items() if weights[name]}


def scored(
    units: Mapping[str, Float32], query: Mapping[str, Float32], weights: Mapping[str, float]
) -> tuple[Float32, dict[str, Float32]]:
    """Score rows: (N,) float32, and the cosines by space, (N,) float32 each.

    Args:
        units: (N, D) float32 unit vectors of the rows by space.
        query: (1, D) float32 unit vectors of the query by space.
        weights: Weight of each space.
    """
    by_space = {name: np.vecdot(units[name], row) for name, row in query.items()}
    total = sum(weights[name] for name in query)
    scores = sum(part * np.float32(weights[name] / total) for name, part in by_space.items())
    return np.asarray(scores, dtype=np.float32), by_space
