"""Rows that were added after the index: found by their codes, with exact scores, whatever was removed meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index import build, later_codes
from lookalike.index.inverted_lists import ListIndex
from lookalike.index.later_codes import AT_ONCE, LaterCodes
from lookalike.spaces import Space, scaled_query, unit_rows
from lookalike.types import Float32, Int64, Item

SPACES = (Space("deep", 33, "tests"), Space("color", 8, "tests"))
WEIGHTS = {"deep": 1.0, "color": 0.3}
QUERIES = 30


def drawn(count: int, seed: int) -> Float32:
    random = np.random.default_rng(seed)
    products = np.random.default_rng(99).standard_normal((300, 41), dtype=np.float32)
    rows = products[random.integers(0, 300, count)] + 0.5 * random.standard_normal((count, 41), dtype=np.float32)
    return np.concatenate([unit_rows(rows[:, :33]), unit_rows(rows[:, 33:])], axis=1)


def parts(rows: Float32) -> dict[str, Float32]:
    return {"deep": rows[:, :33], "color": rows[:, 33:]}


LATER = drawn(3000, seed=5)
ASKED: Float32 = scaled_query(parts(drawn(QUERIES, seed=1)), WEIGHTS, SPACES)


@pytest.fixture(autouse=True)
def _few_without_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(later_codes, "WITHOUT_CODES", 100)


@pytest.fixture(scope="module")
def built() -> ListIndex:
    index = build("ivf", drawn(2000, seed=0), spaces=SPACES)
    assert isinstance(index, ListIndex)
    return index


@pytest.fixture
def index(built: ListIndex) -> ListIndex:
    built._later = LaterCodes(built._lists, built._scale, SPACES)
    return built


def check(index: ListIndex, numbers: Int64, rows: Float32, queries: Float32 = ASKED) -> None:
    expected = build("exact", rows, spaces=SPACES).search(queries, 10)
    for number, query in enumerate(queries):
        positions, scores = index.search_later(query[np.newaxis], 10, numbers=numbers, rows=rows)
        assert positions[0].tolist() == expected[0][number].tolist()
        assert scores[0].tolist() == expected[1][number].tolist()


def encoded(index: ListIndex) -> int:
    assert index._later is not None
    return len(index._later)


def test_each_query_encodes_some_rows_and_finds_the_best_of_all(index: ListIndex) -> None:
    numbers = np.arange(7000, 10_000)
    check(index, numbers[:90], LATER[:90])
    assert encoded(index) == 0, "few rows are scanned"
    check(index, numbers[:1000], LATER[:1000], ASKED[:1])
    assert encoded(index) == AT_ONCE
    check(index, numbers[:1000], LATER[:1000])
    assert encoded(index) == 900
    check(index, numbers, LATER)
    assert encoded(index) == 2900


@pytest.mark.parametrize("removed", [3, 200, 400])
def test_removed_rows_are_left_out(index: ListIndex, removed: int) -> None:
    numbers = np.arange(7000, 10_000)
    check(index, numbers, LATER)
    best = build("exact", LATER, spaces=SPACES).search(ASKED, 10)[0]
    others = np.setdiff1d(np.random.default_rng(3).permutation(3000), best)
    kept = np.setdiff1d(np.arange(3000), np.concatenate([best[:, 0], others[:removed]]))
    check(index, numbers[kept], LATER[kept])
    check(index, numbers[:1500], LATER[:1500])  # as a snapshot from before
    check(index, numbers[2900:], LATER[2900:])
    check(index, numbers[[-1]], LATER[[-1]], ASKED[:0])
    check(index, numbers, LATER)


def test_other_weights_and_threads_find_the_same(index: ListIndex) -> None:
    numbers, queries = np.arange(3000), scaled_query(parts(drawn(QUERIES, seed=2)), {"deep": 1, "color": 0}, SPACES)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda count: check(index, numbers[:count], LATER[:count]), [900, 1500, 2400, 3000]))
    check(index, numbers, LATER, queries)


def sparse(count: int, seed: int) -> Float32:
    """Rows of 64 columns: deep features, and colours of which three in 32 are above 0."""
    random = np.random.default_rng(seed)
    colour = np.zeros((count, 32), dtype=np.float32)
    colour[np.arange(count)[:, np.newaxis], random.integers(1, 32, (count, 3))] = 0.5
    colour[: count // 200, 0] = 1
    deep = random.standard_normal((count, 32), dtype=np.float32)
    return np.concatenate([unit_rows(deep), unit_rows(colour)], axis=1)


def test_each_row_is_found_once_where_faiss_finds_few() -> None:
    spaces = (Space("deep", 32, "tests"), Space("color", 32, "tests"))
    index, later, numbers = build("ivf", sparse(2000, 0), spaces=spaces), sparse(3000, 1), np.arange(3000)
    assert isinstance(index, ListIndex)
    queries = np.zeros((2, 64), dtype=np.float32)
    queries[1, 32] = 1
    codes = LaterCodes(index._lists, index._scale, spaces)
    found: list[int] = []
    for search in (codes.search, index.search_later):
        for query in queries[:, np.newaxis]:
            expected = build("exact", later, spaces=spaces).search(query, 120)
            for _ in range(3000 // AT_ONCE):
                positions, scores = search(query, 120, numbers=numbers, rows=later)
                assert len(set(positions[0].tolist())) == 120
                assert scores.tolist() == expected[1].tolist()
            found.append(len(codes._candidates(query, 660)))
    assert min(found) < 120, "FAISS leaves rows out"


@pytest.mark.parametrize("removed", [60, 300])
def test_an_older_snapshot_has_rows_that_were_removed_before_others_were_encoded(
    index: ListIndex, removed: int
) -> None:
    numbers = np.arange(3000)
    for _ in range(3):
        check(index, numbers[removed:], LATER[removed:])
        check(index, numbers, LATER)
    assert encoded(index) == 2900 - removed


def test_codes_are_used_again_after_many_removals(index: ListIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    uses: list[int] = []
    candidates = LaterCodes._candidates

    def counted(codes: LaterCodes, query: Float32, count: int) -> Int64:
        uses.append(count)
        return candidates(codes, query, count)

    monkeypatch.setattr(LaterCodes, "_candidates", counted)
    numbers, kept = np.arange(3000), np.setdiff1d(np.arange(3000), np.arange(0, 900, 3))
    check(index, numbers, LATER)
    uses.clear()
    check(index, numbers[kept], LATER[kept])
    assert encoded(index) == len(kept) - 100
    assert len(uses) == QUERIES, "a part of the rows has codes at once"
    assert set(uses) == {110}
    check(index, numbers[:1000], LATER[:1000])
    assert encoded(index) == len(kept) - 100, "nothing is encoded for rows that were read long ago"


@pytest.mark.parametrize("blank", [False, True])
@pytest.mark.parametrize("deep", [0.0, 0.3, 1.0, 3.0])
def test_any_weights_find_the_best_of_many_added_rows(index: ListIndex, deep: float, blank: bool) -> None:
    weights = {"deep": deep, "color": 1.0}
    rows, numbers = drawn(12_000, seed=8), np.arange(12_000)
    queries = scaled_query(parts(drawn(QUERIES, seed=9)), weights, SPACES)
    if blank:
        queries[:, :33] = 0
    for _ in range(90):
        index.search_later(ASKED[:1], 10, numbers=numbers, rows=rows)
    expected = build("exact", rows, spaces=SPACES).search(queries, 10)[1]
    found = [index.search_later(query[np.newaxis], 10, numbers=numbers, rows=rows)[1][0] for query in queries]
    assert np.mean(np.array(found) >= expected[:, -1:] - 1e-6) >= 0.99


def test_a_gallery_finds_what_was_added_since_its_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.gallery.local.snapshot.SMALL", 100)
    first, later = drawn(12_000, seed=0), drawn(1100, seed=6)
    queries = parts(drawn(QUERIES, seed=1))
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add([Item(f"i{number}", "x.jpg") for number in range(12_000)], parts(first), spaces=SPACES)
        gallery.optimise()
        for start in range(0, 1100, 100):
            items = [Item(f"new{number}", "x.jpg") for number in range(start, start + 100)]
            gallery.add(items, parts(later[start : start + 100]), spaces=SPACES)
            if start == 500:
                gallery.remove([f"new{number}" for number in range(10, 30)])
            for number in range(0, QUERIES, 5):
                query = {name: rows[number : number + 1] for name, rows in queries.items()}
                exact = gallery.search(query, SearchRequest(k=10, index="exact", weights=WEIGHTS))
                found = gallery.search(query, SearchRequest(k=10, index="ivf", weights=WEIGHTS))
                assert found.rows.tolist() == exact.rows.tolist()
                assert found.scores.tolist() == exact.scores.tolist()
        segment = gallery._current.present().segment
        assert segment is not None
        index = segment._indexes["ivf"]
        assert isinstance(index, ListIndex)
        assert encoded(index) > 500
