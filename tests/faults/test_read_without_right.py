"""A reader that may write nothing, in every state in which another process leaves the database."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

pytestmark = pytest.mark.skipif(
    not hasattr(os, "setuid") or os.geteuid() != 0, reason="only the superuser can become a user without rights"
)

SPACES = [Space("deep", 32, "tiny@1")]
COUNT = 1200

READER = """
import os, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_read_without_right import add, answer
from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
with tempfile.TemporaryDirectory() as warm, LocalGallery(Path(warm) / "warm.gallery", create=True) as gallery:
    add(gallery, 0)
    answer(gallery)  # whose imports may lie where a user without rights cannot read
os.setgroups([]); os.setgid(65534); os.setuid(65534)
gallery = LocalGallery(Path(sys.argv[1]))
print("open", flush=True)
for line in sys.stdin:
    try:
        print(answer(gallery), flush=True)
    except LookalikeError as error:
        print(f"error: {error}", flush=True)
"""


def rows_of(seed: int, count: int = COUNT) -> Float32:
    return unit_rows(np.random.default_rng(seed).standard_normal((count, 32), dtype=np.float32))


def add(gallery: LocalGallery, seed: int, *, start: int = 0, count: int = COUNT) -> None:
    items = [Item(id=str(start + at), photo="x.jpg", attributes={"seed": seed}) for at in range(count)]
    gallery.add(items, {"deep": rows_of(seed, count)}, spaces=SPACES)


def answer(gallery: LocalGallery) -> str:
    """How many items there are, and the best of one question by each of two ways."""
    said = [str(len(gallery))]
    for index in ("exact", "auto"):
        found = gallery.search({"deep": rows_of(99, 1)}, SearchRequest(k=1, index=index))
        row = int(found.rows[0, 0])
        said.append(f"{gallery.items([row])[row].id} {found.scores[0, 0]:.4f}")
    return "; ".join(said)


class Reader:
    """A process without rights that answers when it is asked."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", READER, str(folder), str(Path(__file__).parent)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.line() != "open":
            self.__exit__()
            raise AssertionError("the reader could not open the gallery")

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip("\n")

    def ask(self) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write("?\n")
        self.process.stdin.flush()
        return self.line()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A gallery that everybody may read, in a place that everybody reaches."""
    with tempfile.TemporaryDirectory() as above:
        Path(above).chmod(0o755)
        made = Path(above) / "shop.gallery"
        with LocalGallery(made, create=True) as gallery:
            add(gallery, 1)
            gallery.optimise()
        made.chmod(0o755)
        yield made


@pytest.fixture
def reader(folder: Path) -> Iterator[Reader]:
    with Reader(folder) as reader:
        yield reader


def truth(folder: Path) -> str:
    with LocalGallery(folder, read_only=True) as gallery:
        return answer(gallery)


def test_sees_what_a_writer_that_comes_later_commits(folder: Path, reader: Reader) -> None:
    """It was opened when nothing but the database was there; then a writer comes, stays, goes, and comes again."""
    assert not (folder / "gallery.db-shm").exists()
    assert reader.ask() == truth(folder)
    for seed in (2, 3):
        with LocalGallery(folder) as writer:
            add(writer, seed)
            assert reader.ask() == truth(folder)
            add(writer, seed, start=COUNT * seed, count=10)
            assert reader.ask() == truth(folder)
            writer.optimise()
            assert reader.ask() == truth(folder)
            writer.compact()
            assert reader.ask() == truth(folder)
        assert reader.ask() == truth(folder)


def test_sees_what_was_committed_between_two_questions(folder: Path, reader: Reader) -> None:
    """The writer has come and gone, and tidied away what would tell of it."""
    for seed in (2, 3):
        with LocalGallery(folder) as writer:
            add(writer, seed)
        assert reader.ask() == truth(folder)


def test_opens_while_a_writer_has_it_open_and_after_it_was_killed(folder: Path) -> None:
    holder = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from test_read_without_right import add; from lookalike.gallery.local.gallery import LocalGallery\n"
        "gallery = LocalGallery(Path(sys.argv[1])); add(gallery, 5); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(folder), str(Path(__file__).parent)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer,
        contextlib.ExitStack() as readers,
    ):
        assert writer.stdout is not None
        assert writer.stdout.readline() == "held\n"
        first = readers.enter_context(Reader(folder))
        assert first.ask() == truth(folder)
        writer.kill()
        writer.wait()
        assert (folder / "gallery.db-wal").exists()
        second = readers.enter_context(Reader(folder))
        for reader in (first, second):
            assert reader.ask() == truth(folder)
        with LocalGallery(folder) as again:
            add(again, 6)
        for reader in (first, second):
            assert reader.ask() == truth(folder)


def test_follows_a_gallery_that_is_replaced(folder: Path, reader: Reader) -> None:
    other = folder.with_name("other.gallery")
    with LocalGallery(other, create=True) as gallery:
        add(gallery, 9)
    folder.rename(folder.with_name("old.gallery"))
    assert "there is no gallery at" in reader.ask()
    other.rename(folder)
    folder.chmod(0o755)
    assert reader.ask() == truth(folder)
    shutil.copyfile(folder.with_name("old.gallery") / "gallery.db", folder / "gallery.db")
    assert reader.ask() == truth(folder)
