"""Ranges of numbers pass the same rows by columns of numbers as by SQLite, also after commits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local import number_columns, reads
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space
from lookalike.types import JSON, Box, Garment, Item
from passing_rows import by_sqlite, passing

COUNT = 1_500
SPACES = (Space("deep", 4, "tests"),)
HELD = (0, 1, -1, 2, 80, 2.5, -0.25, -0.0, 0.1, 0.30000000000000004, 1e300, -1e300, 5e-324, 2**53, -(2**53), 1e16, None)
ASKED = (*(number for number in HELD if number is not None), 2**53 + 1, 2**62, 79, 3, 0.3)


@pytest.fixture(autouse=True)
def _any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_columns, "WORTH_IT", 1)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[LocalGallery]:
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        yield gallery


def put(gallery: LocalGallery, numbers: range, chance: random.Random, held: tuple[JSON, ...] = HELD) -> None:
    rows = np.random.default_rng(numbers.start).standard_normal((len(numbers), 4), dtype=np.float32)
    gallery.add([item(number, chance, held) for number in numbers], {"deep": rows}, spaces=SPACES)


def item(number: int, chance: random.Random, held: tuple[JSON, ...] = HELD) -> Item:
    told: dict[str, JSON] = {"price": chance.choice(held), "lot": number % 7} if chance.random() < 0.9 else {}
    return Item(id=f"i{number}", photo="x.jpg", attributes=told)


def ranges(chance: random.Random, name: str = "price") -> str:
    def comparison() -> str:
        if chance.random() < 0.3:
            return f"{name} between {chance.choice(ASKED)} and {chance.choice(ASKED)}"
        return f"{name} {chance.choice(['=', '<', '<=', '>', '>='])} {chance.choice(ASKED)}"

    return " and ".join(comparison() for _ in range(chance.choice([1, 2, 2, 3])))


def columns(gallery: LocalGallery) -> dict[int, number_columns.NumberColumn | None]:
    return gallery._current.present().columns._made


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("checked", [0, COUNT * 2])
def test_ranges_pass_the_same_rows_as_by_sqlite_after_any_commits(
    shop: LocalGallery, seed: int, checked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_columns, "CHECKED", checked)
    chance = random.Random(seed)
    put(shop, range(COUNT), chance)
    shop.optimise()
    assert passing(shop, "price >= -1e300") == by_sqlite(shop, "price >= -1e300")
    passing(shop, "price <= 1e300")
    last, served = COUNT, 0
    with LocalGallery(shop.folder) as other:
        for step in range(40):
            writer = chance.choice([shop, other])
            match step % 4:
                case 1:
                    put(writer, range(last, last + chance.randint(1, 20)), chance)
                    last += 20
                case 2:
                    writer.update([item(chance.randrange(700), chance) for _ in range(chance.randint(1, 9))])
                case 3:
                    writer.remove([f"i{chance.randrange(700, last)}" for _ in range(chance.randint(1, 9))])
            for _ in range(5):
                where = ranges(chance)
                assert passing(shop, where) == by_sqlite(shop, where), where
                served += columns(shop) != {}
    assert served > 150


def test_a_column_is_made_once_filters_have_listed_as_many_rows_as_there_are(
    shop: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, range(COUNT), random.Random(0))
    shop.optimise()
    asked: list[str] = []
    read = reads.matching_rows

    def told(connection: object, clause: object, **only: object) -> object:
        asked.append(str(only))
        return read(connection, clause, **only)  # type: ignore[arg-type]

    monkeypatch.setattr(reads, "matching_rows", told)
    for number in range(7):  # each lists a seventh of the nine tenths that have a lot
        passing(shop, f"lot = {number}")
    assert columns(shop) == {}
    passing(shop, "lot < 3")
    assert len(columns(shop)) == 1
    assert len(asked) == 8
    found = passing(shop, "lot > 3 and lot <= 5")
    assert len(asked) == 8
    assert found == by_sqlite(shop, "lot > 3 and lot <= 5") != set()
    shop.update([Item(id="i3", photo="x.jpg", attributes={"lot": 6})])
    found = passing(shop, "lot > 5")
    assert asked[9:] == ["{'after': 1500}", "{'among': {4}}"]
    assert found == by_sqlite(shop, "lot > 5")


def test_a_column_of_the_present_version_needs_no_database_in_a_gallery_that_is_not_checked_whole(
    shop: LocalGallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(shop, range(COUNT), random.Random(0), held=(1, 2, 3))
    for where in ("price < 3", "price > 1"):
        passing(shop, where)
    asked: list[str] = []
    view = Database.scanning

    def told(self: Database) -> object:
        asked.append("all")
        return view(self)

    monkeypatch.setattr(Database, "scanning", told)
    wanted = {where: by_sqlite(shop, where) for where in ("price = 2", "price >= 2", "price between 1 and 2.5")}
    asked.clear()
    assert passing(shop, "price = 2") == wanted["price = 2"] != set()
    assert len(asked) == 1
    monkeypatch.setattr(number_columns, "CHECKED", COUNT - 1)
    assert passing(shop, "price >= 2") == wanted["price >= 2"]
    assert len(asked) == 1
    assert passing(shop, "price between 1 and 2.5") == wanted["price between 1 and 2.5"]
    assert len(asked) == 2  # SQLite parses the fraction
    shop.update([Item(id="i3", photo="x.jpg", attributes={"price": 2})])
    assert passing(shop, "price < 2") == by_sqlite(shop, "price < 2")
    assert len(asked) > 2


@pytest.mark.parametrize("where", ["price != 1", "price < 1 or price > 2", "not price < 1", "price < 1 and lot < 3"])
def test_other_filters_are_left_to_sqlite(shop: LocalGallery, where: str) -> None:
    put(shop, range(COUNT), random.Random(0))
    for _ in range(2):
        shop.update([Item(id="i0", photo="x.jpg")])
        assert passing(shop, where) == by_sqlite(shop, where)
    assert columns(shop) == {}


@pytest.mark.parametrize("value", ["text", True, [1], {"a": 1}])
def test_attributes_with_other_values_are_left_to_sqlite(shop: LocalGallery, value: JSON) -> None:
    put(shop, range(COUNT), random.Random(0), held=(1, 2, 3))
    for where in ("price < 3", "price > 1"):
        passing(shop, where)
    assert len(columns(shop)) == 1
    shop.update([Item(id="i5", photo="x.jpg", attributes={"price": value})])
    for where in ("price < 3", "price > 1", "price between 1 and 2"):
        assert passing(shop, where) == by_sqlite(shop, where)
        _, allowed = shop._current.for_search(where, index="auto")
        assert allowed.count < COUNT
        with shop._database.reading() as connection:
            assert reads.filter_of(connection, where)[1].range is None


def test_numbers_that_a_float64_does_not_hold_are_left_to_sqlite(shop: LocalGallery) -> None:
    put(shop, range(COUNT), random.Random(0), held=(2**53 + 1, 2**53, 7))
    for where in ("price > 3", "price > 2", f"price > {2**53}", f"price <= {2**53}"):
        assert passing(shop, where) == by_sqlite(shop, where)
    assert columns(shop) == {1: None}


def test_a_column_is_made_again_after_many_changes(shop: LocalGallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(number_columns, "MOST_CHANGED", 5)
    chance = random.Random(0)
    put(shop, range(COUNT), chance, held=(1, 2, 3))
    for where in ("price < 3", "price > 1"):
        passing(shop, where)
    assert len(columns(shop)) == 1
    shop.update([item(number, chance, held=(1, 2, 3)) for number in range(6)])
    assert passing(shop, "price >= 2") == by_sqlite(shop, "price >= 2")
    assert columns(shop) == {}
    passing(shop, "price >= 1")
    put(shop, range(COUNT, COUNT + 6), chance, held=(1, 2, 3))
    assert len(columns(shop)) == 1
    assert passing(shop, "price <= 2") == by_sqlite(shop, "price <= 2")
    assert columns(shop) == {}


def test_a_column_of_another_history_is_not_used(shop: LocalGallery, tmp_path: Path) -> None:
    put(shop, range(COUNT), random.Random(0), held=(1, 2, 3))
    for where in ("price < 3", "price > 1"):
        passing(shop, where)
    held = shop._current.present()
    assert len(held.columns._made) == 1
    with LocalGallery(tmp_path / "other.gallery", create=True) as other:
        put(other, range(COUNT), random.Random(1), held=(1, 2, 3))
        with other._database.reading() as connection:
            _, clause = reads.filter_of(connection, "price = 2")
            found = held.columns.matching_rows(connection, clause, version=held.version)
        assert set(found.tolist()) == by_sqlite(other, "price = 2") != by_sqlite(shop, "price = 2")
    assert columns(shop) == {}


def test_a_gallery_of_garments_has_no_columns(shop: LocalGallery) -> None:
    put(shop, range(COUNT), random.Random(0), held=(1, 2, 3))
    box = Box(0, 0, 9, 9)
    worn = Item(
        id="worn",
        photo="x.jpg",
        attributes={"price": 2},
        garments=(Garment(box, "dress", 0.9), Garment(box, "hat", 0.8)),
        finder="f",
    )
    rows = np.eye(2, 4, dtype=np.float32)
    shop.add([worn], {"deep": rows}, spaces=SPACES)
    for where in ("price < 3", "price > 1", "price = 2"):
        assert passing(shop, where) == by_sqlite(shop, where)
    assert columns(shop) == {}
