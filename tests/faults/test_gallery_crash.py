"""A gallery whose writer is killed, whose derived files are spoilt, or that several processes want at once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import (
    GalleryDamagedError,
    GalleryLockedError,
    GalleryNotFoundError,
    LookalikeError,
    MismatchError,
    UsageError,
)
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = [Space("deep", 32, "tiny@1")]
BATCH = 64

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_gallery_crash import add_batches
add_batches(Path(sys.argv[1]), batches=int(sys.argv[3]))
"""


def rows_of(numbers: range) -> Float32:
    """Each number's own vector, the same in every process."""
    made = [np.random.default_rng(number).standard_normal(32, dtype=np.float32) for number in numbers]
    return unit_rows(np.array(made))


def add_batches(folder: Path, *, batches: int) -> None:
    """Add what is not there yet, say so after each commit, and replace and remove a few on the way."""
    with LocalGallery(folder, create=True) as gallery:
        for batch in range(len(gallery) // BATCH, batches):
            numbers = range(batch * BATCH, (batch + 1) * BATCH)
            add(gallery, numbers)
            print(batch, flush=True)  # noqa: T201
            add(gallery, numbers[:5])
            if batch % 4 == 3:
                gallery.optimise()


def add(gallery: LocalGallery, numbers: range) -> None:
    items = [Item(id=str(number), photo=f"{number}.jpg", attributes={"number": number}) for number in numbers]
    gallery.add(items, {"deep": rows_of(numbers)}, spaces=SPACES)


def check(gallery: LocalGallery, count: int) -> None:
    """All of the first items are there with their vectors, once each, and are found."""
    total, items = gallery.list(limit=None)
    assert (total, sorted(int(item.id) for item in items)) == (count, list(range(count)))
    for number in range(0, count, max(1, count // 10)):
        query = rows_of(range(number, number + 1))
        assert np.array_equal(gallery.vectors(str(number))["deep"], query)
        for index in ("auto", "ivf"):
            found = gallery.search({"deep": query}, SearchRequest(k=3, index=index))
            assert gallery.items(found.rows[0].tolist())[int(found.rows[0, 0])].id == str(number)
            assert found.scores[0, 0] == pytest.approx(1, abs=1e-6)
            assert len(set(found.rows[0].tolist())) == 3
    assert gallery.verify().problems == ()


@contextmanager
def writer(folder: Path, *, batches: int) -> Iterator[subprocess.Popen[str]]:
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WRITER, str(folder), here, str(batches)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def test_loses_nothing_when_its_writer_is_killed(tmp_path: Path) -> None:
    """Killed ten times at random moments; what was said to be committed is there, and the next run goes on."""
    folder, luck, done = tmp_path / "shop.gallery", random.Random(0), -1
    for _ in range(10):
        with writer(folder, batches=400) as process:
            assert process.stdout is not None
            said = process.stdout.readline()
            assert said, "the writer could not go on"
            time.sleep(luck.uniform(0, 0.15))
            process.send_signal(signal.SIGKILL)
            said += process.stdout.read()
        done = max(done, *(int(line) for line in said.splitlines(keepends=True) if line.endswith("\n")))
        with LocalGallery(folder) as gallery:
            assert len(gallery) >= (done + 1) * BATCH
            assert len(gallery) % BATCH == 0
            assert gallery.verify().problems == ()
    with LocalGallery(folder) as gallery:
        batches = len(gallery) // BATCH + 2
    with writer(folder, batches=batches) as process:
        assert process.wait(60) == 0
    with LocalGallery(folder) as gallery:
        check(gallery, batches * BATCH)


COUNT = 1500


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a gallery with derived rows and an index."""
    folder = tmp_path_factory.mktemp("pattern") / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        add(gallery, range(COUNT))
        gallery.optimise()
        gallery.search({"deep": rows_of(range(1))}, SearchRequest(index="ivf"))
    return folder


@pytest.fixture
def filled(pattern: Path, tmp_path: Path) -> Path:
    """A copy of it, to be spoilt."""
    return Path(shutil.copytree(pattern, tmp_path / "shop.gallery"))


def derived_file(folder: Path, name: str) -> Path:
    (found,) = (folder / "derived").glob(f"rows-*/{name}")
    return found


def overwrite(path: Path, content: bytes, *, at: int = 0) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def foreign(folder: Path) -> None:
    """Put the derived files of another gallery in place of its own."""
    with LocalGallery(folder.parent / "other.gallery", create=True) as other:
        items = [Item(id=f"other {number}", photo="x.jpg") for number in range(COUNT)]
        other.add(items, {"deep": rows_of(range(COUNT))[::-1]}, spaces=SPACES)
        other.optimise()
    shutil.rmtree(folder / "derived")
    shutil.copytree(folder.parent / "other.gallery" / "derived", folder / "derived")


def restamped(folder: Path) -> None:
    """Change what a stamp says, but not its seal."""
    path = derived_file(folder, "stamp.json")
    stamp = json.loads(path.read_text())
    stamp["stamp"]["origin"]["last_row"] += 1
    path.write_text(json.dumps(stamp))


SPOILT: dict[str, Callable[[Path], object]] = {
    "all deleted": lambda folder: shutil.rmtree(folder / "derived"),
    "rows deleted": lambda folder: derived_file(folder, "unit.f32").unlink(),
    "rows cut short": lambda folder: os.truncate(derived_file(folder, "unit.f32"), 5000),
    "rows too long": lambda folder: os.truncate(derived_file(folder, "unit.f32"), 10**6),
    "rows overwritten": lambda folder: overwrite(derived_file(folder, "unit.f32"), b"\0" * 8192, at=40_000),
    "numbers overwritten": lambda folder: overwrite(derived_file(folder, "numbers.i64"), b"\xff" * 800),
    "no stamp": lambda folder: derived_file(folder, "stamp.json").unlink(),
    "an empty stamp": lambda folder: derived_file(folder, "stamp.json").write_text(""),
    "another stamp": lambda folder: derived_file(folder, "stamp.json").write_text("[]"),
    "a changed stamp": restamped,
    "index deleted": lambda folder: derived_file(folder, "index-ivf").unlink(),
    "index cut short": lambda folder: os.truncate(derived_file(folder, "index-ivf"), 1000),
    "index overwritten": lambda folder: overwrite(derived_file(folder, "index-ivf"), b"\x7f" * 8192, at=4096),
    "an empty index": lambda folder: os.truncate(derived_file(folder, "index-ivf"), 0),
    "of another gallery": foreign,
    "half a build": lambda folder: derived_file(folder, "").rename(folder / "derived" / ".new-dead"),
    "files in the way": lambda folder: (folder / "derived" / "rows-x").write_text("?"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_derives_anew_what_is_spoilt(filled: Path, case: str) -> None:
    SPOILT[case](filled)
    with LocalGallery(filled) as gallery:
        check_search_only(gallery)
        add(gallery, range(COUNT, COUNT + 10))
        gallery.optimise()
    if case != "files in the way":
        with LocalGallery(filled) as gallery:
            check(gallery, COUNT + 10)


def check_search_only(gallery: LocalGallery) -> None:
    for number in (0, 700, COUNT - 1):
        for index in ("exact", "ivf"):
            found = gallery.search({"deep": rows_of(range(number, number + 1))}, SearchRequest(k=2, index=index))
            assert gallery.items([int(found.rows[0, 0])])[int(found.rows[0, 0])].id == str(number)


@pytest.mark.parametrize("written_to", [False, True])
def test_derives_anew_when_the_database_is_brought_back_from_a_copy(
    filled: Path, tmp_path: Path, written_to: bool
) -> None:
    copy = shutil.copy(filled / "gallery.db", tmp_path / "copy.db")
    with LocalGallery(filled) as gallery:
        add(gallery, range(COUNT, 2 * COUNT))
        gallery.optimise()
    shutil.copy(copy, filled / "gallery.db")
    if written_to:  # the same items, but each row number now belongs to another one
        with LocalGallery(filled) as gallery:
            add(gallery, range(2 * COUNT - 1, COUNT - 1, -1))
    with LocalGallery(filled) as gallery:
        check(gallery, 2 * COUNT if written_to else COUNT)


def test_the_list_of_signatures_does_not_grow_without_end(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.gallery.local.metadata_table.SIGNATURES_KEPT", 20)
    with LocalGallery(filled) as gallery:
        gallery.optimise()
        kept = derived_rows(filled)
        for _ in range(50):
            gallery.update([Item(id="5", photo="5.jpg", attributes={"number": 5})])
        with closing(sqlite3.connect(filled / "gallery.db")) as connection:
            (count,) = connection.execute("SELECT count(*) FROM meta WHERE key GLOB 'change *'").fetchone()
        assert count <= 20 + 10  # those before the limit was lowered stay
    with LocalGallery(filled) as gallery:  # rows from before what is remembered are not taken on trust
        check(gallery, COUNT)
        assert derived_rows(filled) != kept


def derived_rows(gallery: Path) -> list[str]:
    return sorted(folder.name for folder in (gallery / "derived").glob("rows-*"))


def test_verify_finds_a_single_wrong_bit(filled: Path) -> None:
    path = derived_file(filled, "unit.f32")
    content = path.read_bytes()
    overwrite(path, bytes([content[60_001] ^ 1]), at=60_001)
    with LocalGallery(filled) as gallery:
        (problem,) = gallery.verify().problems[:1]
        assert "unit.f32 is damaged" in problem
        gallery.compact()
        check(gallery, COUNT)


def test_derived_files_may_vanish_under_an_open_reader(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        check_search_only(gallery)
        shutil.rmtree(filled / "derived")
        check_search_only(gallery)
        gallery.search({"deep": rows_of(range(1))}, SearchRequest(index="kmeans"))
        add(gallery, range(COUNT, COUNT + 5))
        check_search_only(gallery)
        assert gallery.verify().problems == ()


@pytest.mark.parametrize("spoil", ["middle", "head", "text"])
def test_a_damaged_database_says_so(filled: Path, spoil: str) -> None:
    database = filled / "gallery.db"
    size = database.stat().st_size
    if spoil == "middle":
        overwrite(database, b"\xee" * (size - 40_000), at=32_768)
    elif spoil == "head":
        overwrite(database, b"\xee" * 4096)
    else:
        database.write_text("this is not a database" * 1000)
    with pytest.raises(GalleryDamagedError, match=r"gallery\.db is damaged") as caught, LocalGallery(filled) as gallery:
        gallery.list(limit=None)
        list(gallery.rows())
    assert "\n" not in str(caught.value)


def test_verify_reports_a_damaged_database(filled: Path) -> None:
    overwrite(filled / "gallery.db", b"\xee" * 100_000, at=65_536)
    with LocalGallery(filled) as gallery:
        assert gallery.verify().problems != ()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("DELETE FROM vectors WHERE row = 7", "1 items have no vectors"),
        ("DELETE FROM items WHERE row IN (7, 8)", "2 vectors belong to no item"),
        ("UPDATE vectors SET unit = x'0011' WHERE row = 7", "the vectors of '6' have a wrong size"),
        ("UPDATE vectors SET unit = zeroblob(127) || x'3f' WHERE row = 7", "the vectors of '6' are not of unit length"),
        ("UPDATE vectors SET unit = zeroblob(128) WHERE row = 7", "1 derived rows differ from the database"),
        ("UPDATE items SET attributes = '{' WHERE row = 7", "the attributes of '6' cannot be read"),
        ("""UPDATE items SET attributes = '{"99": 1}' WHERE row = 7""", "1 attributes have no name"),
        ("UPDATE meta SET value = 3 WHERE key = 'items'", "there are 1500 items, and the metadata count 3"),
    ],
)
def test_verify_finds_contradictions(filled: Path, statement: str, problem: str) -> None:
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        connection.execute(statement.replace("zeroblob(127) || x'3f'", "CAST(zeroblob(127) || x'3f' AS BLOB)"))
    with LocalGallery(filled) as gallery:
        assert [line for line in gallery.verify().problems if line.startswith(problem)] != []


def test_verify_looks_for_photos_when_asked(tmp_path: Path) -> None:
    (tmp_path / "here.jpg").touch()
    with LocalGallery(tmp_path / "shop.gallery", create=True) as gallery:
        photos = ["here.jpg", "gone.jpg", "s3://elsewhere/photo.jpg"]
        items = [Item(id=photo, photo=photo, root=str(tmp_path)) for photo in photos]
        gallery.add(items, {"deep": rows_of(range(3))}, spaces=SPACES)
        assert gallery.verify().problems == ()
        assert gallery.verify(photos=True).problems == ("the photos of 'gone.jpg' are missing",)


def test_compacting_gives_space_back_and_keeps_everything(filled: Path) -> None:
    with LocalGallery(filled) as gallery, LocalGallery(filled) as reader:
        gallery.remove([str(number) for number in range(100, COUNT)])
        gallery.update([Item(id="5", photo="5.jpg", attributes={"new": True})])
        reader.search({"deep": rows_of(range(1))}, SearchRequest())
        before = gallery.info()["bytes"]["database"]  # type: ignore[call-overload, index]
        gallery.compact()
        assert gallery.info()["bytes"]["database"] < before / 2  # type: ignore[call-overload, index, operator]
        for opened in (gallery, reader):
            check(opened, 100)
            assert opened.info()["attributes"] == {"number": ["number"], "new": ["boolean"]}
        add(gallery, range(100, 120))
        check(reader, 120)


def test_a_second_writer_is_told_who_is_writing(filled: Path) -> None:
    with LocalGallery(filled) as other, writer(filled, batches=10**6) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)  # it may or may not hold the lock just now
        process.send_signal(signal.SIGCONT)
        for _ in range(5):  # writers take turns, batch by batch
            other.remove(["nobody"])
    holder = (
        "import sys, time; from pathlib import Path; from lookalike.gallery.local.gallery import LocalGallery\n"
        f"with LocalGallery(Path({str(filled)!r})).writing(): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", holder], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            with LocalGallery(filled) as gallery:
                with pytest.raises(GalleryLockedError) as caught:
                    gallery.remove(["1"])
                assert caught.value.holder["pid"] == process.pid
                assert f"process {process.pid} on " in str(caught.value)
                check_search_only(gallery)  # readers go on
        finally:
            process.kill()
    with LocalGallery(filled) as gallery:  # the lock died with its holder
        assert gallery.remove(["1"]) == 1


def test_two_processes_may_derive_at_once(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    search = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_gallery_crash import check_search_only; from lookalike.gallery.local.gallery import LocalGallery\n"
        "check_search_only(LocalGallery(Path(sys.argv[1])))"
    )
    command = [sys.executable, "-c", search, str(filled), str(Path(__file__).parent)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    assert len(list((filled / "derived").glob("*"))) == 1
    with LocalGallery(filled) as gallery:
        check(gallery, COUNT)


def test_a_read_only_gallery_is_searched_and_not_written_to(filled: Path) -> None:
    shutil.rmtree(filled / "derived")
    before = {path.name for path in filled.rglob("*")}
    with LocalGallery(filled, read_only=True) as gallery:
        check_search_only(gallery)
        for write in (lambda: add(gallery, range(1)), lambda: gallery.remove(["1"]), gallery.compact):
            with pytest.raises(LookalikeError, match="read-only"):
                write()
    # SQLite's own helper files may come, for readers and writers to know of each other.
    assert {path.name for path in filled.rglob("*")} - before <= {"gallery.db-shm", "gallery.db-wal"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs the users and permissions of POSIX")
def test_a_folder_that_may_not_be_written_to_is_searched(pattern: Path) -> None:
    """By a user who owns nothing there, for the superuser may write everywhere."""
    with tempfile.TemporaryDirectory() as above:
        folder = Path(shutil.copytree(pattern, Path(above) / "shop.gallery"))
        for path in (Path(above), folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        assert as_a_stranger(lambda: search_and_fail_to_write(folder)) == 0
        folder.chmod(0)
        assert as_a_stranger(lambda: fail_to_open(folder)) == 0
        for path in (Path(above), folder, *folder.rglob("*")):
            path.chmod(0o755)


def search_and_fail_to_write(folder: Path) -> None:
    with LocalGallery(folder) as gallery:
        check_search_only(gallery)
        assert len(gallery.list(where="number < 5")[1]) == 5
        with pytest.raises(LookalikeError, match="cannot be written to"):
            gallery.remove(["1"])


def fail_to_open(folder: Path) -> None:
    with pytest.raises(LookalikeError, match="Permission denied"):
        LocalGallery(folder)


def as_a_stranger(act: Callable[[], None]) -> int:
    """Do something in a process without rights; returns its exit status."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            act()
            status = 0
        except BaseException:  # noqa: BLE001 - whatever it is, it must not reach the test runner twice
            traceback.print_exc()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_what_is_no_gallery_is_not_taken_for_one(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "file").write_text("x")
    with closing(sqlite3.connect(tmp_path / "gallery.db")) as connection, connection:
        connection.execute("CREATE TABLE mine (x)")
    for missing in ("nowhere", "photos", "file"):
        with pytest.raises(GalleryNotFoundError, match="there is no gallery at"):
            LocalGallery(tmp_path / missing)
    with pytest.raises(GalleryNotFoundError, match="not a gallery's"):
        LocalGallery(tmp_path)
    with pytest.raises(UsageError, match="holds other files"):
        LocalGallery(tmp_path / "photos", create=True)
    with pytest.raises(UsageError, match="is a file"):
        LocalGallery(tmp_path / "file", create=True)
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["a.jpg"]
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    "left", [".write.json.part", "write.json", "write.lock", ".gallery.db-commits", "gallery.db.new"]
)
def test_files_of_a_killed_creation_do_not_prevent_another(tmp_path: Path, left: str) -> None:
    folder = tmp_path / "shop.gallery"
    folder.mkdir()
    (folder / left).write_text('{"half": ')
    with LocalGallery(folder, create=True) as gallery:
        assert len(gallery) == 0


def test_a_gallery_of_another_version_is_refused(filled: Path) -> None:
    with closing(sqlite3.connect(filled / "gallery.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(MismatchError, match="format 99"):
        open_gallery(str(filled))


def test_a_creation_cut_short_is_begun_again(tmp_path: Path) -> None:
    folder = tmp_path / "shop.gallery"
    folder.mkdir()
    (folder / "gallery.db").touch()
    (folder / "write.lock").touch()
    with pytest.raises(GalleryNotFoundError):
        open_gallery(str(folder))
    with LocalGallery(folder, create=True) as gallery:
        add(gallery, range(10))
        assert len(gallery) == 10
