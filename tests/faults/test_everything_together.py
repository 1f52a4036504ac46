"""Readers, writers, compaction and restores at once, in several processes: scores belong to their items.

Each version of an item has a vector that can be drawn again, and carries its version as an attribute. So of every
answer it can be said what its scores must be, whatever was committed or brought back in the meantime.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest

from lookalike.errors import GalleryLockedError, GalleryReplacedError, LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.results import retry_if_replaced
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item, Neighbours

SPACES = [Space("deep", 16, "tiny@1")]
IDS = 2500
BATCH = 200

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_everything_together as together
getattr(together, sys.argv[3])(Path(sys.argv[1]), seed=int(sys.argv[4]), seconds=float(sys.argv[5]))
"""


def vector(item: int, version: int) -> Float32:
    """What one version of an item looks like."""
    return unit_rows(np.random.default_rng([item, version]).standard_normal((1, 16), dtype=np.float32))[0]


def put(gallery: LocalGallery, ids: list[int], version: int) -> None:
    rows = np.array([vector(item, version) for item in ids])
    items = [Item(id=str(item), photo="x.jpg", attributes={"version": version, "even": item % 2 == 0}) for item in ids]
    gallery.add(items, {"deep": rows}, spaces=SPACES)


def write(folder: Path, *, seed: int, seconds: float) -> None:
    """Replace, remove and add items."""
    luck, until = Random(seed), time.monotonic() + seconds
    with LocalGallery(folder) as gallery:
        while time.monotonic() < until:
            ids = luck.sample(range(IDS), BATCH)
            try:
                gallery.remove([str(item) for item in ids[: BATCH // 4]])
                put(gallery, ids[BATCH // 8 :], luck.randrange(1, 10**6))
                if luck.random() < 0.2:
                    gallery.optimise()
            except GalleryLockedError:
                continue


def compact(folder: Path, *, seed: int, seconds: float) -> None:
    """Compact now and then."""
    luck, until = Random(seed), time.monotonic() + seconds
    with LocalGallery(folder) as gallery:
        while time.monotonic() < until:
            time.sleep(luck.uniform(0, 0.3))
            try:
                gallery.compact()
            except GalleryLockedError:
                continue


def read(folder: Path, *, seed: int, seconds: float) -> None:
    """Ask, and check each answer; the process fails with the first that is wrong."""
    luck, until, asked = Random(seed), time.monotonic() + seconds, 0
    with LocalGallery(folder) as gallery:
        while time.monotonic() < until or asked < 3:
            query = unit_rows(np.random.default_rng(luck.randrange(10**9)).standard_normal((1, 16), dtype=np.float32))
            index, where = luck.choice(["auto", "exact", "ivf"]), luck.choice([None, "even = true"])
            try:
                wrong = wrong_answers(gallery, query, index=index, where=where)
            except GalleryReplacedError:  # brought back faster than a loaded machine answers: refused, and not wrong
                continue
            assert not wrong, wrong
            asked += 1


def wrong_answers(gallery: LocalGallery, query: Float32, *, index: str, where: str | None) -> list[str]:
    """What an answer says that is not so."""

    def ask() -> tuple[Neighbours, dict[int, Item]]:
        found = gallery.search({"deep": query}, SearchRequest(k=5, index=index, where=where))
        return found, gallery.items(found.rows[0].tolist(), version=found.version)

    found, items = retry_if_replaced(ask)
    wrong = []
    for row, score in zip(found.rows[0].tolist(), found.scores[0].tolist(), strict=True):
        if row in items:
            item, attributes = int(items[row].id), items[row].attributes
            version = attributes["version"]
            assert isinstance(version, int)
            true = float(query[0] @ vector(item, version))
            if abs(true - score) > 1e-5 or (where and not attributes["even"]):
                wrong.append(f"{item} of version {version}: told {score:.4f}, true {true:.4f}")
    return wrong


def restore(folder: Path, copy: Path) -> None:
    """Bring the database back from a copy, by SQLite's own means."""
    with closing(sqlite3.connect(copy)) as source, closing(sqlite3.connect(folder / "gallery.db", timeout=30)) as to:
        source.backup(to)


def test_every_score_is_true(tmp_path: Path, tries: Callable[..., int], luck: Random) -> None:
    folder, copy = tmp_path / "shop.gallery", tmp_path / "copy.db"
    with LocalGallery(folder, create=True) as gallery:
        put(gallery, list(range(IDS)), 0)
        gallery.optimise()
    seconds = tries("together", short=4, long=300)
    kinds = ["read", "read", "write", "compact"]
    command = [sys.executable, "-c", WORKER, str(folder), str(Path(__file__).parent)]
    running = [
        subprocess.Popen([*command, kind, str(luck.randrange(10**6)), str(seconds)], stderr=subprocess.PIPE, text=True)
        for kind in kinds
    ]
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            with (
                closing(sqlite3.connect(folder / "gallery.db", timeout=30)) as source,
                closing(sqlite3.connect(copy)) as to,
            ):
                source.backup(to)
            time.sleep(luck.uniform(0.1, 0.6))
            restore(folder, copy)
        failed = []
        for kind, process in zip(kinds, running, strict=True):
            _, said = process.communicate(timeout=120)
            if process.returncode:
                failed.append(f"{kind}: {said[-2000:]}")
        assert not failed, "\n".join(failed)
    finally:
        for process in running:
            process.kill()
            process.communicate()
    with LocalGallery(folder) as gallery:
        assert gallery.verify().problems == ()
        query = np.random.default_rng(1).standard_normal((1, 16), dtype=np.float32)
        assert wrong_answers(gallery, unit_rows(query), index="auto", where=None) == []
        best = max(
            float(unit_rows(query)[0] @ vector(int(item.id), version_of(item))) for item in gallery.list(limit=None)[1]
        )
        found = gallery.search({"deep": query}, SearchRequest(k=1, index="exact"))
        assert found.scores[0, 0] == pytest.approx(best, abs=1e-5)


def version_of(item: Item) -> int:
    version = item.attributes["version"]
    assert isinstance(version, int)
    return version


@pytest.mark.parametrize("obstacle", ["a file in its place", "cannot be made", "a lock that is a folder"])
def test_searches_are_answered_from_memory_where_nothing_can_be_kept(
    tmp_path: Path, obstacle: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        put(gallery, list(range(IDS)), 0)
        shutil.rmtree(folder / "derived", ignore_errors=True)
        (folder / "build.lock").unlink(missing_ok=True)
        if obstacle == "a file in its place":
            (folder / "derived").write_text("mine")
        elif obstacle == "cannot be made":
            (folder / "derived").symlink_to(tmp_path / "nowhere" / "nothing")
        else:
            (folder / "build.lock").mkdir()
        for index in ("auto", "exact", "ivf"):
            found = gallery.search({"deep": vector(7, 0)[np.newaxis]}, SearchRequest(k=1, index=index))
            assert (gallery.items(found.rows[0].tolist())[int(found.rows[0, 0])].id, index) == ("7", index)
            assert found.scores[0, 0] == pytest.approx(1, abs=1e-5)
        assert "answered from memory" in caplog.text
        with LocalGallery(folder) as another, pytest.raises(LookalikeError, match="cannot be written"):
            another.optimise()
        before = gallery.list(limit=None)
        with pytest.raises(LookalikeError, match="cannot be written"):
            gallery.compact()
        assert gallery.list(limit=None) == before


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a disk of its own needs unshare")
def test_compacting_on_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """On a disk of 12 MB of its own, which the gallery and a ballast fill; searches go on in another process."""
    script = f"""
set -e
mount -t tmpfs -o size=12m none {tmp_path}
exec {sys.executable} -c '
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
import test_everything_together as together
together.compact_on_a_full_disk(Path(sys.argv[1]))' {tmp_path} {Path(__file__).parent}
"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=False)
    if "unshare failed" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no disk of its own: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr[-3000:]


def compact_on_a_full_disk(place: Path) -> None:
    folder = place / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery, LocalGallery(folder) as reader:
        for at in range(0, 10_000, 1000):
            put(gallery, list(range(at, at + 1000)), 0)
        gallery.optimise()
        gallery.remove([str(item) for item in range(0, 10_000, 3)])
        kept = gallery.list(limit=None)
        stop, faults = threading.Event(), []

        def ask() -> None:
            while not stop.is_set():
                try:
                    assert not wrong_answers(reader, vector(7, 0)[np.newaxis], index="auto", where=None)
                except BaseException as error:  # noqa: BLE001 - the test fails with whatever it is
                    faults.append(repr(error))

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            refused = fill_and_compact(gallery, place / "ballast")
        finally:
            stop.set()
            asking.join()
        assert not faults, faults[:3]
        assert refused >= 1
        gallery.compact()
        assert gallery.verify().problems == ()
        assert gallery.list(limit=None) == kept


def fill_and_compact(gallery: LocalGallery, ballast: Path) -> int:
    """Compact with more and more room; returns how often there was not enough."""
    refused, kept = 0, gallery.list(limit=None)
    for spare in (0, 100, 400, 1000, 2000, 3000, 4000, 8000):
        fill_up(ballast, spare_kib=spare)
        try:
            gallery.compact()
        except LookalikeError as error:
            refused += 1
            assert "room" in str(error) or "No space" in str(error), error
        assert gallery.list(limit=None) == kept
        assert not wrong_answers(gallery, vector(7, 0)[np.newaxis], index="auto", where=None)
        ballast.unlink(missing_ok=True)
    return refused


def fill_up(path: Path, *, spare_kib: int) -> None:
    """Take all room of a disk but some."""
    room = shutil.disk_usage(path.parent).free - spare_kib * 1024
    # A search may take some of the room meanwhile.
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        for _ in range(max(0, room) // 4096):
            file.write(bytes(4096))
