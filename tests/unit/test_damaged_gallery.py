"""A gallery's files that are damaged while it is open, and what `verify` says of each kind of damage."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import GalleryDamagedError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

ITEMS = 1500
SPACES = [Space("deep", 32, "tests")]


def vectors() -> dict[str, Float32]:
    return {"deep": unit_rows(np.random.default_rng(0).standard_normal((ITEMS, 32), dtype=np.float32))}


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    folder = tmp_path / "shop.gallery"
    items = [Item(id=f"i{number}", photo="x.jpg", attributes={"price": number}) for number in range(ITEMS)]
    with LocalGallery(folder, create=True) as gallery:
        gallery.add(items, vectors(), spaces=SPACES)
        gallery.optimise()
        gallery.search({"deep": vectors()["deep"][:1]}, SearchRequest(index="ivf"))
    return folder


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3 + 3] ^= 0x40  # of the rows, the exponent of a number of row 500
    with path.open("r+b") as file:
        file.write(content)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("change", [flip, cut, empty])
@pytest.mark.parametrize("index", ["exact", "ivf", "hnsw"])
@pytest.mark.parametrize("file", ["unit.f32", "index-ivf"])
@pytest.mark.parametrize("read_only", [False, True])
def test_rows_that_are_damaged_under_an_open_gallery_are_derived_again(
    filled: Path,
    change: Callable[[Path], None],
    index: str,
    file: str,
    read_only: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    query = {"deep": vectors()["deep"][490:510]}
    with LocalGallery(filled, read_only=read_only) as gallery:
        before = gallery.search(query, SearchRequest(k=3, index=index))
        [path] = filled.glob(f"derived/*/{file}")
        change(path)
        after = gallery.search(query, SearchRequest(k=3, index=index))
        np.testing.assert_array_equal(after.rows[:, 0], before.rows[:, 0])
        np.testing.assert_allclose(after.scores, before.scores, atol=1e-6)
        if file == "unit.f32":
            assert "built from the database again" in caplog.text
        assert after.rows[:, 0].tolist() == list(range(491, 511))
    if not read_only and file == "unit.f32":
        with LocalGallery(filled) as gallery:
            assert gallery.verify().problems == ()


DAMAGES = {
    "not a number": "UPDATE vectors SET unit = CAST(x'0000c07f' || substr(unit, 5) AS BLOB) WHERE row = 7",
    "huge": "UPDATE vectors SET unit = CAST(x'ffff7f7f' || substr(unit, 5) AS BLOB) WHERE row = 7",
    "a raw row": "UPDATE vectors SET raw = CAST(x'0000807f' || substr(unit, 5) AS BLOB) WHERE row = 7",
    "swapped rows": "UPDATE vectors SET unit = (SELECT unit FROM vectors WHERE row = 8), checksum = "
    "(SELECT checksum FROM vectors WHERE row = 8) WHERE row = 7",
    "an attribute": """UPDATE items SET attributes = '{"1": 8}' WHERE row = 7""",
    "invalid text": "UPDATE items SET product = CAST(x'ff' AS TEXT) WHERE row = 7",
    "a photo": "UPDATE items SET photo = 'y.jpg' WHERE row = 7",
    "a name": "UPDATE attribute_names SET name = 'prise'",
    "no name": "DELETE FROM attribute_names",
    "spaces": """UPDATE meta SET value = '[["deep", 32, "other"]]' WHERE key = 'spaces'""",
    "spaces that are none": "UPDATE meta SET value = '[[' WHERE key = 'spaces'",
    "no spaces": "DELETE FROM meta WHERE key = 'spaces'",
    "a counter": "UPDATE meta SET value = 'many' WHERE key = 'items'",
    "a removal": "INSERT INTO removed VALUES (1, 7, 0)",
    "no table": "DROP TABLE edits",
    "another table": "ALTER TABLE removed ADD COLUMN more TEXT",
    "no index": "DROP INDEX items_by_source",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_the_database_is_found_by_verify_and_never_answered(filled: Path, damage: str) -> None:
    with LocalGallery(filled) as gallery:
        assert gallery.verify().problems == ()
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        connection.execute(DAMAGES[damage])
    for old in filled.glob("derived/*/*"):
        old.unlink()
    with LocalGallery(filled) as gallery:
        assert gallery.verify().problems
        with pytest.raises(GalleryDamagedError, match="lookalike gallery verify"):
            gallery.search({"deep": vectors()["deep"][6:7]}, SearchRequest(k=3, where="price >= 0"))
            gallery.get("i6")


FOREIGN = {
    "a trigger": "CREATE TRIGGER other {TAKES}",
    "a trigger named like a table": "CREATE TRIGGER removed {TAKES}; DROP TABLE removed; {REMOVED}",
    "a trigger named like SQLite's": """
        CREATE TRIGGER other {TAKES};
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET name = 'sqlite_other', sql = replace(sql, 'other', 'sqlite_other') WHERE name = 'other'
    """,
    "a view": "DROP TABLE edits; CREATE VIEW edits AS SELECT id, id AS described, 0 AS checksum FROM items",
    "a view named like SQLite's": """
        CREATE VIEW other AS SELECT 1;
        PRAGMA writable_schema = ON;
        UPDATE sqlite_schema SET name = 'sqlite_other', tbl_name = 'sqlite_other',
            sql = replace(sql, 'other', 'sqlite_other') WHERE name = 'other'
    """,
}
TAKES = "AFTER INSERT ON vectors BEGIN DELETE FROM items WHERE row < new.row - 3; END"


@pytest.mark.parametrize("made", FOREIGN)
def test_no_sql_in_the_database_of_another_program_is_run(filled: Path, made: str) -> None:
    with closing(sqlite3.connect(filled / "gallery.db", isolation_level=None)) as connection:
        (removed,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'removed'").fetchone()
        connection.executescript(FOREIGN[made].replace("{TAKES}", TAKES).replace("{REMOVED}", removed))
    with LocalGallery(filled) as gallery:
        with pytest.raises(GalleryDamagedError, match=r"is damaged: the (table|trigger|view)"):
            gallery.add([Item(id="new", photo="x.jpg")], {"deep": vectors()["deep"][:1]}, spaces=SPACES)
        with pytest.raises(GalleryDamagedError, match=r"is damaged: the (table|trigger|view)"):
            next(gallery.records())
        assert any("differs from the schema" in problem for problem in gallery.verify().problems)
    with closing(sqlite3.connect(filled / "gallery.db")) as connection:
        assert connection.execute("SELECT count(*) FROM items").fetchone() == (ITEMS,)


def test_statistics_of_the_database_are_no_damage(filled: Path) -> None:
    with closing(sqlite3.connect(filled / "gallery.db", isolation_level=None)) as connection:
        connection.execute("ANALYZE")
    with LocalGallery(filled) as gallery:
        assert gallery.verify().problems == ()


def test_an_item_that_its_index_does_not_find_is_damage_and_not_unknown(filled: Path) -> None:
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        connection.execute("PRAGMA writable_schema = ON")
        root = "(SELECT rootpage FROM sqlite_schema WHERE name = 'items_by_source')"
        connection.execute(f"UPDATE sqlite_schema SET rootpage = {root} WHERE name = 'sqlite_autoindex_items_1'")
    with pytest.raises(GalleryDamagedError), LocalGallery(filled) as gallery:
        gallery.get("i6")
