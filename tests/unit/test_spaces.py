"""Spaces: scores against their definition, and checks of weights."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.spaces import Space, concatenate, resolve, resolve_weights, scaled_query, slices, unit_rows, width

SPACES = (Space("deep", 5, "m@1"), Space("color", 3, "c@1"))


def rows(seed: int, count: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    made = {space.name: random.standard_normal((count, space.dimension)).astype(np.float32) for space in SPACES}
    return {name: unit_rows(values) for name, values in made.items()}


@pytest.mark.parametrize(
    "weights", [{"deep": 1.0, "color": 0.3}, {"deep": 0.0, "color": 2.0}, {"deep": 7.0, "color": 7.0}]
)
def test_one_inner_product_is_the_weighted_mean_of_the_cosines(weights: dict[str, float]) -> None:
    queries, items = rows(0, 3), rows(1, 4)
    scores = scaled_query(queries, weights, SPACES) @ concatenate(items, SPACES).T
    for query in range(3):
        for item in range(4):
            cosines = {name: math.fsum(queries[name][query] * items[name][item]) for name in weights}
            expected = sum(weights[name] * cosines[name] for name in weights) / sum(weights.values())
            assert scores[query, item] == pytest.approx(expected, abs=1e-6)


def test_a_space_that_weighs_nothing_needs_no_vectors() -> None:
    query = {"deep": rows(0, 2)["deep"]}
    scaled = scaled_query(query, {"deep": 2.0, "color": 0.0}, SPACES)
    assert (scaled[:, 5:] == 0).all()
    assert np.array_equal(scaled[:, :5], query["deep"])


def test_unit_rows_leaves_a_row_of_zeros() -> None:
    made = unit_rows(np.array([[3, 4], [0, 0]], dtype=np.float32))
    np.testing.assert_allclose(made, [[0.6, 0.8], [0, 0]], atol=1e-7)


def test_places_of_the_spaces() -> None:
    assert slices(SPACES) == {"deep": slice(0, 5), "color": slice(5, 8)}
    assert width(SPACES) == 8


def test_a_space_is_found_by_its_name_or_a_beginning_that_only_it_has() -> None:
    spaces = (*SPACES, Space("color-original", 30, "o"))
    assert resolve("color", spaces).dimension == 3
    assert resolve("d", spaces).name == "deep"
    with pytest.raises(UnknownNameError):
        resolve("col", spaces)
    with pytest.raises(UnknownNameError, match="did you mean 'deep'"):
        resolve("deeep", spaces)


def test_weights_of_spaces_that_are_not_named_are_zero_and_defaults_are_whole() -> None:
    assert resolve_weights({"deep": 2}, SPACES) == {"deep": 2.0, "color": 0.0}
    assert resolve_weights(None, SPACES) == {"deep": 1.0, "color": 0.1}


@pytest.mark.parametrize("weights", [{"deep": -1}, {"deep": math.nan}, {"deep": math.inf}, {"deep": 0}, {}])
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        resolve_weights(weights, SPACES)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"color": "1"}, "the weight of 'color' must be a number of at least 0, got '1'"),
        ([1, 2], r"weights must be a dict such as {'deep': 1, 'color': 0.3}, got \[1, 2\]"),
        ("color", "weights must be a dict such as {'deep': 1, 'color': 0.3}, got 'color'"),
    ],
)
def test_weights_of_another_type_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        resolve_weights(weights, SPACES)


def test_weights_may_be_numbers_of_numpy() -> None:
    assert resolve_weights({"deep": np.float32(0.5), "color": np.int64(2)}, SPACES) == {"deep": 0.5, "color": 2.0}  # type: ignore[dict-item]


def test_weights_that_overflow_are_refused() -> None:
    with pytest.raises(UsageError, match="too large"):
        resolve_weights({"deep": 1e308, "color": 1e308}, SPACES)


def test_vectors_of_another_shape_are_refused() -> None:
    with pytest.raises(MismatchError, match=r"\(B, 3\)"):
        concatenate({"deep": rows(0, 2)["deep"], "color": np.zeros((2, 4), dtype=np.float32)}, SPACES)
    with pytest.raises(MismatchError, match="'color' needs vectors"):
        concatenate({"deep": rows(0, 2)["deep"]}, SPACES)
