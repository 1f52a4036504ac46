"""The contract of indexes, tested on each of them against a slow loop."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import IndexFileError, UnknownNameError
from lookalike.index import INDEXES, Index, RowFormat, Rows, build, load
from lookalike.spaces import DTYPES, Space, scaled_query, unit_rows
from lookalike.types import Bool, Float32

SPACES = (Space("deep", 48, "tests"), Space("color", 13, "tests"))
DEFAULT = {"deep": 1.0, "color": 0.3}
ROWS = 3000

RECALL_FLOORS = {"exact": 1.0, "kmeans": 0.7, "ivf": 0.98, "hnsw": 0.98}
"""Of the ten nearest under the default weights, how many an index finds at least in the structured rows below."""

each_index = pytest.mark.parametrize("name", INDEXES)


def structured(count: int, *, seed: int = 0) -> Float32:
    """Rows like a catalogue's: some products, several photos of each, in both spaces."""
    random = np.random.default_rng(seed)
    products = np.random.default_rng(99).standard_normal((300, 61))
    rows = products[random.integers(0, 300, count)] + 0.5 * random.standard_normal((count, 61))
    return joined(rows.astype(np.float32))


def joined(rows: Float32) -> Float32:
    """Scale each space's part of the rows to length 1."""
    return np.concatenate([unit_rows(rows[:, :48]), unit_rows(rows[:, 48:])], axis=1)


def weighted(rows: Float32, weights: dict[str, float]) -> Float32:
    """Rows as queries of some weights."""
    return scaled_query({"deep": rows[:, :48], "color": rows[:, 48:]}, weights, SPACES)


def slow_search(rows: Float32, query: Float32, k: int, allowed: Bool | None = None) -> list[tuple[int, float]]:
    """Score every allowed row, one by one; best first, equal scores by position."""
    scored = []
    for position, row in enumerate(rows):
        if allowed is None or allowed[position]:
            score = float(np.dot(row.astype(np.float64), query.astype(np.float64)))
            scored.append((position, score))
    return sorted(scored, key=lambda pair: (-pair[1], pair[0]))[:k]


@pytest.fixture(scope="module", params=DTYPES)
def stored(request: pytest.FixtureRequest) -> Rows:
    """The rows as a gallery of each type has them."""
    spaces = [replace(space, dtype=request.param) for space in SPACES]
    row_format = RowFormat.of(spaces)
    array = row_format.stored(structured(ROWS))
    return Rows(array, scales=row_format.scales(array), places=row_format.places)


@pytest.fixture(scope="module")
def rows(stored: Rows) -> Float32:
    return stored[:]


@pytest.fixture(scope="module")
def built(stored: Rows) -> dict[str, Index]:
    return {name: build(name, stored, spaces=SPACES) for name in INDEXES}


def check_answer(
    index: Index, rows: Float32, queries: Float32, k: int, *, allowed: Bool | None = None, probes: int | None = None
) -> float:
    """Check all that holds for every index whatever it finds; return the fraction found of the true nearest."""
    positions, scores = index.search(queries, k, allowed=allowed, probes=probes)
    assert positions.shape == scores.shape == (len(queries), k)
    assert positions.dtype == np.int64
    assert scores.dtype == np.float32
    existing = len(rows) if allowed is None else int(allowed.sum())
    hits = expected = 0
    for query, found, values in zip(queries, positions.tolist(), scores.tolist(), strict=True):
        right = slow_search(rows, query, k, allowed)
        filled = min(k, existing)
        assert found[filled:] == [-1] * (k - filled)
        assert values[filled:] == [-np.inf] * (k - filled)
        found, values = found[:filled], values[:filled]
        assert len(set(found)) == filled, "a position came twice, or too few came"
        assert all(0 <= position < len(rows) for position in found)
        assert allowed is None or allowed[found].all()
        for position, value in zip(found, values, strict=True):
            assert value == pytest.approx(float(rows[position].astype(np.float64) @ query), abs=1e-6)
        assert list(zip(values, found, strict=True)) == sorted(
            zip(values, found, strict=True), key=lambda pair: (-pair[0], pair[1])
        )
        hits += len(set(found) & {position for position, _ in right})
        expected += len(right)
    return hits / expected if expected else 1.0


def test_the_floors_name_every_index() -> None:
    assert RECALL_FLOORS.keys() == INDEXES.keys()


@each_index
def test_finds_the_nearest(name: str, built: dict[str, Index], rows: Float32) -> None:
    queries = weighted(structured(40, seed=1), DEFAULT)
    assert check_answer(built[name], rows, queries, 10) >= RECALL_FLOORS[name]


@each_index
@pytest.mark.parametrize("weights", [{"deep": 1.0, "color": 0.0}, {"deep": 0.0, "color": 1.0}, {"deep": 1, "color": 1}])
def test_scores_are_right_under_any_weights(
    name: str, weights: dict[str, float], built: dict[str, Index], rows: Float32
) -> None:
    recall = check_answer(built[name], rows, weighted(structured(10, seed=2), weights), 10)
    assert recall >= (1.0 if name == "exact" else 0.3)


@each_index
@pytest.mark.parametrize("count", [0, 1, 5, 60, 300, ROWS - 1, ROWS])
def test_answers_only_what_is_allowed_and_all_of_it(
    name: str, count: int, built: dict[str, Index], rows: Float32
) -> None:
    allowed = np.zeros(ROWS, dtype=np.bool_)
    allowed[np.random.default_rng(3).choice(ROWS, size=count, replace=False)] = True
    queries = weighted(structured(5, seed=4), DEFAULT)
    recall = check_answer(built[name], rows, queries, 10, allowed=allowed)
    if count <= 60 or name == "exact":  # so few are all candidates
        assert recall == 1.0


@each_index
def test_a_filter_that_passes_only_what_is_far_away_still_fills_the_answer(
    name: str, built: dict[str, Index], rows: Float32
) -> None:
    query = weighted(structured(1, seed=5), DEFAULT)
    allowed = rows @ query[0] < np.median(rows @ query[0])
    check_answer(built[name], rows, query, 100, allowed=allowed)


@each_index
@pytest.mark.parametrize("k", [1, 700, ROWS - 1, ROWS, ROWS + 5])
def test_any_number_of_results(name: str, k: int, built: dict[str, Index], rows: Float32) -> None:
    recall = check_answer(built[name], rows, weighted(structured(2, seed=6), DEFAULT), k)
    if k >= ROWS:
        assert recall == 1.0


@each_index
@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 400])
def test_small_galleries(name: str, count: int, tmp_path: Path) -> None:
    rows = structured(count, seed=7)
    index = build(name, rows, spaces=SPACES)
    queries = weighted(structured(3, seed=8), DEFAULT)
    assert check_answer(index, rows, queries, 10) >= (0.2 if name == "kmeans" else 0.9)
    index.save(tmp_path / "index")
    again = load(name, tmp_path / "index", rows=rows, spaces=SPACES)
    for before, after in zip(index.search(queries, 10), again.search(queries, 10), strict=True):
        np.testing.assert_array_equal(before, after)


@each_index
def test_equal_rows_get_equal_scores_in_the_order_of_their_positions(name: str) -> None:
    rows = structured(1000, seed=9)
    places = [3, 250, 251, 512, 640, 998]
    rows[places] = rows[3]
    query = weighted(rows[3:4], DEFAULT)
    positions, scores = build(name, rows, spaces=SPACES).search(query, 6)
    assert positions[0].tolist() == places
    assert len(set(scores[0].tolist())) == 1


@each_index
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_gallery_of_one_row_many_times(name: str, value: float) -> None:
    rows = joined(np.full((600, 61), value, dtype=np.float32))
    positions, scores = build(name, rows, spaces=SPACES).search(weighted(rows[:1], DEFAULT), 10)
    assert len(set(positions[0].tolist())) == 10
    np.testing.assert_allclose(scores, value, atol=1e-6)


@each_index
def test_a_query_of_zeros(name: str, built: dict[str, Index], rows: Float32) -> None:
    positions, scores = built[name].search(np.zeros((2, 61), dtype=np.float32), 4)
    assert positions.tolist() == [[0, 1, 2, 3]] * 2
    assert not scores.any()


@each_index
def test_no_queries(name: str, built: dict[str, Index]) -> None:
    positions, scores = built[name].search(np.zeros((0, 61), dtype=np.float32), 4)
    assert positions.shape == scores.shape == (0, 4)


@each_index
def test_a_query_is_answered_the_same_alone_and_among_others(name: str, built: dict[str, Index]) -> None:
    queries = weighted(structured(30, seed=10), DEFAULT)
    together = built[name].search(queries, 10)
    for row, query in enumerate(queries):
        positions, scores = built[name].search(query[np.newaxis], 10)
        np.testing.assert_array_equal(positions[0], together[0][row])
        np.testing.assert_array_equal(scores[0], together[1][row])


@each_index
def test_the_same_row_gets_the_same_score_from_every_index(name: str, built: dict[str, Index]) -> None:
    query = weighted(structured(1, seed=11), DEFAULT)
    exact = dict(zip(*(found[0].tolist() for found in built["exact"].search(query, ROWS)), strict=True))
    positions, scores = built[name].search(query, 20)
    assert [exact[position] for position in positions[0].tolist()] == scores[0].tolist()


@each_index
def test_several_threads_at_once(name: str, built: dict[str, Index]) -> None:
    queries = [weighted(structured(1, seed=seed), DEFAULT) for seed in range(40)]
    allowed = np.arange(ROWS) % 3 > 0
    alone = [built[name].search(query, 10, allowed=allowed)[0].tolist() for query in queries]
    with ThreadPoolExecutor(4) as pool:
        together = pool.map(lambda query: built[name].search(query, 10, allowed=allowed)[0].tolist(), queries)
        assert list(together) == alone


@each_index
def test_reads_what_it_saved(name: str, built: dict[str, Index], rows: Float32, tmp_path: Path) -> None:
    path = tmp_path / "index"
    built[name].save(path)
    again = load(name, path, rows=rows, spaces=SPACES)
    queries = weighted(structured(20, seed=12), DEFAULT)
    for before, after in zip(built[name].search(queries, 10), again.search(queries, 10), strict=True):
        np.testing.assert_array_equal(before, after)


@each_index
@pytest.mark.parametrize("damage", ["cut", "empty", "missing", "begin", "middle", "end", "longer"])
def test_refuses_a_damaged_file(name: str, damage: str, built: dict[str, Index], rows: Float32, tmp_path: Path) -> None:
    path = tmp_path / "index"
    built[name].save(path)
    content = bytearray(path.read_bytes())
    place = {"begin": 0, "middle": len(content) // 2, "end": len(content) - 1}.get(damage)
    if place is not None:
        content[place] ^= 0xFF
    path.write_bytes({"cut": content[:-100], "empty": b"", "longer": content + b"\0"}.get(damage, content))
    if damage == "missing":
        path.unlink()
    with pytest.raises(IndexFileError, match=re.escape(str(path))):
        load(name, path, rows=rows, spaces=SPACES)


@each_index
def test_refuses_a_file_made_over_other_rows(name: str, built: dict[str, Index], rows: Float32, tmp_path: Path) -> None:
    path = tmp_path / "index"
    built[name].save(path)
    with pytest.raises(IndexFileError, match="rows"):
        load(name, path, rows=rows[:-1], spaces=SPACES)
    with pytest.raises(IndexFileError, match="spaces"):
        load(name, path, rows=rows, spaces=(Space("deep", 51, "tests"), Space("color", 10, "tests")))
    other = "exact" if name == "ivf" else "ivf"
    with pytest.raises(IndexFileError, match="index"):
        load(other, path, rows=rows, spaces=SPACES)


@pytest.mark.parametrize("name", ["kmeans", "ivf"])
def test_more_probes_find_more_and_all_of_them_everything(name: str, built: dict[str, Index], rows: Float32) -> None:
    queries = weighted(structured(40, seed=13), DEFAULT)
    recalls = [check_answer(built[name], rows, queries, 10, probes=probes) for probes in (1, 4, 1000)]
    assert recalls[0] < recalls[1] <= recalls[2]
    assert recalls[2] >= 0.98


def test_kmeans_answers_from_the_cluster_of_the_deep_feature_alone(built: dict[str, Index]) -> None:
    """Queries that share their deep part look into the same cluster, whatever their color is."""
    random = np.random.default_rng(14)
    asked = structured(1, seed=15).repeat(200, axis=0)
    asked[:, 48:] = unit_rows(random.standard_normal((200, 13)).astype(np.float32))
    positions, _ = built["kmeans"].search(weighted(asked, {"deep": 1.0, "color": 3.0}), 10)
    cluster_sized = ROWS / 50
    assert len(np.unique(positions)) < 4 * cluster_sized
    everywhere, _ = built["exact"].search(weighted(asked, {"deep": 1.0, "color": 3.0}), 10)
    assert len(np.unique(everywhere)) > 4 * cluster_sized


def test_exact_bounds_its_memory_and_stays_right(
    monkeypatch: pytest.MonkeyPatch, built: dict[str, Index], rows: Float32
) -> None:
    queries = weighted(structured(7, seed=16), DEFAULT)
    some = np.arange(ROWS) % 9 == 0
    expected = [built["exact"].search(queries, 10), built["exact"].search(queries, 10, allowed=some)]
    monkeypatch.setattr("lookalike.index.exact.BLOCK_BYTES", 50_000)
    monkeypatch.setattr("lookalike.index.exact_scores.BLOCK_BYTES", 2_000)
    for allowed, (positions, scores) in zip((None, some), expected, strict=True):
        found = built["exact"].search(queries, 10, allowed=allowed)
        np.testing.assert_array_equal(found[0], positions)
        np.testing.assert_array_equal(found[1], scores)


def test_an_unknown_index_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'kmeans'"):
        build("kmean", structured(3), spaces=SPACES)
