"""Galleries at unusual paths: relative, not UTF-8, with hard links, and with pipes among the files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.gallery.transfer.folders import export_gallery
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = [Space("deep", 32, "tiny@1")]
INDEXES = ("exact", "hnsw", "ivf")

ASK = """
import json, sys
from pathlib import Path
import numpy as np
from lookalike.errors import LookalikeError
from lookalike.gallery.transfer.folders import import_folder
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest

what, folder = sys.argv[1], Path(sys.argv[2])
try:
    with LocalGallery(folder, create=what == "import") as gallery:
        if what == "import":
            print(import_folder(Path(sys.argv[3]), gallery))
        elif what == "write":
            gallery.remember_model("default")
        else:
            print(gallery.search({"deep": np.ones((1, 32), np.float32)}, SearchRequest(k=1, index=what)).scores[0, 0])
except LookalikeError as error:
    print(type(error).__name__, error)
"""


def rows_of(count: int) -> Float32:
    return unit_rows(np.random.default_rng(3).standard_normal((count, 32), dtype=np.float32))


def add(gallery: LocalGallery, *ids: str) -> None:
    gallery.add([Item(id=each, photo="x.jpg") for each in ids], {"deep": rows_of(len(ids))}, spaces=SPACES)


def ids(gallery: LocalGallery) -> set[str]:
    return {item.id for item in gallery.list()[1]}


def ask(what: str, *paths: Path) -> str:
    """Ask in another process, which must not wait for ever."""
    done = subprocess.run(
        [sys.executable, "-c", ASK, what, *map(os.fspath, paths)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_relative_path_means_the_same_after_chdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder that changes leads to no other gallery of the same relative path."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        with LocalGallery(Path("shop"), create=True) as gallery:
            add(gallery, name)
    monkeypatch.chdir(tmp_path / "first")
    with LocalGallery(Path("shop")) as gallery:
        monkeypatch.chdir(tmp_path / "second")
        gallery.close()
        add(gallery, "more")
        assert ids(gallery) == {"first", "more"}
    with LocalGallery(tmp_path / "second/shop") as gallery:
        assert ids(gallery) == {"second"}


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are text")
@pytest.mark.parametrize("name", [b"o\xff dd?#%41", b"a?mode=rw", b"%2e%2e", b"\xed\xa0\x80;'\""])
def test_a_path_may_be_any_bytes(tmp_path: Path, name: bytes) -> None:
    """What SQLite and FAISS take for text, an address or an escape is a name like any other."""
    folder = tmp_path / os.fsdecode(name)
    rows = rows_of(1500)
    with LocalGallery(folder, create=True) as gallery:
        gallery.add([Item(id=str(at), photo="x.jpg") for at in range(1500)], {"deep": rows}, spaces=SPACES)
        gallery.optimise()
        built = {
            index: gallery.search({"deep": rows[7:8]}, SearchRequest(k=1, index=index)).rows[0, 0] for index in INDEXES
        }
    with LocalGallery(folder) as gallery:
        for index in INDEXES:
            found = gallery.search({"deep": rows[7:8]}, SearchRequest(k=1, index=index)).rows[0, 0]
            assert found == built[index]
            assert gallery.items([found])[found].id == "7"
        assert {"hnsw", "ivf"} <= set(gallery.info()["index"]["kept"])  # type: ignore[arg-type,index,call-overload]
        gallery.compact()
        assert gallery.verify().problems == ()


def test_a_path_may_begin_with_two_slashes(tmp_path: Path) -> None:
    """What stands between two slashes and the next is no host."""
    with LocalGallery(Path(f"/{tmp_path}/shop"), create=True) as gallery:
        add(gallery, "a")
    with LocalGallery(tmp_path / "shop") as gallery:
        assert ids(gallery) == {"a"}


@pytest.mark.parametrize("kind", ["hard link", "link"])
def test_nothing_is_written_to_a_database_with_two_names(tmp_path: Path, kind: str) -> None:
    """SQLite's log and locks stand beside a name, so two names of one file would destroy it; reading is safe then."""
    with LocalGallery(tmp_path / "shop", create=True) as shop:
        add(shop, "a")
        (tmp_path / "copy").mkdir()
        second = tmp_path / "copy/gallery.db"
        if kind == "link":
            second.symlink_to(tmp_path / "shop/gallery.db")
        else:
            second.hardlink_to(tmp_path / "shop/gallery.db")
            with pytest.raises(LookalikeError, match="has 2 names"):
                add(shop, "b")  # it was open before
        with LocalGallery(tmp_path / "copy") as copy:
            for write in (lambda: add(copy, "c"), copy.compact):
                with pytest.raises(LookalikeError, match=r"has 2 names|is a link"):
                    write()
            assert ids(copy) == {"a"}
        second.unlink()
        add(shop, "b")
        assert ids(shop) == {"a", "b"}


@pytest.mark.parametrize("name", ["SHA256SUMS", "gallery.parquet"])
def test_a_pipe_is_not_imported(tmp_path: Path, name: str) -> None:
    """A pipe among exported files is refused, not waited for."""
    with LocalGallery(tmp_path / "shop", create=True) as shop:
        add(shop, "a")
        export_gallery(shop, tmp_path / "export", format="parquet")
    (tmp_path / "export" / name).unlink()
    os.mkfifo(tmp_path / "export" / name)
    assert "is not a regular file" in ask("import", tmp_path / "new", tmp_path / "export")


@pytest.mark.parametrize("name", ["stamp.json", "unit.f32", "index-ivf"])
def test_a_pipe_among_derived_files_is_not_waited_for(tmp_path: Path, name: str) -> None:
    """The rows are derived again."""
    with LocalGallery(tmp_path / "shop", create=True) as shop:
        add(shop, *map(str, range(1500)))
        shop.optimise()
        shop.search({"deep": rows_of(1)}, SearchRequest(k=1, index="ivf"))
    right = ask("ivf", tmp_path / "shop")
    (kept,) = (tmp_path / "shop/derived").glob("rows-*")
    (kept / name).unlink()
    os.mkfifo(kept / name)
    assert ask("ivf", tmp_path / "shop") == right


def test_a_pipe_in_place_of_the_note_is_not_waited_for(tmp_path: Path) -> None:
    """Who writes is not known then, and that one does is."""
    with LocalGallery(tmp_path / "shop", create=True) as shop:
        add(shop, "a")
        with shop.writing():
            note = tmp_path / "shop/write.json"
            assert json.loads(note.read_text())["pid"] == os.getpid()
            note.unlink()
            os.mkfifo(note)
            assert ask("write", tmp_path / "shop").startswith("GalleryLockedError")


def test_a_pipe_in_place_of_the_database_is_refused(tmp_path: Path) -> None:
    """It takes its place while the gallery is open."""
    with LocalGallery(tmp_path / "shop", create=True) as shop:
        add(shop, "a")
        (tmp_path / "shop/gallery.db").unlink()
        os.mkfifo(tmp_path / "shop/gallery.db")
        with pytest.raises(LookalikeError, match="no longer a regular file"):
            len(shop)
