"""The rules of `auto`."""

from __future__ import annotations

import subprocess
import sys

import pytest

from lookalike.index import choose
from lookalike.index.scaling import alignment
from lookalike.spaces import Space

SPACES = (Space("deep", 512, "tests"), Space("color", 96, "tests"))
LARGE = 139_709


def chosen(deep: float, color: float, *, count: int = LARGE, allowed: int | None = None, k: int = 10) -> str:
    return choose(count=count, allowed=allowed, weights={"deep": deep, "color": color}, spaces=SPACES, k=k)


@pytest.mark.parametrize(("deep", "color"), [(1, 0.3), (1, 0.1), (1, 0), (1, 1), (10, 3)])
def test_large_galleries_use_lists_for_the_weights_that_lists_serve(deep: float, color: float) -> None:
    assert chosen(deep, color) == "ivf"


@pytest.mark.parametrize(("deep", "color"), [(0.3, 1), (0, 1), (0.1, 1)])
def test_where_color_dominates_every_row_is_scored(deep: float, color: float) -> None:
    assert chosen(deep, color) == "exact"


def test_small_galleries_are_scanned() -> None:
    assert chosen(1, 0.3, count=9_999) == "exact"
    assert chosen(1, 0.3, count=10_000) == "ivf"


def test_filters_that_pass_little_are_scanned() -> None:
    assert chosen(1, 0.3, allowed=LARGE // 2) == "ivf"
    assert chosen(1, 0.3, allowed=LARGE // 100) == "exact"


def test_repeated_filters_use_the_codes_of_their_rows_unless_they_pass_very_few() -> None:
    weights = {"deep": 1.0, "color": 0.3}
    for allowed, expected in ((400, "exact"), (1400, "ivf"), (LARGE // 2, "ivf")):
        assert choose(count=LARGE, allowed=allowed, weights=weights, spaces=SPACES, k=10, repeated=True) == expected


def test_long_answers_are_scanned() -> None:
    assert chosen(1, 0.3, k=100) == "ivf"
    assert chosen(1, 0.3, k=10_000) == "exact"


def test_alignment_is_one_for_the_weights_of_the_lists_and_falls_away_from_them() -> None:
    defaults = alignment({"deep": 1.0, "color": 0.3}, SPACES)
    assert defaults == pytest.approx(1.0)
    assert alignment({"deep": 5.0, "color": 1.5}, SPACES) == pytest.approx(1.0)
    falling = [alignment({"deep": 1.0, "color": color}, SPACES) for color in (0.3, 0.6, 1.0, 3.0, 10.0)]
    assert falling == sorted(falling, reverse=True)
    assert alignment({"deep": 0.0, "color": 1.0}, SPACES) == pytest.approx((0.3 / 1.3) ** 0.5)


def test_indexes_work_beside_libraries_that_change_faiss() -> None:
    """In a process of its own, for the change stays: `search` of FAISS's indexes then takes no parameters."""
    program = """
import faiss.contrib.torch_utils
import numpy as np
from lookalike.index import build
from lookalike.spaces import Space, unit_rows

spaces = (Space("deep", 16, "test"),)
rows = unit_rows(np.random.default_rng(0).standard_normal((2000, 16)).astype(np.float32))
for name in ("kmeans", "ivf", "hnsw"):
    assert build(name, rows, spaces=spaces).search(rows[:5], 1)[0].ravel().tolist() == [0, 1, 2, 3, 4], name
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=120)
