"""Full text of a gallery whose files are spoilt, whose builder is killed, or that others write to meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from lookalike import deadline
from lookalike.deadline import DeadlineError
from lookalike.errors import GalleryClosedError, GalleryDamagedError, LookalikeError
from lookalike.gallery.local.full_text.files import TextFiles
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.local.manifest import write_manifest
from lookalike.gallery.local.metadata_table import ALTERED, put
from lookalike.gallery.local.row_checksums import equip, write_item_checksums
from lookalike.gallery.local.segment_files import StoppedError
from lookalike.gallery.local.version import Version
from lookalike.spaces import Space, unit_rows
from lookalike.types import Item

SPACES = (Space("deep", 4, "tiny@1"),)
COUNT = 1500
MANY = 40_000

ASK = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_words_of_galleries import check
from lookalike.gallery.local.gallery import LocalGallery
print("begun", flush=True)
with LocalGallery(Path(sys.argv[1])) as gallery:
    check(gallery, int(sys.argv[3]))
"""


def an_item(number: int, **attributes: str | int) -> Item:
    title = f"{('red', 'blue', 'green')[number % 3]} coat model{number:05}"
    return Item(id=str(number), photo="a.jpg", attributes={"title": title, "number": number, **attributes})


def put_items(gallery: LocalGallery, numbers: range) -> None:
    vectors = np.random.default_rng(0).standard_normal((len(numbers), 4)).astype(np.float32)
    gallery.add([an_item(number) for number in numbers], {"deep": unit_rows(vectors)}, spaces=SPACES)


def answer(gallery: LocalGallery, *words: str, where: str | None = None) -> list[str]:
    found = gallery.full_text(words, k=10_000_000, where=where)
    items = gallery.items(found.rows.tolist(), version=found.version)
    return [items[row].id for row in found.rows.tolist()]


def check(gallery: LocalGallery, count: int = COUNT) -> None:
    """Rare and frequent words, with a filter, and misspelt, find what is there and nothing else."""
    for number in (0, count // 2, count - 1):
        assert answer(gallery, f"model{number:05}") == [str(number)]
    reds = [str(number) for number in range(0, count, 3)]
    assert answer(gallery, "red") == reds
    assert answer(gallery, "red", where="number < 30") == reds[:10]
    assert len(answer(gallery, "caot")) == count
    assert gallery.verify().problems == ()


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gallery with words in a file."""
    folder = tmp_path_factory.mktemp("pattern") / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        put_items(gallery, range(COUNT))
        check(gallery)
    return folder


@pytest.fixture
def filled(pattern: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(pattern, tmp_path / "shop.gallery"))


def words_file(folder: Path, name: str = "words.db") -> Path:
    (found,) = folder.glob(f"derived/text-*/{name}")
    return found


def overwrite(path: Path, content: bytes, *, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def foreign(folder: Path) -> None:
    """Put the words of another gallery in place of its own."""
    with LocalGallery(folder.parent / "other.gallery", create=True) as other:
        put_items(other, range(1, COUNT + 1))
        other.full_text(["red"], k=1)
    shutil.rmtree(words_file(folder).parent)
    shutil.copytree(words_file(folder.parent / "other.gallery").parent, folder / "derived" / "text-other")


SPOILT: dict[str, Callable[[Path], object]] = {
    "all deleted": lambda folder: shutil.rmtree(folder / "derived"),
    "words deleted": lambda folder: words_file(folder).unlink(),
    "words cut short": lambda folder: os.truncate(words_file(folder), 40_000),
    "no words": lambda folder: os.truncate(words_file(folder), 0),
    "words overwritten": lambda folder: overwrite(words_file(folder), b"\xee" * 4096, at=20_000),
    "one bit": lambda folder: overwrite(
        words_file(folder), bytes([words_file(folder).read_bytes()[30_001] ^ 4]), at=30_001
    ),
    "no stamp": lambda folder: words_file(folder, "stamp.json").unlink(),
    "an empty stamp": lambda folder: words_file(folder, "stamp.json").write_text(""),
    "half a build": lambda folder: words_file(folder).parent.rename(folder / "derived" / ".new-dead"),
    "a file in the way": lambda folder: (folder / "derived" / "text-x").write_text("?"),
    "words of another gallery": foreign,
}


@pytest.mark.parametrize("case", SPOILT)
def test_spoilt_words_are_read_again(filled: Path, case: str) -> None:
    SPOILT[case](filled)
    with LocalGallery(filled) as gallery:
        if case in ("words overwritten", "one bit", "words cut short"):
            (problem,) = gallery.verify().problems
            assert "text-" in problem
            assert "delete it" in problem
        answer(gallery, "red")
        (filled / "derived" / "text-x").unlink(missing_ok=True)
        check(gallery)
        put_items(gallery, range(COUNT, COUNT + 10))
        check(gallery, COUNT + 10)
    assert len(list((filled / "derived").glob(".*"))) <= (case == "half a build")


def test_words_that_are_damaged_while_they_are_open_are_read_again(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        assert answer(gallery, "model00007") == ["7"]
        path = words_file(filled)
        overwrite(path, b"\xee" * (path.stat().st_size - 4096), at=4096)
        check(gallery)


def test_words_may_vanish_under_an_open_reader(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        check(gallery)
        shutil.rmtree(filled / "derived")
        check(gallery)
        put_items(gallery, range(COUNT, COUNT + 5))
        check(gallery, COUNT + 5)


def test_verify_finds_words_that_are_not_those_of_the_items(filled: Path) -> None:
    """As of another program, which changes an item and notes no change."""
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        longer = "replace(attributes, 'coat', 'long coat')"
        equip(connection)
        connection.execute(f"UPDATE items SET attributes = {longer} WHERE row = 7")
        write_item_checksums(connection, [7])
    with LocalGallery(filled) as gallery:
        (problem,) = gallery.verify().problems
        assert problem.startswith("2 texts in ")
        assert "differ from the items" in problem


def without_notes(folder: Path) -> None:
    """Make the records of commits those of versions before full text."""
    with closing(sqlite3.connect(folder / "gallery.db", isolation_level=None)) as connection:
        equip(connection)
        connection.execute("BEGIN")
        for key, value in connection.execute("SELECT key, value FROM meta WHERE key GLOB 'change *'").fetchall():
            put(connection, key, value.partition(ALTERED)[0])
        connection.execute("COMMIT")


def test_a_gallery_from_before_full_text_is_asked_without_indexing_again(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    without_notes(filled)
    with LocalGallery(filled) as gallery:
        check(gallery)
        gallery.override("7", {"title": "velvet"})
        assert answer(gallery, "velvet") == ["7"]


def test_changes_of_an_older_version_are_seen(filled: Path) -> None:
    """Its commits do not say which items changed."""
    with LocalGallery(filled) as gallery:
        assert answer(gallery, "velvet") == []
        gallery.override("7", {"title": "velvet"})
    without_notes(filled)
    with LocalGallery(filled) as gallery:
        assert answer(gallery, "velvet") == ["7"]


def test_a_database_that_is_brought_back_from_a_copy(filled: Path, tmp_path: Path) -> None:
    copy = shutil.copy(filled / "gallery.db", tmp_path / "copy.db")
    with LocalGallery(filled) as gallery, LocalGallery(filled) as other:
        put_items(gallery, range(COUNT, 2 * COUNT))
        gallery.override("7", {"title": "velvet"})
        assert answer(other, "velvet") == ["7"]
        gallery.close()
        shutil.copy(copy, filled / "gallery.db")
        check(gallery)
        check(other)
        gallery.override("9", {"title": "velvet"})  # the commit has the number of the one that is gone
        assert answer(other, "velvet") == answer(gallery, "velvet") == ["9"]


def test_a_read_only_gallery_is_asked_and_not_written_to(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    before = {path.name for path in filled.rglob("*")}
    with LocalGallery(filled, read_only=True) as gallery:
        check(gallery)
    assert {path.name for path in filled.rglob("*")} - before <= {"gallery.db-shm", "gallery.db-wal"}


def test_a_folder_that_cannot_be_written_to_is_asked(filled: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.rmtree(filled / "derived")
    (filled / "derived").write_text("in the way")
    with LocalGallery(filled) as gallery:
        check(gallery)
    assert "words are looked up in memory" in caplog.text


def test_several_processes_may_read_all_words_at_once(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    command = [sys.executable, "-c", ASK, str(filled), str(Path(__file__).parent), str(COUNT)]
    running = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait(120) for process in running] == [0] * 3
    assert len(list(filled.glob("derived/text-*"))) == 1


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gallery whose words take a while to read."""
    folder = tmp_path_factory.mktemp("large") / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        put_items(gallery, range(MANY))
    return folder


def test_a_killed_build_loses_nothing(large: Path) -> None:
    luck = random.Random(0)
    command = [sys.executable, "-c", ASK, str(large), str(Path(__file__).parent), str(MANY)]
    shutil.rmtree(large / "derived", ignore_errors=True)
    for _ in range(4):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(luck.uniform(0.1, 0.6))
            process.send_signal(signal.SIGKILL)
    with LocalGallery(large) as gallery:
        assert answer(gallery, "model01234") == ["1234"]
        assert gallery.verify().problems == ()
    assert len(list(large.glob("derived/text-*"))) == 1
    assert not list(large.glob("derived/.new-*"))


def test_closing_stops_a_build(large: Path) -> None:
    shutil.rmtree(large / "derived", ignore_errors=True)
    gallery = LocalGallery(large)
    ends: list[object] = []

    def ask() -> None:
        try:
            ends.append(answer(gallery, "model01234"))
        except GalleryClosedError as error:
            ends.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.2)
    begun = time.monotonic()
    gallery.close()
    assert time.monotonic() - begun < 5
    thread.join()
    assert ends == [["1234"]] or isinstance(ends[0], GalleryClosedError)
    gallery.close()


def test_a_deadline_does_not_stop_what_all_later_searches_need(large: Path) -> None:
    shutil.rmtree(large / "derived", ignore_errors=True)
    with LocalGallery(large) as gallery:
        with deadline.within(0.01), contextlib.suppress(DeadlineError):  # of the items, which are read afterwards
            assert answer(gallery, "model01234") == ["1234"]
        assert len(list(large.glob("derived/text-*"))) == 1


def test_after_many_changes_a_new_file_is_made_while_searches_go_on(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        check(gallery)
        first = words_file(filled)
        put_items(gallery, range(COUNT, 2 * COUNT - 100))
        until = time.monotonic() + 60
        while first.exists() and time.monotonic() < until:
            assert answer(gallery, f"model{2 * COUNT - 101:05}") == [str(2 * COUNT - 101)]
            time.sleep(0.02)
        assert words_file(filled) != first
        check(gallery, 2 * COUNT - 100)


def test_a_wrong_checksum_of_an_item_is_told(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        connection.execute("UPDATE items SET attributes = replace(attributes, 'coat', 'goat') WHERE row = 7")
    with LocalGallery(filled) as gallery, pytest.raises(GalleryDamagedError, match="the item '6' is damaged"):
        gallery.full_text(["goat"], k=1)


@pytest.mark.parametrize("where", [None, "side = 'left'"])
def test_no_answer_mixes_two_versions(filled: Path, where: str | None) -> None:
    """In each commit exactly one of two items is velvet and left; an answer never has both, or neither."""
    stop = threading.Event()

    def swap() -> None:
        with LocalGallery(filled) as writer:
            turn = 0
            while not stop.is_set():
                turn += 1
                sides = [("velvet", "left"), ("linen", "right")]
                changed = [
                    Item(id=str(each), photo="a.jpg", attributes={"title": title, "side": side})
                    for each, (title, side) in zip((7, 8), sides[:: 1 if turn % 2 else -1], strict=True)
                ]
                writer.update(changed)

    with LocalGallery(filled) as gallery:
        gallery.update([an_item(7, side="left", title="velvet"), an_item(8, side="right", title="linen")])
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            for _ in range(60):
                found = gallery.full_text(["velvet"], k=9, where=where)
                assert len(found.rows) == 1
        finally:
            stop.set()
            thread.join()


def test_a_filter_is_evaluated_at_the_version_of_the_words(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit comes between the filter and the words."""
    with LocalGallery(filled) as gallery:
        gallery.override("7", {"title": "velvet", "side": "left"})
        gallery.override("8", {"title": "velvet", "side": "right"})
        assert answer(gallery, "velvet", where="side = 'left'") == ["7"]
        before = gallery._current.for_search("side = 'left'", index="exact")
        gallery.override("7", {"side": "right"})
        gallery.override("8", {"side": "left"})
        monkeypatch.setattr(gallery._current, "for_search", lambda where, *, index: before)
        assert answer(gallery, "velvet", where="side = 'left'") == ["8"]


@pytest.mark.parametrize("count", [200, COUNT])
def test_words_of_half_a_copy_are_not_kept(tmp_path: Path, count: int) -> None:
    """The database is written over from its beginning, as `rsync --inplace` does, and asked in between."""
    for name, first in (("shop", 10_000), ("other", 20_000)):
        with LocalGallery(tmp_path / f"{name}.gallery", create=True) as gallery:
            put_items(gallery, range(first, first + count))
    old, new = ((tmp_path / f"{name}.gallery" / "gallery.db").read_bytes() for name in ("shop", "other"))
    assert len(old) == len(new)
    pages = len(new) // 16384
    for cut in range(1, pages, max(1, pages // 6)):
        place = shutil.copytree(tmp_path / "shop.gallery", tmp_path / f"{cut}.gallery")
        with LocalGallery(place) as gallery:
            assert answer(gallery, "model10007") == ["10007"]
            overwrite(place / "gallery.db", new[: cut * 16384], at=0)
            time.sleep(0.02)  # more than a step of the file system's clock
            with contextlib.suppress(LookalikeError):  # it is a mixture just now
                answer(gallery, "coat")
            time.sleep(0.02)
            overwrite(place / "gallery.db", new[cut * 16384 :], at=cut * 16384)
            check_second(gallery, count)
        with LocalGallery(place) as gallery:
            check_second(gallery, count)


def check_second(gallery: LocalGallery, count: int) -> None:
    assert sorted(answer(gallery, "coat")) == [str(number) for number in range(20_000, 20_000 + count)]
    assert answer(gallery, "model20007") == ["20007"]
    assert gallery.full_text(["model10007"], k=1).unknown == ("model10007",)


def test_tables_of_another_program_are_not_read(filled: Path) -> None:
    folder = words_file(filled).parent
    with LocalGallery(filled) as gallery, gallery._database.reading() as connection:
        version = Version.now(connection)
    with closing(sqlite3.connect(folder / "words.db")) as connection, connection:
        connection.execute("CREATE VIEW mine AS SELECT 1")
    (folder / "stamp.json").unlink()
    write_manifest(folder, version)
    with LocalGallery(filled) as gallery:
        (problem,) = gallery.verify().problems
        assert "words.db has other tables" in problem
        check(gallery)


def test_a_build_stops_when_it_is_asked_to(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    stop = threading.Event()
    stop.set()
    with LocalGallery(filled) as gallery, gallery._database.reading() as connection:
        with pytest.raises(StoppedError):
            TextFiles(filled).build(connection, stop=stop)
        assert list((filled / "derived").iterdir()) == []
