"""PCA projections: whitening, fingerprints and storage."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from lookalike.errors import UsageError
from lookalike.projection import Projection
from lookalike.spaces import Space
from lookalike.tuning.pca import learn_projection


def uneven_rows(count: int = 400) -> np.ndarray:
    """Rows of 6 numbers that vary much in 3 directions, little in 2, and not at all in the last."""
    random = np.random.default_rng(3)
    spread = random.standard_normal((count, 6)) * [5, 3, 1, 0.1, 0.05, 0]
    turn, _ = np.linalg.qr(random.standard_normal((6, 6)))
    return (spread @ turn + random.standard_normal(6)).astype(np.float32)


def learned(rows: np.ndarray, dimension: int, *, whiten: float = 1.0) -> Projection:
    return learn_projection(lambda: iter([rows[:150], rows[150:]]), dimension=dimension, whiten=whiten)


def test_no_direction_outweighs_another_and_none_goes_with_another() -> None:
    rows = uneven_rows()
    projection = learned(rows, 3)
    loose = (rows - projection.mean) @ projection.components
    np.testing.assert_allclose(loose.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(loose.T, bias=True), np.eye(3), atol=2e-3)
    np.testing.assert_allclose(np.linalg.norm(projection.apply(rows), axis=1), 1, atol=1e-5)
    assert projection.kept == pytest.approx((25 + 9 + 1) / (25 + 9 + 1 + 0.01 + 0.0025), abs=0.002)


def test_without_whitening_as_many_directions_as_there_are_change_no_angle() -> None:
    rows = uneven_rows()
    centred = rows - rows.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    projected = learned(rows, 5, whiten=0.0).apply(rows)
    np.testing.assert_allclose(projected @ projected.T, centred @ centred.T, atol=1e-3)


def test_the_directions_are_those_of_a_singular_value_decomposition() -> None:
    rows = uneven_rows().astype(np.float64)
    _, _, directions = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)
    components = learned(rows.astype(np.float32), 4).components
    along = np.abs(directions[:4] @ components) / np.linalg.norm(components, axis=0)
    np.testing.assert_allclose(along, np.eye(4), atol=2e-3)


def test_what_is_kept_is_what_was_learned() -> None:
    rows = uneven_rows()
    projection = learned(rows, 4)
    again = Projection.from_bytes(projection.to_bytes())
    assert np.array_equal(projection.apply(rows), again.apply(rows))
    source = Space("deep", 6, "model@12345678")
    assert projection.space(source) == again.space(source)
    assert projection.space(source).dimension == 4
    assert projection.space(source).model_id.startswith("model@12345678/pca4@")
    assert projection.space(source) != learned(rows[:200], 4).space(source)


@pytest.mark.parametrize(
    ("count", "dimension", "reason"),
    [(4, 4, "more than 4 rows"), (400, 7, "1 to 6"), (400, 6, "vary in 5 directions"), (400, 0, "1 to 6")],
)
def test_what_cannot_be_learned_says_why(count: int, dimension: int, reason: str) -> None:
    def blocks() -> Iterator[np.ndarray]:
        yield uneven_rows()[:count]

    with pytest.raises(UsageError, match=reason):
        learn_projection(blocks, dimension=dimension)


def test_more_than_all_of_the_deviation_is_refused() -> None:
    with pytest.raises(UsageError, match="between 0 and 1"):
        learned(uneven_rows(), 2, whiten=1.5)
