"""How many lists a search looks into: by the weights, the number of results and the filter, as docs/indexes.md says."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.index import Allowed, build, inverted_lists
from lookalike.index.inverted_lists import ASTRAY, FILTERED, UNUSUAL, ListIndex
from lookalike.index.ivf import FEWEST_PROBES
from lookalike.spaces import Space, scaled_query, unit_rows
from lookalike.types import Float32

SPACES = (Space("deep", 24, "tests"), Space("color", 8, "tests"))
ROWS: Float32 = np.concatenate(
    [unit_rows(np.random.default_rng(3).standard_normal((90_000, size), dtype=np.float32)) for size in (24, 8)], axis=1
)


@pytest.fixture(scope="module")
def index() -> ListIndex:
    built = build("ivf", ROWS, spaces=SPACES)
    assert isinstance(built, ListIndex)
    return built


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of lists that searches look into."""
    seen: list[int] = []

    def recorded(count: int) -> object:
        seen.append(count)
        return made(count)

    made = inverted_lists.probing
    monkeypatch.setattr(inverted_lists, "probing", recorded)
    return seen


def query(deep: float, color: float) -> Float32:
    parts = {"deep": ROWS[:1, :24], "color": ROWS[:1, 24:]}
    return scaled_query({name: parts[name] for name in parts if name == "deep" or color}, weights(deep, color), SPACES)


def weights(deep: float, color: float) -> dict[str, float]:
    return {"deep": deep, "color": color}


@pytest.mark.parametrize(
    ("color", "share", "default"), [(0.1, 1 / 11, 1 / 11), (0.3, 0.3 / 1.3, 1 / 11), (0, 0, 1 / 11)]
)
def test_probes_grow_with_the_distance_of_the_weights(
    index: ListIndex, probed: list[int], color: float, share: float, default: float
) -> None:
    built = np.array([1, 0.3]) / 1.3
    beyond = np.maximum(0, np.array([1 - share, share]) - built)
    spread = 1 + ASTRAY * (beyond**2 / built).sum() + UNUSUAL * abs(share - default)
    index.search(query(1, color), 10)
    assert probed == [round(FEWEST_PROBES * spread)]


def test_probes_grow_with_the_results_and_the_inverse_of_the_filter(index: ListIndex, probed: list[int]) -> None:
    asked = query(1, 0.1)
    base = 1 + ASTRAY * (1 / 1.1 - 1 / 1.3) ** 2 * 1.3
    allowed = Allowed(np.arange(len(ROWS)) % 5 > 0)
    for k in (1, 10, 40):
        index.search(asked, k)
    index.search(asked, 10, allowed=allowed)
    index.search(asked, 40, allowed=allowed, probes=7)
    filtered = FEWEST_PROBES * (base + 0.8**-FILTERED - 1)
    assert probed == [round(FEWEST_PROBES * base)] * 2 + [round(2 * FEWEST_PROBES * base), round(filtered), 7]
