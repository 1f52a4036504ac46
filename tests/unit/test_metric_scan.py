"""The scan with SciPy's metrics, against one call of SciPy on all rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from lookalike.errors import UnknownNameError, UsageError
from lookalike.index import METRICS, metric_scan
from lookalike.types import Float32

COUNT = 400
DEEP, COLOR = 9, 6


def features(count: int, dimension: int, *, seed: int) -> Float32:
    """Non-negative with many zeros, as metrics of shares and of truth values want it, and never a row of zeros."""
    random = np.random.default_rng(seed)
    values = random.random((count, dimension), dtype=np.float32)
    values[random.random((count, dimension)) < 0.4] = 0
    values[:, 0] += 0.1
    return values


@pytest.fixture
def rows() -> dict[str, Float32]:
    return {"deep": features(COUNT, DEEP, seed=0), "color": features(COUNT, COLOR, seed=1)}


@pytest.fixture
def queries() -> dict[str, Float32]:
    return {"deep": features(3, DEEP, seed=2), "color": features(3, COLOR, seed=3)}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many blocks, the last of them not full."""
    monkeypatch.setattr("lookalike.index.scipy_metrics.BLOCK_BYTES", 8 * (DEEP + COLOR) * 37)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("filtered", [False, True])
def test_distances_are_those_of_one_call_of_cdist(
    metric: str, filtered: bool, queries: dict[str, Float32], rows: dict[str, Float32]
) -> None:
    allowed = np.arange(COUNT) % 3 > 0 if filtered else np.ones(COUNT, dtype=np.bool_)
    places = np.flatnonzero(allowed)
    positions, scores, by_space = metric_scan(
        queries, rows, metrics={"deep": metric}, weights={"deep": 1.0}, k=len(places), allowed=allowed
    )
    for query in range(3):
        expected = np.full(COUNT, np.nan)
        expected[places] = cdist(queries["deep"][query : query + 1], rows["deep"][places], metric)[0]
        assert sorted(positions[query].tolist()) == places.tolist()
        np.testing.assert_allclose(-scores[query], expected[positions[query]], atol=1e-5)
        np.testing.assert_array_equal(by_space["deep"][query], scores[query])
        assert (np.diff(scores[query]) <= 0).all()


def test_ranks_as_the_original_did(queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    positions, scores, by_space = metric_scan(
        queries, rows, metrics={"color": "cityblock"}, weights={"deep": 1.0, "color": 0.1}, k=5
    )
    for query in range(3):
        deep = cdist(queries["deep"][query : query + 1], rows["deep"], "euclidean")[0]
        color = cdist(queries["color"][query : query + 1], rows["color"], "cityblock")[0]
        original = -(deep + 0.1 * color)
        order = sorted(range(COUNT), key=lambda position: -original[position])[:5]
        assert positions[query].tolist() == order
        np.testing.assert_allclose(scores[query], original[order], atol=1e-6)
        np.testing.assert_allclose(by_space["deep"][query], -deep[order], atol=1e-6)
        np.testing.assert_allclose(by_space["color"][query], -color[order], atol=1e-6)


def test_a_space_without_weight_is_not_looked_at(queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    del queries["color"], rows["color"]
    _, _, by_space = metric_scan(queries, rows, metrics={}, weights={"deep": 2.0, "color": 0.0}, k=3)
    assert set(by_space) == {"deep"}


@pytest.mark.parametrize("metric", ["euclidean", "seuclidean", "mahalanobis"])
def test_rows_in_parts_are_counted_through(metric: str, queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    allowed = np.arange(COUNT) % 5 != 0
    parts = [{name: values[start:end] for name, values in rows.items()} for start, end in ((0, 150), (150, 400))]
    arguments = {"metrics": {"deep": metric}, "weights": {"deep": 1.0, "color": 0.3}, "k": 20, "allowed": allowed}
    whole = metric_scan(queries, rows, **arguments)
    split = metric_scan(queries, parts, **arguments)
    np.testing.assert_array_equal(whole[0], split[0])
    np.testing.assert_allclose(whole[1], split[1], rtol=1e-6)


@pytest.mark.parametrize("metric", ["euclidean", "seuclidean", "mahalanobis"])
def test_a_query_is_answered_the_same_alone_and_among_others(
    metric: str, queries: dict[str, Float32], rows: dict[str, Float32]
) -> None:
    together = metric_scan(queries, rows, metrics={"deep": metric}, weights={"deep": 1.0}, k=10)
    for query in range(3):
        one = {name: values[query : query + 1] for name, values in queries.items()}
        alone = metric_scan(one, rows, metrics={"deep": metric}, weights={"deep": 1.0}, k=10)
        np.testing.assert_array_equal(alone[0][0], together[0][query])
        np.testing.assert_array_equal(alone[1][0], together[1][query])


def test_equal_distances_come_by_position() -> None:
    rows = {"deep": np.repeat(features(1, DEEP, seed=4), 100, axis=0)}
    positions, _, _ = metric_scan({"deep": rows["deep"][:1]}, rows, metrics={}, weights={"deep": 1.0}, k=60)
    assert positions[0].tolist() == list(range(60))


def test_a_row_whose_distance_is_no_number_is_left_out(rows: dict[str, Float32]) -> None:
    rows["deep"][5:] = 0
    positions, scores, by_space = metric_scan(
        {"deep": rows["deep"][:1]}, rows, metrics={"deep": "cosine"}, weights={"deep": 1.0}, k=7
    )
    assert sorted(positions[0].tolist()) == [-1, -1, 0, 1, 2, 3, 4]
    assert scores[0, 5:].tolist() == [-np.inf] * 2
    assert np.isnan(by_space["deep"][0, 5:]).all()


def test_nothing_allowed_finds_nothing(queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    nothing = np.zeros(COUNT, dtype=np.bool_)
    positions, scores, _ = metric_scan(queries, rows, metrics={}, weights={"deep": 1.0}, k=2, allowed=nothing)
    assert positions.tolist() == [[-1, -1]] * 3
    assert (scores == -np.inf).all()


def test_other_spellings_that_cdist_takes(queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    for spelling, metric in (
        ("Matching", "hamming"),
        ("cos", "cosine"),
        ("SE", "seuclidean"),
        ("mahal", "mahalanobis"),
    ):
        one, other = (
            metric_scan(queries, rows, metrics={"deep": name}, weights={"deep": 1.0}, k=10)
            for name in (spelling, metric)
        )
        np.testing.assert_array_equal(one[0], other[0])


def test_an_unknown_metric_is_named_with_the_nearest(queries: dict[str, Float32], rows: dict[str, Float32]) -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'euclidean'"):
        metric_scan(queries, rows, metrics={"deep": "euclidian"}, weights={"deep": 1.0}, k=2)


@pytest.mark.parametrize("metric", ["seuclidean", "mahalanobis"])
def test_rows_that_a_metric_cannot_be_estimated_from(
    metric: str, queries: dict[str, Float32], rows: dict[str, Float32]
) -> None:
    rows["deep"][:] = queries["deep"][:] = 0.5
    with pytest.raises(UsageError, match=f"{metric} needs"):
        metric_scan(queries, rows, metrics={"deep": metric}, weights={"deep": 1.0}, k=2)
    few = np.arange(COUNT) < 0
    with pytest.raises(UsageError, match=f"{metric} needs"):
        metric_scan(queries, rows, metrics={"deep": metric}, weights={"deep": 1.0}, k=2, allowed=few)
