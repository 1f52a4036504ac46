"""Database augmentation and query expansion, against sums written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lookalike.retrieval.expansion import expand
from lookalike.spaces import unit_rows


def some_rows(seed: int, *shape: int) -> np.ndarray:
    rows = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return unit_rows(rows.reshape(-1, shape[-1])).reshape(shape)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 3.0])
def test_each_neighbour_counts_as_its_score_to_the_power_of_alpha(alpha: float) -> None:
    query, neighbours = some_rows(0, 4), some_rows(1, 3, 4)
    scores = np.array([0.9, 0.5, -0.2], dtype=np.float32)
    summed = [
        float(query[d]) + sum(0.9**alpha * n[0] + 0.5**alpha * n[1] for n in [neighbours[:, d]]) for d in range(4)
    ]
    length = math.sqrt(sum(value**2 for value in summed))
    made = expand(query, neighbours, scores, alpha=alpha)
    np.testing.assert_allclose(made, [value / length for value in summed], atol=1e-6)


def test_many_rows_at_once_are_each_as_alone() -> None:
    rows, neighbours = some_rows(2, 5, 6), some_rows(3, 5, 2, 6)
    scores = np.random.default_rng(4).uniform(-1, 1, (5, 2)).astype(np.float32)
    alone = [expand(rows[at], neighbours[at], scores[at]) for at in range(5)]
    np.testing.assert_allclose(expand(rows, neighbours, scores), alone, atol=1e-6)


def test_without_neighbours_a_row_stays_as_it_is() -> None:
    query = some_rows(5, 7)
    np.testing.assert_allclose(expand(query, np.empty((0, 7), np.float32), np.empty(0, np.float32)), query, atol=1e-6)


def test_a_pair_moves_towards_each_other() -> None:
    query, other = np.array([1, 0], dtype=np.float32), np.array([[0.6, 0.8]], dtype=np.float32)
    made = expand(query, other, np.array([1.0], dtype=np.float32))
    assert float(made @ other[0]) == pytest.approx(math.sqrt(0.8), abs=1e-6)  # half the angle of acos(0.6)
