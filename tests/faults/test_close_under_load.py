"""Closing a gallery while other threads use it in every way: no crash, an answer or one clear error.

What went wrong before was a crash of the interpreter, so each try runs in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from lookalike.errors import GalleryClosedError, LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = [Space("deep", 32, "tiny@1")]
COUNT = 12_000
"""More than the fewest for which filters get indexes of their own."""

TRY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_close_under_load import hammer
hammer(Path(sys.argv[1]), seed=int(sys.argv[3]), rounds=int(sys.argv[4]))
"""


def rows_of(seed: int, count: int) -> Float32:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, 32), dtype=np.float32))


def add(gallery: LocalGallery, start: int, count: int) -> None:
    items = [
        Item(id=str(at), photo="x.jpg", attributes={f"a{name}": at % (name + 2) for name in range(8)})
        for at in range(start, start + count)
    ]
    gallery.add(items, {"deep": rows_of(start, count)}, spaces=SPACES)


def deeds(gallery: LocalGallery, luck: Random) -> dict[str, Callable[[], object]]:
    """All that a thread may be doing."""
    query = {"deep": rows_of(7, 4)}

    def read_some() -> None:
        for at, _ in enumerate(gallery.rows()):
            if at == luck.randrange(4):
                break

    return {
        "search": lambda: gallery.search(query, SearchRequest(k=10)),
        "search an index": lambda: gallery.search(
            query, SearchRequest(k=10, index=luck.choice(["ivf", "kmeans", "hnsw"]))
        ),
        "filter": lambda: gallery.search(query, SearchRequest(k=10, where=f"a{luck.randrange(8)} = 1")),
        "facets": lambda: gallery.facets(),
        "list": lambda: gallery.list(where=f"a{luck.randrange(8)} < 3", limit=None),
        "rows": lambda: list(gallery.rows()),
        "some rows": read_some,
        "add": lambda: add(gallery, luck.randrange(COUNT), 300),
        "remove": lambda: gallery.remove([str(luck.randrange(COUNT))]),
        "describe": lambda: gallery.update([Item(id="1", photo="y.jpg", attributes={"a0": 1})]),
        "optimise": gallery.optimise,
        "compact": gallery.compact,
        "verify": gallery.verify,
        "info": gallery.info,
    }


def keep_doing(deed: Callable[[], object], begun: threading.Barrier, stop: threading.Event) -> None:
    """Do something again and again; only our own errors, of one line each, may come of it."""
    begun.wait()
    while not stop.is_set():
        try:
            deed()
        except LookalikeError as error:
            assert "\n" not in str(error)


def hammer(folder: Path, *, seed: int, rounds: int) -> None:
    """Close a gallery again and again under threads that use it."""
    luck, faults = Random(seed), []
    threading.excepthook = faults.append
    for _ in range(rounds):
        gallery = LocalGallery(folder)
        stop, begun, chosen = threading.Event(), threading.Barrier(5), deeds(gallery, luck)
        threads = [
            threading.Thread(target=keep_doing, args=(chosen[name], begun, stop), name=name)
            for name in luck.sample(sorted(chosen), 4)
        ]
        for thread in threads:
            thread.start()
        begun.wait()
        for _ in range(3):
            time.sleep(luck.uniform(0, 0.06))
            closers = [threading.Thread(target=gallery.close) for _ in range(luck.randrange(1, 3))]
            for closer in closers:
                closer.start()
            for closer in closers:
                closer.join()
        stop.set()
        for thread in threads:
            thread.join()
        gallery.close()
        gallery.close()
        assert not faults, [(fault.thread.name, fault.exc_value) for fault in faults]
    with LocalGallery(folder) as gallery:
        assert gallery.verify().problems == ()


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("close") / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        add(gallery, 0, COUNT)
        gallery.optimise()
    return folder


def test_close_against_everything(filled: Path, tmp_path: Path, tries: Callable[..., int], luck: Random) -> None:
    folder, rounds = shutil.copytree(filled, tmp_path / "shop.gallery"), 3
    for _ in range(tries("close", short=1, long=60)):
        command = [sys.executable, "-X", "faulthandler", "-c", TRY, str(folder), str(Path(__file__).parent)]
        done = subprocess.run(
            [*command, str(luck.randrange(10**6)), str(rounds)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]


def test_what_was_begun_is_told_that_the_gallery_was_closed(filled: Path) -> None:
    gallery = LocalGallery(filled)
    rows = gallery.rows()
    next(rows)
    gallery.close()
    with pytest.raises(GalleryClosedError, match="was closed during this call"):
        next(rows)
    with gallery._database.reading() as connection:
        gallery.close()  # by the very thread that reads
        with pytest.raises(Exception, match="closed"):
            connection.execute("SELECT 1")
    assert len(gallery) == COUNT
    gallery.close()


@pytest.mark.alone
def test_a_long_question_is_interrupted(filled: Path) -> None:
    gallery, told, begun = LocalGallery(filled), [], threading.Event()
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

    def ask() -> None:
        try:
            with gallery._database.reading() as connection:
                begun.set()
                connection.execute(endless).fetchone()
        except GalleryClosedError as error:
            told.append(str(error))

    thread = threading.Thread(target=ask)
    thread.start()
    begun.wait()
    started = time.monotonic()
    gallery.close()
    assert time.monotonic() - started < 5
    thread.join()
    assert len(told) == 1


def test_a_write_that_is_interrupted_has_not_happened(filled: Path) -> None:
    gallery, told, begun = LocalGallery(filled), [], threading.Event()

    def write() -> None:
        try:
            with gallery._database.writing() as connection:
                connection.execute("DELETE FROM items")
                begun.set()
                connection.execute(
                    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
                )
                time.sleep(60)
        except GalleryClosedError as error:
            told.append(str(error))

    thread = threading.Thread(target=write)
    thread.start()
    begun.wait()
    gallery.close()
    thread.join()
    with LocalGallery(filled) as again:
        assert (len(told), again.list(limit=0)[0]) == (1, COUNT)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system does not fork")
def test_a_forked_process_uses_connections_of_its_own(filled: Path) -> None:
    with LocalGallery(filled) as gallery:
        gallery.search({"deep": rows_of(7, 1)}, SearchRequest())
        mine = gallery._database._pool._idle[0].connection
        child = os.fork()
        if child == 0:
            status = 1
            try:
                add(gallery, COUNT, 10)
                with gallery._database.reader() as reader:
                    status = 0 if reader.connection is not mine and len(gallery) == COUNT + 10 else 2
                gallery.close()
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert len(gallery) == COUNT + 10
        gallery.remove([str(at) for at in range(COUNT, COUNT + 10)])
        assert gallery.verify().problems == ()
