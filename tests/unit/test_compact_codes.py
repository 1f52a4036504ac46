"""Codes of a filter's rows, copied together when the filter is asked again: right, bounded, and dropped with it."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import pytest

from lookalike.errors import IndexFileError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index import Allowed, build, compact_codes, load
from lookalike.index.allowed import ASKED
from lookalike.index.compact_codes import CompactCodes
from lookalike.index.inverted_lists import ListIndex
from lookalike.spaces import Space, scaled_query, unit_rows
from lookalike.types import Bool, Float32, Item

SPACES = (Space("deep", 49, "tests"), Space("color", 13, "tests"))
ROWS = 5000
QUERIES = 20


def drawn(count: int, seed: int) -> Float32:
    random = np.random.default_rng(seed)
    products = np.random.default_rng(99).standard_normal((300, 62), dtype=np.float32)
    rows = products[random.integers(0, 300, count)] + 0.5 * random.standard_normal((count, 62), dtype=np.float32)
    return np.concatenate([unit_rows(rows[:, :49]), unit_rows(rows[:, 49:])], axis=1)


@pytest.fixture(scope="module")
def rows() -> Float32:
    return drawn(ROWS, seed=0)


@pytest.fixture(scope="module")
def queries() -> Float32:
    made = drawn(QUERIES, seed=1)
    return scaled_query({"deep": made[:, :49], "color": made[:, 49:]}, {"deep": 1.0, "color": 0.3}, SPACES)


def index_of(rows: Float32) -> ListIndex:
    built = build("ivf", rows, spaces=SPACES)
    assert isinstance(built, ListIndex)
    return built


@pytest.fixture
def index(rows: Float32) -> ListIndex:
    return index_of(rows)


def passing(share: float, seed: int = 2) -> Bool:
    return np.random.default_rng(seed).random(ROWS) < share


@pytest.mark.parametrize("share", [0.03, 0.1, 0.3, 1.0])
def test_the_codes_are_those_of_the_lists(share: float, index: ListIndex, queries: Float32) -> None:
    """The same estimates as of all lists with FAISS's own filter."""
    lists, allowed = index._lists, Allowed(passing(share))
    compact = CompactCodes(lists, allowed, path=None)
    seen, count = index._scale.queries(queries), 50
    how = faiss.SearchParametersIVF(nprobe=lists.nlist, sel=faiss.IDSelectorBitmap(allowed.bits))
    search = getattr(lists, "search_numpy", lists.search)  # see `faiss_candidates.search`
    expected = search(seen, count, params=how)[0]
    assert compact._index.search(seen, count)[0] == pytest.approx(expected, abs=1e-6)
    assert sorted(compact._positions.tolist()) == allowed.positions.tolist()
    assert allowed.rows[compact.search(seen, count, allowed=allowed)].all()


def test_a_repeated_filter_finds_the_best_of_its_rows(index: ListIndex, rows: Float32, queries: Float32) -> None:
    allowed = Allowed(passing(0.1))
    expected = build("exact", rows, spaces=SPACES).search(queries, 10, allowed=allowed.rows)[1]
    for number in range(QUERIES):
        positions, scores = index.search(queries[number : number + 1], 10, allowed=allowed)
        assert (len(index._compact._made) == 1) == (number >= ASKED)
        assert allowed.rows[positions].all()
        assert np.vecdot(rows[positions[0]], queries[number]) == pytest.approx(scores[0], abs=1e-6)
        if number >= ASKED:
            assert scores[0] == pytest.approx(expected[number], abs=1e-6)


def test_a_filter_that_passes_many_rows_uses_the_lists(index: ListIndex, queries: Float32) -> None:
    allowed = Allowed(passing(0.5))
    for _ in range(2):
        index.search(queries, 10, allowed=allowed)
    assert not index._compact._made


def test_codes_go_with_their_filter(index: ListIndex, queries: Float32) -> None:
    allowed = Allowed(passing(0.1))
    index.search(queries, 10, allowed=allowed)
    assert len(index._compact._made) == 1
    del allowed
    gc.collect()
    assert not index._compact._made


def test_the_rows_of_all_filters_together_are_bounded(
    index: ListIndex, queries: Float32, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compact_codes, "MOST_ROWS", 1200)
    monkeypatch.setattr(compact_codes, "MOST_REPEATED", 1000)
    filters = [Allowed(passing(0.1, seed=seed)) for seed in range(5)]
    for allowed in filters:
        index.search(queries, 10, allowed=allowed)
    assert 0 < sum(map(len, index._compact._made.values())) <= 1200
    assert filters[-1] in index._compact._made
    large = Allowed(passing(0.28))
    index.search(queries, 10, allowed=large)
    assert large not in index._compact._made


def test_threads_that_ask_for_one_filter_get_the_same_answer(index: ListIndex, queries: Float32) -> None:
    allowed = Allowed(passing(0.1))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: index.search(queries, 10, allowed=allowed)[1], range(12)))
    for scores in answers:
        assert scores == pytest.approx(answers[-1], abs=1e-6)


def test_a_file_with_rows_out_of_range_is_damaged(rows: Float32, queries: Float32, tmp_path: Path) -> None:
    path = tmp_path / "index-ivf"
    index_of(rows).save(path)
    loaded = load("ivf", path, rows=rows, spaces=SPACES)
    assert isinstance(loaded, ListIndex)
    lists = loaded._lists.invlists
    place = next(number for number in range(loaded._lists.nlist) if lists.list_size(number))
    blocks = -(-lists.list_size(place) // 32)
    at = (
        path.read_bytes().index(faiss.rev_swig_ptr(lists.get_codes(place), blocks * lists.code_size * 32).tobytes())
        + blocks * lists.code_size * 32
    )
    allowed = passing(0.1)
    allowed[faiss.rev_swig_ptr(lists.get_ids(place), 1)[0]] = True  # the row whose number is overwritten
    for wrong, said in ((ROWS, "rows out of range"), (-1, "rows out of range"), (1, "lack rows, or hold one twice")):
        with path.open("r+b") as file:
            file.seek(at)
            file.write(np.int64(wrong).tobytes())
        with pytest.raises(IndexFileError, match=said):
            loaded.search(queries, 10, allowed=Allowed(allowed))


@pytest.mark.parametrize("changed", [0, 40])
def test_rows_that_faiss_leaves_out_are_found(changed: int, tmp_path: Path) -> None:
    """A query with one number, among sparse rows of 64 columns; the file is not taken for damaged."""
    spaces = (Space("deep", 32, "tests"), Space("color", 32, "tests"))
    random = np.random.default_rng(0)
    colour = np.zeros((ROWS, 32), dtype=np.float32)
    colour[np.arange(ROWS)[:, np.newaxis], random.integers(1, 32, (ROWS, 3))] = 0.5
    colour[: ROWS // 200, 0] = 1
    deep = random.standard_normal((ROWS, 32), dtype=np.float32)
    rows = np.concatenate([unit_rows(deep), unit_rows(colour)], axis=1)
    path = tmp_path / "index-ivf"
    build("ivf", rows, spaces=spaces).save(path)
    index = load("ivf", path, rows=rows, spaces=spaces)
    assert isinstance(index, ListIndex)
    query = np.eye(64, dtype=np.float32)[:1] * 1e-3 + np.eye(64, dtype=np.float32)[32:33]
    before = Allowed(passing(0.2))
    for _ in range(ASKED + 1):
        index.search(query, 10, allowed=before)
    after = before.rows.copy()
    after[random.choice(ROWS, size=changed, replace=False)] ^= True
    allowed = before.changed(after)
    assert len(index._compact._made) == 1
    expected = build("exact", rows, spaces=spaces).search(query, 120, allowed=after)[1]
    for _ in range(2):
        positions, scores = index.search(query, 120, allowed=allowed)
        assert len(set(positions[0].tolist())) == 120
        assert scores.tolist() == expected.tolist()
    flat = np.zeros((1, 64), dtype=np.float32)
    (compact,) = index._compact._made.values()
    found = compact.search(flat, 300, allowed=allowed)
    assert set(found[found < 0].tolist()) == {-1}, "FAISS leaves rows out"


def test_a_filter_that_passed_no_row_and_then_some(index: ListIndex, rows: Float32, queries: Float32) -> None:
    none = Allowed(np.zeros(ROWS, dtype=np.bool_))
    allowed = none.changed(np.arange(ROWS) % 42 == 0)
    expected = build("exact", rows, spaces=SPACES).search(queries, 2, allowed=allowed.rows)
    for _ in range(2):
        found = index.search(queries, 2, allowed=allowed)
        assert found[0].tolist() == expected[0].tolist()
    assert list(index._compact._made) == [allowed]


def test_a_gallery_answers_a_repeated_filter_from_its_codes_and_sees_changes_at_once(tmp_path: Path) -> None:
    count = 12_000
    vectors = {"deep": unit_rows(np.random.default_rng(3).standard_normal((count + 1, 16), dtype=np.float32))}
    spaces = [Space("deep", 16, "tests")]
    items = [Item(id=f"i{number}", photo="x.jpg", attributes={"lot": number % 20}) for number in range(count)]
    query, request = {"deep": vectors["deep"][-1:]}, SearchRequest(k=10, where="lot = 7")
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add(items, {"deep": vectors["deep"][:-1]}, spaces=spaces)
        gallery.optimise()
        narrow = SearchRequest(k=10, where="lot = 7 and id < 'i2'")
        answers = [gallery.search(query, narrow) for _ in range(ASKED + 2)]
        assert {answer.index for answer in answers} == {"exact"}, "fewer than 500 rows are scanned"
        answers = [gallery.search(query, request) for _ in range(ASKED + 2)]
        for answer in answers:
            assert answer.rows.tolist() == answers[0].rows.tolist()
            assert answer.scores.tolist() == answers[0].scores.tolist()
        best = gallery.items(answers[0].rows[0].tolist())[int(answers[0].rows[0, 0])]
        with LocalGallery(tmp_path / "shop.gallery") as other:
            other.add([Item(id="new", photo="x.jpg", attributes={"lot": 7})], query, spaces=spaces)
            other.remove(best.id)
        for _ in range(ASKED + 2):
            answer = gallery.search(query, request)
            found = [gallery.items([row])[row].id for row in answer.rows[0].tolist()]
            assert found[0] == "new"
            assert best.id not in found
