"""Indexes over attributes: made for the first filter of a large gallery, used by later ones, and no damage."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import GalleryDamagedError
from lookalike.gallery.filters.clause import Clause
from lookalike.gallery.local import attribute_indexes, reads
from lookalike.gallery.local.database import Database
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

ITEMS = 400
SPACES = [Space("deep", 16, "tests")]
WHERE = "price >= 30 and price < 40"


def vectors(count: int = ITEMS) -> dict[str, Float32]:
    return {"deep": unit_rows(np.random.default_rng(0).standard_normal((count, 16), dtype=np.float32))}


def item(number: int) -> Item:
    return Item(id=f"i{number}", photo="x.jpg", attributes={"price": number % 100})


@pytest.fixture
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(attribute_indexes, "WORTH_IT", ITEMS)
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        gallery.add([item(number) for number in range(ITEMS)], vectors(), spaces=SPACES)
        gallery.search({"deep": vectors()["deep"][:1]}, SearchRequest(k=3, where=WHERE))
    return tmp_path / "shop.gallery"


def indexes(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "gallery.db")) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 'items_by_a*'")]


def test_a_filter_makes_an_index_that_later_filters_use(filled: Path) -> None:
    assert indexes(filled) == ["items_by_attribute_1"]
    with LocalGallery(filled) as gallery, gallery._database.viewing() as reader:
        clause = reads.filter_of(reader.connection, WHERE)[1]
        plan = reader.connection.execute(
            f"EXPLAIN QUERY PLAN SELECT row FROM items WHERE {clause.sql}", clause.parameters
        )
        assert any("items_by_attribute_1" in step[-1] for step in plan)


def test_an_index_is_looked_for_once_between_two_commits(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[frozenset[int]] = []
    make = attribute_indexes.make_missing

    def told(database: Database, clause: Clause, *, count: int) -> None:
        asked.append(clause.attributes)
        make(database, clause, count=count)

    monkeypatch.setattr(attribute_indexes, "make_missing", told)
    with LocalGallery(filled) as gallery:
        for price in (1, 2, 3):
            gallery.prepare_filter(f"price < {price}")
        assert asked == [{1}]
        gallery.update([Item(id="i3", photo="x.jpg", attributes={"price": 3, "size": 4})])
        for where in ("price < 4", "size = 4", "size = 4 and price = 3", "price < 5"):
            gallery.prepare_filter(where)
        assert asked == [{1}, {1}, {2}, {1, 2}]  # making the index of `size` is a commit
    assert indexes(filled) == ["items_by_attribute_1", "items_by_attribute_2"]


def test_a_gallery_with_an_index_is_read_written_and_verified(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        gallery.add([item(1035)], vectors(1), spaces=SPACES)
        found = gallery.search({"deep": vectors()["deep"][:1]}, SearchRequest(k=100, where=WHERE))
        items = gallery.items(found.rows[0].tolist(), version=found.version).values()
        assert {each.id for each in items} == {
            f"i{number}" for number in (*range(ITEMS), 1035) if 30 <= number % 100 < 40
        }
        assert gallery.verify().problems == ()


def test_a_trigger_that_comes_while_the_gallery_is_open_is_not_run(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        gallery.add([item(500)], vectors(1), spaces=SPACES)
        with closing(sqlite3.connect(filled / "gallery.db")) as connection:
            connection.execute("CREATE TRIGGER other AFTER INSERT ON vectors BEGIN DELETE FROM items; END")
        with pytest.raises(GalleryDamagedError, match="the trigger other differs"):
            gallery.add([item(501)], vectors(1), spaces=SPACES)
    with closing(sqlite3.connect(filled / "gallery.db")) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (ITEMS + 1,)
