"""The write-ahead log after a kill: damaged, cut or beside another database, it is noticed, or nothing is missing."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest

from fault_tries import Tries
from lookalike.errors import GalleryDamagedError, LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.wal import read_log
from lookalike.spaces import Space, unit_rows
from lookalike.types import Item

SPACES = [Space("deep", 32, "tests")]


def add(gallery: LocalGallery, name: str) -> None:
    luck = np.random.default_rng(len(name))
    rows = unit_rows(luck.standard_normal((40, 32), dtype=np.float32))
    gallery.add([Item(id=f"{name} {at}", photo=f"{at}.jpg") for at in range(40)], {"deep": rows}, spaces=SPACES)


def names(gallery: Path) -> set[str]:
    with LocalGallery(gallery) as opened:
        return {item.id.split()[0] for item in opened.list(limit=None)[1]}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A gallery whose writer was killed with four commits in its log, and one from before them; and another gallery."""
    folder = tmp_path_factory.mktemp("log")
    with LocalGallery(folder / "old.gallery", create=True) as gallery:
        add(gallery, "first")
    shutil.copytree(folder / "old.gallery", folder / "shop.gallery")
    with LocalGallery(folder / "other.gallery", create=True) as gallery:
        add(gallery, "other")
    with LocalGallery(folder / "shop.gallery") as gallery:
        add(gallery, "second")
    child = os.fork()
    if child == 0:
        reader = sqlite3.connect(folder / "shop.gallery" / "gallery.db")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()  # so that the log cannot be emptied
        writer = LocalGallery(folder / "shop.gallery")
        for name in ("third", "fourth", "fifth", "sixth"):
            add(writer, name)
        os._exit(0)
    os.waitpid(child, 0)
    assert (folder / "shop.gallery" / "gallery.db-wal").stat().st_size > 4 * 16384
    return {name: folder / f"{name}.gallery" for name in ("shop", "old", "other")}


WHOLE = {"first", "second", "third", "fourth", "fifth", "sixth"}


def test_the_frames_that_are_counted_are_those_that_sqlite_counts(killed: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(killed["shop"], tmp_path / "shop.gallery")
    found = read_log(copy / "gallery.db")
    with closing(sqlite3.connect(copy / "gallery.db")) as connection:
        _, frames, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert found is not None
    assert found[1] == frames > 4


def test_an_undamaged_log_is_read_to_its_end(killed: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(killed["shop"], tmp_path / "shop.gallery")
    assert names(copy) == WHOLE
    assert names(copy) == WHOLE


def test_a_damaged_log_is_noticed(killed: dict[str, Path], tmp_path: Path, tries: Tries, luck: Random) -> None:
    """All commits are found, or one line says what is damaged; never fewer."""
    refused = 0
    for at in range(tries("damage-log", short=12, long=1000)):
        copy = shutil.copytree(killed["shop"], tmp_path / f"{at}.gallery")
        log = copy / "gallery.db-wal"
        data = bytearray(log.read_bytes())
        place = luck.choice([luck.randrange(len(data)), luck.randrange(32)])
        way = luck.choice(["bit", "page", "cut"])
        if way == "bit":
            data[place] ^= 1 << luck.randrange(8)
        elif way == "page":
            start = place // 4096 * 4096
            data[start : start + 4096] = bytes(len(data[start : start + 4096]))
        else:
            del data[max(place, 1) :]
        log.write_bytes(data)
        try:
            assert names(copy) == WHOLE, (at, way, place)
        except LookalikeError as error:
            assert "\n" not in str(error)
            assert isinstance(error, GalleryDamagedError), (at, way, place)
            refused += 1
        shutil.rmtree(copy)
    assert refused


@pytest.mark.parametrize("beside", ["old", "other"])
def test_a_log_beside_another_database_is_noticed(killed: dict[str, Path], tmp_path: Path, beside: str) -> None:
    copy = shutil.copytree(killed["shop"], tmp_path / "shop.gallery")
    shutil.copyfile(killed[beside] / "gallery.db", copy / "gallery.db")
    with pytest.raises(GalleryDamagedError, match="holds commits to another database than the one beside it"):
        names(copy)
    (copy / "gallery.db-wal").unlink()
    assert names(copy) == ({"first"} if beside == "old" else {"other"})


def test_a_log_that_is_half_in_the_database_is_its_own(killed: dict[str, Path], tmp_path: Path) -> None:
    """A kill while commits are moved into the database, at any page of it."""
    whole = shutil.copytree(killed["shop"], tmp_path / "whole.gallery")
    assert names(whole) == WHOLE
    with closing(sqlite3.connect(whole / "gallery.db")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    moved = (whole / "gallery.db").read_bytes()
    before = (killed["shop"] / "gallery.db").read_bytes()
    size = 16384
    for pages in range(len(moved) // size + 1):
        copy = shutil.copytree(killed["shop"], tmp_path / f"{pages}.gallery")
        (copy / "gallery.db").write_bytes(moved[: pages * size] + before[pages * size :])
        assert names(copy) == WHOLE, pages


def test_a_log_is_followed_once_it_is_emptied(killed: dict[str, Path], tmp_path: Path) -> None:
    copy = shutil.copytree(killed["shop"], tmp_path / "shop.gallery")
    with LocalGallery(copy) as gallery:
        add(gallery, "seventh")
    assert not (copy / "gallery.db-commits").exists()
    shutil.copyfile(killed["old"] / "gallery.db", copy / "gallery.db")
    assert names(copy) == {"first"}


@pytest.mark.parametrize("after", [0, 1, 3])
@pytest.mark.parametrize("moved", ["never", "before", "after", "before and after"])
@pytest.mark.parametrize("brought_back", [("first",), ("third",), ("first", "third"), ("third", "first")])
def test_a_backup_brought_back_through_the_log_belongs_on_any_state(
    tmp_path: Path, brought_back: tuple[str, ...], moved: str, after: int
) -> None:
    """Commits of several histories are in the log, and any of them may have been moved into the database."""
    folder = tmp_path / "shop.gallery"
    database, expected = folder / "gallery.db", {"first", "second", "third", "fourth"}
    with LocalGallery(folder, create=True) as gallery, closing(Holder(database)) as holder:
        for name in ("first", "second", "third", "fourth"):
            if name == "third":
                holder.hold()
            add(gallery, name)
            copy_database(database, tmp_path / f"{name}.db")
        for which in brought_back:
            if "before" in moved:
                holder.move()
            copy_database(tmp_path / f"{which}.db", database)
            expected = {"first"} if which == "first" else {"first", "second", "third"}
            assert names(folder) == expected
            if "after" in moved:
                holder.move()
                assert names(folder) == expected
            for number in range(after):
                add(gallery, f"{number} after {which}")
                expected.add(f"{number}")
                assert names(folder) == expected
        assert (folder / "gallery.db-commits").exists()
        holder.move()
        assert names(folder) == expected
    assert names(folder) == expected


def copy_database(source: Path, to: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(to)) as other:
        one.backup(other)


class Holder:
    """Keeps the log of a database from being begun again."""

    def __init__(self, database: Path) -> None:
        self.database = database
        self.readers: list[sqlite3.Connection] = []

    def hold(self) -> None:
        reader = sqlite3.connect(self.database)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()
        self.readers.append(reader)

    def move(self) -> None:
        """Move all commits into the database, read from what is newest in the log now."""
        self.hold()
        for reader in self.readers[:-1]:
            reader.close()
        del self.readers[:-1]
        with closing(sqlite3.connect(self.database)) as connection:
            busy, frames, moved = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        assert (busy, moved) == (0, frames)

    def close(self) -> None:
        for reader in self.readers:
            reader.close()
