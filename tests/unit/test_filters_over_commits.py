"""Filters that are asked again after commits: the rows that pass now, without reading the whole gallery."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local import filtering, metadata_table, reads
from lookalike.gallery.local.allowed_rows import FILTERS_REMEMBERED, AllowedRows, RememberedRows
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.ranking import allow
from lookalike.gallery.request import SearchRequest
from lookalike.index import Allowed
from lookalike.index.allowed import ASKED, MOST_CHANGED
from lookalike.index.inverted_lists import ListIndex
from lookalike.spaces import Space
from lookalike.types import Box, Garment, Item
from passing_rows import by_sqlite, passing

COUNT = 3_000
SPACES = (Space("deep", 16, "tests"),)
WHERE = "lot >= 3 and lot < 8"
FILTERS = (WHERE, "lot = 3 or sale = true", "sale is null", "not (lot in (1, 2)) and id < 'i2'")


def item(number: int, lot: int, **told: bool) -> Item:
    return Item(id=f"i{number}", photo="x.jpg", attributes={"lot": lot, **told})


def rows_of(count: int, seed: int) -> dict[str, np.ndarray]:
    return {"deep": np.random.default_rng(seed).standard_normal((count, 16), dtype=np.float32)}


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalGallery]:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        items = [item(number, number % 20, **({"sale": True} if number % 7 == 0 else {})) for number in range(COUNT)]
        gallery.add(items, rows_of(COUNT, 0), spaces=SPACES)
        gallery.optimise()
        yield gallery


def change(gallery: LocalGallery, random: np.random.Generator, seed: int) -> None:
    """Add, replace, update, override or remove some items."""
    numbers = random.choice(COUNT + 200, size=random.integers(1, 40), replace=False).tolist()
    items = [item(number, int(random.integers(20)), sale=bool(random.integers(2))) for number in numbers]
    kind = random.integers(4)
    if kind == 0:
        gallery.add(items, rows_of(len(items), seed), spaces=SPACES)
    elif kind == 1:
        gallery.remove([each.id for each in items])
    else:
        with gallery._database.reading() as connection:
            known = reads.rows_of_ids(connection, [each.id for each in items])
        items = [each for each in items if each.id in known]
        overrides = [{"lot": 5} if random.integers(2) else {} for _ in items] if kind == 3 else None
        gallery.update(items, overrides=overrides)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by_another", [False, True])
def test_the_rows_that_pass_follow_every_kind_of_change(shop: LocalGallery, seed: int, by_another: bool) -> None:
    random = np.random.default_rng(seed)
    with LocalGallery(shop.folder) as other:
        for step in range(25):
            change(other if by_another else shop, random, seed=100 * seed + step)
            for where in FILTERS:
                if random.integers(3):  # else it is asked again after several changes
                    assert passing(shop, where) == by_sqlite(shop, where), (step, where)


def test_many_altered_rows_are_read_with_all_others(shop: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_table, "MOST_RANGES", 10)
    passing(shop, WHERE)
    shop.update([item(number, 3) for number in range(0, COUNT, 40)])
    assert passing(shop, WHERE) == by_sqlite(shop, WHERE)


@pytest.mark.parametrize(("updated", "partly"), [(20, True), (50, False), (COUNT, False)])
def test_few_altered_items_are_read_by_themselves_and_listed_once(
    shop: LocalGallery, monkeypatch: pytest.MonkeyPatch, updated: int, partly: bool
) -> None:
    monkeypatch.setattr(filtering, "MOST_ALTERED", 30)
    listed, parts = [], []
    altered, read = filtering.altered_since, reads.matching_rows

    def counted(connection, change, **bound):  # noqa: ANN001, ANN003, ANN202 - as `altered_since`
        listed.append(change)
        return altered(connection, change, **bound)

    def noted(connection, clause, **part):  # noqa: ANN001, ANN003, ANN202 - as `matching_rows`
        parts.append("among" in part)
        return read(connection, clause, **part)

    for where in FILTERS:
        passing(shop, where)
    monkeypatch.setattr(filtering, "altered_since", counted)
    monkeypatch.setattr(reads, "matching_rows", noted)
    shop.update([item(number, 3) for number in range(updated)])
    found = [passing(shop, where) for where in FILTERS]
    assert len(listed) == 1
    assert any(parts) == partly
    assert found == [by_sqlite(shop, where) for where in FILTERS]


def test_the_filters_that_were_asked_for_last_are_kept(shop: LocalGallery) -> None:
    for number in range(FILTERS_REMEMBERED):
        passing(shop, WHERE)
        passing(shop, f"lot = {number % 20} and id != 'i{number}'")
    shop.remove("i9")
    passing(shop, "lot = 1")
    assert WHERE in shop._current.present().earlier
    assert "lot = 0 and id != 'i0'" not in shop._current.present().earlier


def test_many_threads_filter_at_once(shop: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each gets its own rows, and no more filters are kept than there is room for."""
    filters = [f"lot = {number % 20} and id != 'i{number}'" for number in range(2 * FILTERS_REMEMBERED)]
    right = {where: by_sqlite(shop, where) for where in filters}
    monkeypatch.setattr(filtering, "allow", lambda *given: time.sleep(1e-4) or allow(*given))  # others go on meanwhile

    def ask(number: int) -> list[str]:
        return [
            where
            for where in np.random.default_rng(number).permutation(filters)
            if passing(shop, where) != right[where]
        ]

    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(ask, range(8))] == [[]] * 8
    assert len(shop._current.present().answers.items()) == FILTERS_REMEMBERED


class Interrupted(str):
    """A filter whose threads are interrupted whenever it is looked up."""

    __slots__ = ()

    def __hash__(self) -> int:
        time.sleep(1e-5)
        return super().__hash__()


def test_rows_are_remembered_by_one_thread_at_a_time() -> None:
    remembered, nothing = RememberedRows(), AllowedRows(None, 0, None, 0)

    def ask(number: int) -> None:
        for at in range(FILTERS_REMEMBERED):
            where = Interrupted(f"lot = {number} and price = {at}")
            remembered.keep(where, nothing)
            remembered.get(where)

    with ThreadPoolExecutor(8) as threads:
        assert [*threads.map(ask, range(8))] == [None] * 8
    assert len(remembered.items()) == FILTERS_REMEMBERED


def test_only_new_and_altered_items_are_read(shop: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: list[str] = []
    read = reads.matching_rows

    def counted(connection, clause, **part):  # noqa: ANN001, ANN003, ANN202 - as `matching_rows`
        if not part:
            whole.append(clause.sql)
        return read(connection, clause, **part)

    monkeypatch.setattr(reads, "matching_rows", counted)
    for number in range(5):
        shop.add([item(5_000 + number, 3)], rows_of(1, number), spaces=SPACES)
        shop.update([item(number, 4)])
        shop.remove(f"i{number + 100}")
        passing(shop, WHERE)
    assert len(whole) == 1
    for number in range(FILTERS_REMEMBERED):
        passing(shop, f"lot = {number % 20} and id != 'i{number}'")
    shop.remove("i9")
    assert WHERE not in shop._current.present().earlier, "the newest filters are kept"
    assert len(shop._current.present().earlier) == FILTERS_REMEMBERED
    passing(shop, WHERE)
    assert len(whole) == FILTERS_REMEMBERED + 2


def test_garments_are_filtered_again_with_their_items(shop: LocalGallery) -> None:
    def dressed(number: int, lot: int) -> Item:
        garments = (Garment(Box(0, 0, 5, 5), "top", 0.9), Garment(Box(0, 5, 5, 9), "trousers", 0.8))
        return Item(f"g{number}", "x.jpg", attributes={"lot": lot}, garments=garments, finder="tests")

    passing(shop, WHERE)
    shop.add([dressed(number, number) for number in range(10)], rows_of(20, 1), spaces=SPACES)
    filters = (WHERE, "garment = 'top'", "garment = 'trousers' and lot < 5")
    for step in range(3):
        for where in filters:
            assert passing(shop, where) == by_sqlite(shop, where)
        shop.update([dressed(number, 4 + step) for number in range(step, 10, 3)])
        shop.add([dressed(20 + step, 3)], rows_of(2, step), spaces=SPACES)
        shop.remove(f"g{step}")


def codes_of(gallery: LocalGallery) -> list[Allowed]:
    segment = gallery._current.present().segment
    assert segment is not None
    index = segment._indexes["ivf"]
    assert isinstance(index, ListIndex)
    return list(index._compact._made)


def test_copied_codes_serve_after_commits_and_miss_nothing(shop: LocalGallery) -> None:
    """Appending changes no row of the segment; few removed or altered rows are left out, or scored by themselves."""
    queries = rows_of(40, 7)["deep"]

    def check() -> None:
        for query in queries:
            asked = {"deep": query[np.newaxis]}
            found = shop.search(asked, SearchRequest(k=10, where=WHERE, index="ivf"))
            exact = shop.search(asked, SearchRequest(k=10, where=WHERE, index="exact"))
            assert found.scores == pytest.approx(exact.scores, abs=1e-6)
            assert set(found.rows[0].tolist()) <= by_sqlite(shop, WHERE)

    check()
    (copied,) = codes_of(shop)
    for number in range(3):
        shop.add([item(6_000 + number, 3)], rows_of(1, number), spaces=SPACES)
        check()
    kept = shop._current.present().answers.get(WHERE)
    assert kept is not None
    assert kept.segment is copied
    for step in range(3):
        shop.remove([f"i{20 * number + 3 + step}" for number in range(MOST_CHANGED // 10)])
        shop.update([item(20 * number + 12 + step, 4) for number in range(60, 60 + MOST_CHANGED // 10)])
        check()
        assert codes_of(shop) == [copied]
    shop.remove([f"i{20 * number + 7}" for number in range(MOST_CHANGED)])
    check()
    assert codes_of(shop)[-1] is not copied, "too many rows have changed"


def test_a_change_keeps_how_often_a_filter_was_asked_for() -> None:
    before = Allowed(np.arange(1000) < 300)
    before.asked = ASKED
    few, many = before.rows.copy(), before.rows.copy()
    few[[5, 700]] = False, True
    many[:200] = False
    assert before.changed(before.rows.copy()) is before
    changed = before.changed(few)
    assert (changed.asked, changed.origin, changed.changes.tolist(), changed.count) == (ASKED, before, [5, 700], 300)
    again = changed.changed(before.rows & few)
    assert (again.origin, again.changes.tolist()) == (before, [5])
    assert changed.changed(many).origin is None
    assert changed.changed(many).asked == ASKED
