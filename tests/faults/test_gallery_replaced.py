"""A gallery that is moved, deleted, replaced or brought back from a copy while it is open elsewhere."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.embedding.model_choice import ModelFile
from lookalike.errors import (
    GalleryDamagedError,
    GalleryGoneError,
    GalleryNotFoundError,
    GalleryReplacedError,
    LookalikeError,
    MismatchError,
)
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.retriever import Retriever
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item, Neighbours

SPACES = [Space("deep", 32, "tiny@1")]
COUNT = 1200


def rows_of(seed: int, count: int = COUNT) -> Float32:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, 32), dtype=np.float32))


def fill(folder: Path, rows: Float32, *, spaces: list[Space] = SPACES) -> None:
    """Number the rows; every other has the attribute `even`."""
    with LocalGallery(folder, create=True) as gallery:
        items = [Item(id=str(at), photo="x.jpg", attributes={"even": at % 2 == 0}) for at in range(len(rows))]
        gallery.add(items, {spaces[0].name: rows}, spaces=spaces)
        gallery.optimise()


def check(gallery: LocalGallery, rows: Float32) -> None:
    """Compare answers with a scan of the rows, written out."""
    asked = rows_of(99, 3)
    scores = asked @ rows.T
    assert len(gallery) == len(rows)
    for where, allowed in ((None, np.ones(len(rows), bool)), ("even = true", np.arange(len(rows)) % 2 == 0)):
        best = np.argsort(-np.where(allowed, scores, -2), axis=1, kind="stable")[:, :5]
        for index in ("exact", "auto"):
            found = gallery.search({"deep": asked}, SearchRequest(k=5, where=where, index=index))
            named = gallery.items(found.rows.reshape(-1).tolist())
            assert [[int(named[row].id) for row in line] for line in found.rows.tolist()] == best.tolist()
            np.testing.assert_allclose(found.scores, np.take_along_axis(scores, best, axis=1), atol=1e-5)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A gallery that will be replaced."""
    fill(tmp_path / "shop.gallery", rows_of(1))
    return tmp_path / "shop.gallery"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """What will take its place: as many items of the same ids and row numbers, and other vectors."""
    fill(tmp_path / "other.gallery", rows_of(2))
    return tmp_path / "other.gallery"


def by_backup(shop: Path, other: Path) -> None:
    with closing(sqlite3.connect(other / "gallery.db")) as source, closing(sqlite3.connect(shop / "gallery.db")) as to:
        source.backup(to)


def by_move(shop: Path, other: Path) -> None:
    shop.rename(shop.with_name("old.gallery"))
    other.rename(shop)


def by_copy_without_helpers(shop: Path, other: Path) -> None:
    shutil.copyfile(other / "gallery.db", shop / "gallery.db")
    for name in ("gallery.db-wal", "gallery.db-shm"):
        (shop / name).unlink(missing_ok=True)


def by_deletion(shop: Path, other: Path) -> None:
    shutil.rmtree(shop)
    other.rename(shop)


def by_new_files(shop: Path, other: Path) -> None:
    for path in shop.iterdir():
        path.unlink() if path.is_file() else shutil.rmtree(path)
    shutil.copytree(other, shop, dirs_exist_ok=True)


WAYS: dict[str, Callable[[Path, Path], object]] = {
    "SQLite's backup": by_backup,
    "copied over": lambda shop, other: shutil.copyfile(other / "gallery.db", shop / "gallery.db"),
    "copied over with its time": lambda shop, other: shutil.copy2(other / "gallery.db", shop / "gallery.db"),
    "copied over without helpers": by_copy_without_helpers,
    "folder moved": by_move,
    "file moved": lambda shop, other: (other / "gallery.db").replace(shop / "gallery.db"),
    "deleted and moved": by_deletion,
    "emptied and filled": by_new_files,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("unsaved", [False, True])
def test_follows_what_takes_its_place(shop: Path, other: Path, way: str, unsaved: bool) -> None:
    """Also when it was written to a moment before."""
    with LocalGallery(shop) as gallery:
        check(gallery, rows_of(1))
        if unsaved:
            gallery.remove(["7"])
            gallery.add([Item(id="7", photo="x.jpg")], {"deep": rows_of(1)[7:8]}, spaces=SPACES)
        WAYS[way](shop, other)
        check(gallery, rows_of(2))
        gallery.optimise()
        check(gallery, rows_of(2))
        gallery.add([Item(id=str(COUNT), photo="x.jpg")], {"deep": rows_of(3, 1)}, spaces=SPACES)
        gallery.update([Item(id=str(COUNT), photo="x.jpg", attributes={"even": True})])
        with LocalGallery(shop) as again:
            for opened in (gallery, again):
                check(opened, np.concatenate([rows_of(2), rows_of(3, 1)]))
                assert opened.verify().problems == ()


def test_follows_its_own_past_and_another_future(shop: Path, tmp_path: Path) -> None:
    """The counts, the row numbers and the generation are the same; only what was committed is not."""
    copy = tmp_path / "copy.db"
    with LocalGallery(shop) as gallery, LocalGallery(shop) as another:
        shutil.copyfile(shop / "gallery.db", copy)
        for future in (5, 6):
            gallery.add(
                [Item(id=str(COUNT + at), photo="x.jpg", attributes={"even": at % 2 == 0}) for at in range(COUNT)],
                {"deep": rows_of(future)},
                spaces=SPACES,
            )
            for opened in (gallery, another):
                check(opened, np.concatenate([rows_of(1), rows_of(future)]))
            with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(shop / "gallery.db")) as to:
                source.backup(to)
            if future == 5:
                continue  # what follows comes to the same count of commits, unseen
            for opened in (gallery, another):
                check(opened, rows_of(1))


@pytest.fixture
def opened(shop: Path) -> Iterator[LocalGallery]:
    with LocalGallery(shop) as gallery:
        check(gallery, rows_of(1))
        yield gallery


def test_says_that_it_is_gone_and_writes_nothing(shop: Path, opened: LocalGallery) -> None:
    shutil.rmtree(shop)
    item = Item(id="new", photo="x.jpg")
    for ask in (
        lambda: opened.search({"deep": rows_of(1, 1)}, SearchRequest()),
        lambda: len(opened),
        lambda: opened.get("1"),
        lambda: list(opened.rows()),
        lambda: opened.add([item], {"deep": rows_of(3, 1)}, spaces=SPACES),
        lambda: opened.remove(["1"]),
        opened.compact,
        opened.optimise,
        opened.verify,
    ):
        with pytest.raises(GalleryGoneError, match=r"there is no gallery at .* any more: it was moved or deleted"):
            ask()
    assert not shop.exists()
    fill(shop, rows_of(4))  # index again
    check(opened, rows_of(4))


def test_refuses_what_is_no_gallery_or_holds_other_vectors(shop: Path, opened: LocalGallery) -> None:
    (shop / "gallery.db").unlink()
    with closing(sqlite3.connect(shop / "gallery.db")) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(GalleryNotFoundError, match="not a gallery's"):
        len(opened)
    shutil.rmtree(shop)
    wider = unit_rows(np.random.default_rng(0).standard_normal((5, 48), dtype=np.float32))
    fill(shop, wider, spaces=[Space("deep", 48, "other@1")])
    with pytest.raises(MismatchError):
        opened.search({"deep": rows_of(1, 1)}, SearchRequest())
    with pytest.raises(MismatchError, match="the gallery has the spaces"):
        opened.add([Item(id="x", photo="x.jpg")], {"deep": rows_of(1, 1)}, spaces=SPACES)
    assert opened.search({"deep": wider[:1]}, SearchRequest(k=1)).scores[0, 0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("way", ["folder moved", "deleted and moved", "emptied and filled"])
def test_acknowledges_no_write_to_what_was_replaced_meanwhile(shop: Path, other: Path, way: str) -> None:
    """Replaced while the writer is in the middle of a run of batches, and of a batch."""
    with LocalGallery(shop) as gallery:
        with gallery.writing():
            gallery.remove(["1"])
            WAYS[way](shop, other)
            with pytest.raises(GalleryGoneError):
                gallery.remove(["2"])
        gallery.remove(["3"])
        assert len(gallery) == COUNT - 1
    with LocalGallery(shop) as gallery:
        assert {"1", "2"} <= {item.id for item in gallery.list(limit=None)[1]}


def test_acknowledges_no_write_when_it_is_moved_within_the_transaction(shop: Path, other: Path) -> None:
    with LocalGallery(shop) as gallery:
        with (
            pytest.raises(GalleryGoneError, match="lacks this change"),
            gallery._database.writing() as writer,
        ):
            writer.execute("UPDATE items SET photo = 'y.jpg'")
            by_move(shop, other)
        assert gallery.get("1").photo == "x.jpg"
        check(gallery, rows_of(2))


def test_readers_and_a_replacement_in_the_middle(shop: Path, other: Path) -> None:
    """Searches of several threads get the old answer, the new one, or one clear error; begun later, the new one."""
    right = {seed: float((rows_of(99, 3) @ rows_of(seed).T).max(axis=1)[0]) for seed in (1, 2)}
    seen: list[float | str] = []
    later: list[float | str] = []
    moved, stop = threading.Event(), threading.Event()
    with LocalGallery(shop) as gallery:

        def ask() -> None:
            while not stop.is_set():
                answers = later if moved.is_set() else seen
                try:
                    answers.append(float(gallery.search({"deep": rows_of(99, 3)}, SearchRequest(k=1)).scores[0, 0]))
                except LookalikeError as error:
                    answers.append(str(error))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        while len(seen) < 20:
            stop.wait(0.01)
        by_move(shop, other)
        moved.set()
        while len(later) < 40:
            stop.wait(0.01)
        stop.set()
        for thread in threads:
            thread.join()
        check(gallery, rows_of(2))
    assert later == [pytest.approx(right[2], abs=1e-5)] * len(later)
    assert all(min(abs(value - score) for score in right.values()) < 1e-5 for value in seen if isinstance(value, float))
    assert all("\n" not in value for value in seen if isinstance(value, str))


def test_names_no_items_for_rows_of_another_history(shop: Path, other: Path, tmp_path: Path) -> None:
    """Replaced between a search and the look at what it found; a commit alone is no reason to ask again."""
    copy = tmp_path / "copy.db"
    item, row = Item(id="new", photo="x.jpg"), rows_of(3, 1)
    with LocalGallery(shop) as gallery:
        shutil.copyfile(shop / "gallery.db", copy)
        found = gallery.search({"deep": rows_of(1, 1)}, SearchRequest(k=5))
        rows = found.rows[0].tolist()
        gallery.add([item], {"deep": row}, spaces=SPACES)
        assert gallery.items(rows, version=found.version)[rows[0]].id == "0"
        assert gallery.unit_vectors(rows, version=found.version)["deep"][0] == pytest.approx(rows_of(1)[0], abs=1e-6)
        later = gallery.search({"deep": row}, SearchRequest(k=5))
        with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(shop / "gallery.db")) as to:
            source.backup(to)
        assert gallery.items(rows, version=found.version)[rows[0]].id == "0"  # its own past
        gallery.add([Item(id="another", photo="x.jpg")], {"deep": rows_of(4, 1)}, spaces=SPACES)
        for version in (later.version, found.version):
            if version is found.version:
                by_backup(shop, other)
            with pytest.raises(GalleryReplacedError, match="search again"):
                gallery.items(rows, version=version)
            with pytest.raises(GalleryReplacedError, match="search again"):
                gallery.unit_vectors(rows, version=version)


@pytest.mark.parametrize("refined", [{}, {"expand": 3}, {"rerank": 20}])
@pytest.mark.parametrize("way", ["SQLite's backup", "folder moved"])
def test_an_answer_is_of_one_state(
    shop: Path, other: Path, way: str, refined: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replaced right after the search: the answer is what the gallery says now to the same vectors."""
    ways = [WAYS[way]]
    with LocalGallery(shop) as gallery:
        asked = gallery.vectors("5")["deep"]
        search = gallery.search

        def search_and_replace(*args: Any, **options: Any) -> Neighbours:
            found = search(*args, **options)
            if ways:
                ways.pop()(shop, other)
            return found

        monkeypatch.setattr(gallery, "search", search_and_replace)
        answer = Retriever(gallery, ModelFile(None)).search(item="5", k=5, **refined)
        assert not ways
    truth = rows_of(2) @ asked[0]
    assert [match.score for match in answer.matches] == pytest.approx(
        [float(truth[int(match.item.id)]) for match in answer.matches], abs=1e-5
    )


@pytest.mark.parametrize("count", [60, COUNT])
def test_what_was_read_of_half_a_copy_is_not_kept(tmp_path: Path, count: int) -> None:
    """The database is written over from its beginning, as `rsync --inplace` does, and asked in between."""
    fill(tmp_path / "other.gallery", rows_of(2, count))
    fill(tmp_path / "shop.gallery", rows_of(1, count))
    old, new = ((tmp_path / f"{name}.gallery" / "gallery.db").read_bytes() for name in ("shop", "other"))
    assert len(old) == len(new)
    pages = len(new) // 16384
    for cut in range(1, pages, max(1, pages // 6)):
        place = shutil.copytree(tmp_path / "shop.gallery", tmp_path / f"{cut}.gallery")
        with LocalGallery(place) as gallery:
            check(gallery, rows_of(1, count))
            write_over(place / "gallery.db", new, 0, cut * 16384)
            time.sleep(0.02)  # more than a step of the file system's clock
            with contextlib.suppress(LookalikeError):  # it is a mixture just now
                gallery.search({"deep": rows_of(99, 1)}, SearchRequest(k=5))
                gallery.search({"deep": rows_of(99, 1)}, SearchRequest(k=5, index="exact"))
            time.sleep(0.02)
            write_over(place / "gallery.db", new, cut * 16384, len(new))
            check(gallery, rows_of(2, count))
        with LocalGallery(place) as gallery:
            check(gallery, rows_of(2, count))


def write_over(database: Path, content: bytes, start: int, end: int) -> None:
    with database.open("r+b") as file:
        file.seek(start)
        file.write(content[start:end])


@pytest.mark.parametrize("asked", [False, True])
def test_a_log_is_not_moved_into_what_was_copied_over_its_database(shop: Path, other: Path, asked: bool) -> None:
    """Commits stayed in the log, for a reader was in the way; closing the last connection would move them then."""
    gallery = LocalGallery(shop)
    with closing(sqlite3.connect(f"file:{shop}/gallery.db?mode=ro", uri=True)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM items").fetchone()
        gallery.remove(["7"])
    assert (shop / "gallery.db-wal").stat().st_size
    subprocess.run(["cp", other / "gallery.db", shop / "gallery.db"], check=True)
    for write in (False, True) if asked else ():
        with pytest.raises(GalleryDamagedError, match="holds commits to another database than the one beside it"):
            gallery.remove(["8"]) if write else gallery.search({"deep": rows_of(99, 1)}, SearchRequest(k=5))
    gallery.close()
    assert (shop / "gallery.db").read_bytes() == (other / "gallery.db").read_bytes()
    (shop / "gallery.db-wal").unlink()
    with LocalGallery(shop) as gallery:
        check(gallery, rows_of(2))
        assert gallery.verify().problems == ()
