"""Reciprocal rank fusion, against a fusion word by word."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lookalike.retrieval.fusion import fused

RANKING = st.lists(st.integers(1, 12), unique=True, max_size=8)


def slow_fused(rankings: list[list[int]]) -> list[tuple[int, float]]:
    """Every row with its sum, the largest first."""
    sums = {
        row: sum(1 / (60 + r.index(row) + 1) for r in rankings if row in r)
        for row in {row for ranking in rankings for row in ranking}
    }
    places = {row: [r.index(row) if row in r else len(sums) + 1 for r in rankings] for row in sums}
    return [(row, sums[row]) for row in sorted(sums, key=lambda row: (-sums[row], places[row], row))]


@given(visual=RANKING, words=RANKING)
def test_fusion_is_the_sum_of_reciprocal_ranks(visual: list[int], words: list[int]) -> None:
    rows, scores = fused([np.array(visual, dtype=np.int64), np.array(words, dtype=np.int64)])
    expected = slow_fused([visual, words])
    assert_array_equal(rows, [row for row, _ in expected])
    assert_allclose(scores, [score for _, score in expected], rtol=1e-6)


def test_what_both_have_comes_first_and_ties_are_the_first_rankings() -> None:
    rows, scores = fused([np.array([7, 3]), np.array([9, 3])])
    assert rows.tolist() == [3, 7, 9]
    assert scores.tolist() == pytest.approx([2 / 62, 1 / 61, 1 / 61])


def test_nothing_fuses_to_nothing() -> None:
    rows, scores = fused([np.empty(0, dtype=np.int64)])
    assert (rows.shape, rows.dtype, scores.shape, scores.dtype) == ((0,), np.int64, (0,), np.float32)
