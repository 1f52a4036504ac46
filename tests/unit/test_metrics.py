"""Metrics, against literal implementations of their definitions and against trec_eval by ir-measures."""

from __future__ import annotations

import math
from collections.abc import Callable

import ir_measures
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ir_measures import AP, RR, IPrec, P, R, Rprec, Success, nDCG
from sklearn.metrics import ndcg_score

from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.figures import Metric, Ranking, named
from lookalike.evaluation.metrics import (
    average_precision,
    graded_relevance,
    hit_rate_at_k,
    interpolated_precision,
    map_at_r,
    mean_of,
    ndcg_at_k,
    order_by_score,
    precision_at_k,
    r_precision,
    rank_of_first,
    recall_at_k,
    reciprocal_rank,
)

relevances = hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 12)))
grades = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.just(10)), elements=st.integers(0, 3))
missed = st.integers(0, 3)  # relevant items that no answer shows
cuts = st.integers(1, 9)

Row = list[bool]


def slow_precision(row: Row, rank: int) -> float:
    """How many of the first answers are right, by how many these are."""
    right = 0
    for answer in row[:rank]:
        right += answer
    return right / rank


def slow_average_precision(row: Row, total: int, last: int) -> float:
    """The precision at every rank up to the last that holds a right answer; their sum by the right items."""
    summed = 0.0
    for rank in range(1, min(last, len(row)) + 1):
        if row[rank - 1]:
            summed += slow_precision(row, rank)
    return summed / total if total else 0.0


def slow_interpolated(row: Row, total: int, tenths: int) -> float:
    """The highest precision of all ranks at which at least that part of the right items is found."""
    best = 0.0
    for rank in range(1, len(row) + 1):
        if total and sum(row[:rank]) * 10 >= tenths * total:
            best = max(best, slow_precision(row, rank))
    return best


def slow_rank(row: Row) -> int:
    for rank, right in enumerate(row, start=1):
        if right:
            return rank
    return 0


SLOW: dict[str, Callable[[Row, int, int], float]] = {
    "hit_rate": lambda row, total, k: float(any(row[:k])),
    "recall": lambda row, total, k: sum(row[:k]) / total if total else 0.0,
    "precision": lambda row, total, k: slow_precision(row, k),
    "map": slow_average_precision,
    "map@r": lambda row, total, k: slow_average_precision(row, total, total),
    "r_precision": lambda row, total, k: sum(row[:total]) / total if total else 0.0,
    "mrr": lambda row, total, k: 1 / slow_rank(row) if slow_rank(row) else 0.0,
}


@pytest.mark.parametrize("kind", SLOW)
@given(relevant=relevances, extra=missed, k=cuts)
def test_each_metric_is_its_definition(kind: str, relevant: np.ndarray, extra: int, k: int) -> None:
    totals = relevant.sum(axis=1) + extra
    metric = Metric(kind, k if kind in ("hit_rate", "recall", "precision", "map") else None)  # type: ignore[arg-type]
    values = metric.values(Ranking(relevant.astype(np.int64), totals[:, None]))
    expected = [SLOW[kind](row, total, k) for row, total in zip(relevant.tolist(), totals.tolist(), strict=True)]
    assert values == pytest.approx(expected, abs=1e-12)
    assert ((values >= 0) & (values <= 1)).all()


@given(relevances, missed)
def test_the_recall_precision_curve_is_its_definition(relevant: np.ndarray, extra: int) -> None:
    totals = relevant.sum(axis=1) + extra
    curves = interpolated_precision(relevant, totals)
    for row, total, curve in zip(relevant.tolist(), totals.tolist(), curves.tolist(), strict=True):
        assert curve == pytest.approx([slow_interpolated(row, total, tenths) for tenths in range(11)], abs=1e-12)


@given(found=grades, extra=missed)
def test_everything_agrees_with_trec_eval(found: np.ndarray, extra: int) -> None:
    """Without ties: what comes first scores higher. Queries without anything right are 0 there as well."""
    relevant, totals = found > 0, (found > 0).sum(axis=1) + extra
    judged = {
        f"q{q}": {
            **{f"d{rank}": int(grade) for rank, grade in enumerate(row)},
            **{f"missed{number}": 1 for number in range(extra)},
        }
        for q, row in enumerate(found)
    }
    answered = {f"q{q}": {f"d{rank}": 100.0 - rank for rank in range(len(row))} for q, row in enumerate(found)}
    ideal = -np.sort(-np.pad(found, ((0, 0), (0, extra)), constant_values=1), axis=1)
    ours = {
        AP: average_precision(relevant, totals),
        AP @ 5: average_precision(relevant, totals, 5),
        P @ 5: precision_at_k(relevant, 5),
        R @ 5: recall_at_k(relevant, totals, 5),
        RR: reciprocal_rank(relevant),
        Rprec: r_precision(relevant, totals),
        Success @ 5: hit_rate_at_k(relevant, 5),
        nDCG(gains={0: 0, 1: 1, 2: 3, 3: 7}) @ 10: ndcg_at_k(found, ideal, 10),
        # Not at 0.7: its rounding takes two of three items for seven tenths of them.
        **{IPrec @ (t / 10): interpolated_precision(relevant, totals)[:, t] for t in (0, 5, 10)},
    }
    theirs = ir_measures.calc_aggregate(ours, judged, answered)
    for measure, values in ours.items():
        assert mean_of(values) == pytest.approx(theirs[measure], abs=1e-6), measure


@given(grades, st.integers(1, 10))
def test_ndcg_agrees_with_scikit_learn(found: np.ndarray, k: int) -> None:
    ideal = -np.sort(-found, axis=1)
    places = np.arange(found.shape[1], 0, -1, dtype=float)  # the order of the answers as falling scores
    theirs = [ndcg_score([2.0**row - 1.0], [places], k=k) for row in found]
    assert math.isclose(mean_of(ndcg_at_k(found, ideal, k)), float(np.mean(theirs)), abs_tol=1e-9)


@given(grades)
def test_the_ideal_order_follows_from_the_counts(found: np.ndarray) -> None:
    totals = np.stack([(found >= level).sum(axis=1) for level in (1, 2, 3)], axis=1)
    assert Ranking(found, totals).ideal(10).tolist() == (-np.sort(-found, axis=1)).tolist()


def test_a_query_without_anything_relevant_counts_as_zero() -> None:
    found = np.array([[3, 0], [0, 0]])
    assert ndcg_at_k(found, found, 2).tolist() == [1.0, 0.0]
    nothing = np.zeros((2, 4), dtype=bool)
    for metric in named("hit_rate@1", "recall@1", "precision@1", "map", "map@r", "r_precision", "mrr"):
        assert metric.values(Ranking(nothing.astype(int), np.zeros((2, 1), dtype=int))).tolist() == [0.0, 0.0]
    assert rank_of_first(nothing).tolist() == [0, 0]
    assert interpolated_precision(nothing, np.zeros(2, dtype=int)).sum() == 0


def test_rivals_differ_where_their_docstrings_say() -> None:
    """Two right items, found at ranks 2 and 3."""
    relevant, total = np.array([[False, True, True]]), np.array([2])
    assert hit_rate_at_k(relevant, 2).tolist() == [1.0]
    assert recall_at_k(relevant, total, 2).tolist() == [0.5]
    assert r_precision(relevant, total).tolist() == [0.5]
    assert map_at_r(relevant, total).tolist() == [0.25]  # rank 3 is after the second answer
    assert average_precision(relevant, total).tolist() == pytest.approx([(1 / 2 + 2 / 3) / 2])


def test_metrics_have_names_that_can_be_read_again() -> None:
    for name in ("hit_rate@10", "recall@1", "precision@5", "map", "map@10", "map@r", "r_precision", "mrr", "ndcg@10"):
        assert str(Metric.parse(name)) == name
    assert str(Metric("precision", 1, 1, "articleType")) == "precision@1[articleType]"
    with pytest.raises(UnknownNameError, match="did you mean 'recall'"):
        Metric.parse("recal@10")
    for wrong in ("hit_rate", "mrr@3", "precision@0", "precision@x"):
        with pytest.raises(UsageError):
            Metric.parse(wrong)


def test_grades_count_leading_fields_that_agree() -> None:
    kind, color = np.array([0, 0, 1, -1]), np.array([5, 6, 5, 5])
    expected = [[2, 1, 0, 0], [1, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert graded_relevance([kind, color], [kind, color]).tolist() == expected


def test_what_is_kept_apart_never_answers() -> None:
    scores = np.array([[0.9, 0.5, 0.7]], dtype=np.float32)
    order, allowed = order_by_score(scores, np.array([[True, False, False]]), 3)
    assert order[0][allowed[0]].tolist() == [2, 1]


def test_equal_scores_come_in_the_order_of_the_gallery_and_what_is_no_number_last() -> None:
    scores = np.array([[0.5, np.nan, 0.5, 0.9, 0.5]], dtype=np.float32)
    order, allowed = order_by_score(scores, np.zeros((1, 5), dtype=bool), 5)
    assert order.tolist() == [[3, 0, 2, 4, 1]]
    assert allowed.all()
