"""Metrics against definitions that are written out word by word."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import ndcg_score

from lookalike.evaluation.metrics import (
    graded_relevance,
    hit_rate_at_k,
    mean_of,
    ndcg_at_k,
    order_by_score,
    precision_at_k,
)

relevances = hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(5, 8)))
grades = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.just(10)), elements=st.integers(0, 3))


@given(relevances, st.integers(1, 5))
def test_hit_rate_and_precision(relevant: np.ndarray, k: int) -> None:
    rows = relevant.tolist()
    assert mean_of(hit_rate_at_k(relevant, k)) == sum(any(row[:k]) for row in rows) / len(rows)
    assert math.isclose(
        mean_of(precision_at_k(relevant, k)), sum(sum(row[:k]) / k for row in rows) / len(rows), abs_tol=1e-12
    )


@given(grades, st.integers(1, 10))
def test_ndcg_agrees_with_scikit_learn(found: np.ndarray, k: int) -> None:
    ideal = -np.sort(-found, axis=1)
    places = np.arange(found.shape[1], 0, -1, dtype=float)  # the order of the answers as falling scores
    theirs = [ndcg_score([2.0**row - 1.0], [places], k=k) for row in found]
    assert math.isclose(mean_of(ndcg_at_k(found, ideal, k)), float(np.mean(theirs)), abs_tol=1e-9)


def test_a_query_without_anything_relevant_counts_as_zero() -> None:
    found = np.array([[3, 0], [0, 0]])
    assert ndcg_at_k(found, found, 2).tolist() == [1.0, 0.0]


def test_grades_count_leading_fields_that_agree() -> None:
    kind, color = np.array([0, 0, 1, -1]), np.array([5, 6, 5, 5])
    expected = [[2, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert graded_relevance([kind, color], [kind, color]).tolist() == expected


def test_what_is_kept_apart_never_answers() -> None:
    scores = np.array([[0.9, 0.5, 0.7]], dtype=np.float32)
    order, allowed = order_by_score(scores, np.array([[True, False, False]]), 3)
    assert order[0][allowed[0]].tolist() == [2, 1]
