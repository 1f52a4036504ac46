"""Random folders with links, locks, pipes and odd names, indexed with `--prune` again and again, against an oracle.

Two things must be so after every run: the gallery has each photo that can be met, once; and it still has, with what
was set by hand, each photo that it had before and that may only be out of reach.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from fault_tries import Tries
from unprivileged import start

# The process that indexes: a line with the folder in, a line of JSON out. It describes photos by one pixel.
INDEXER = """
import json, sys
from pathlib import Path
import numpy as np
from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.protocol import Embeddings
from lookalike.ingest.pipeline import index_catalogue
from lookalike.errors import LookalikeError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space

class OnePixel:
    spaces = (Space("deep", 3, "pixel@1"),)
    fingerprint = "pixel@1"
    wanted_size = parallel_calls = 1

    def prepare(self, photo):
        pixel = np.asarray(photo, dtype=np.float32)[0, 0] + 1
        return {"deep": pixel / np.linalg.norm(pixel)}

    def embed_prepared(self, batch):
        return Embeddings({"deep": np.stack([each["deep"] for each in batch])})

gallery = LocalGallery(Path(sys.argv[1]), create=True)
for line in sys.stdin:
    told = {"error": None, "skipped": []}
    try:
        catalogue = open_catalogue(json.loads(line))
        report = index_catalogue(catalogue, OnePixel(), gallery, prune=True, workers=2)
        told["skipped"] = [one.photo for one in report.skipped]
    except LookalikeError as error:
        told["error"] = str(error)
    for item in gallery.list(limit=None)[1]:
        if "hand" not in item.attributes:
            gallery.override(item.id, {"hand": item.id})
    told["items"] = {item.id: item.attributes["hand"] for item in gallery.list(limit=None)[1]}
    print(json.dumps(told), flush=True)
"""

NAMES = ("a", "b", "c d", "\u00fc", "line\nbreak", "esc\x1b[31m", "-x", "100%", "x.jpg", "\U0001f457", "n" * 120)
PHOTOS = ("1.png", "2.PNG", "photo", "\u00e9.png", "new\nline.png", "tab\t.png")
LEFT_OUT = ("@eaDir", "lost+found", "$RECYCLE.BIN", ".hidden")


class Tree:
    """A folder, and what an honest reader would find in it."""

    def __init__(self, root: Path, luck: Random) -> None:
        self.root, self.luck = root, luck
        self.outside = root.parent / "outside"
        self.away = root.parent / "away"
        self.locked: set[Path] = set()
        for folder in (root, self.outside, self.away):
            folder.mkdir()
        for number in range(3):
            self.photo(self.outside / f"{number}.png")
        self.photo(root / "always.png")

    def photo(self, path: Path) -> None:
        if not os.path.lexists(path):
            Image.new("RGB", (2, 2), tuple(self.luck.randrange(256) for _ in range(3))).save(path, "PNG")

    def folders(self) -> list[Path]:
        """Real folders that can be changed."""
        found = [self.root]
        for folder in found:
            found += [path for path in sorted(folder.iterdir()) if not path.is_symlink() and path.is_dir()]
        return [folder for folder in found if not any(part in self.locked for part in (folder, *folder.parents))]

    def change(self) -> None:
        """Change something at random."""
        luck, folder = self.luck, self.luck.choice(self.folders())
        what = luck.choice(("photo", "photo", "folder", "folder", "link", "odd", "remove", "lock", "unlock", "away"))
        if what == "photo":
            self.photo(folder / luck.choice(PHOTOS))
        elif what == "folder" and not os.path.lexists(path := folder / luck.choice((*NAMES, *LEFT_OUT))):
            path.mkdir()
            self.photo(path / luck.choice(PHOTOS))
        elif what == "link":
            self.link(folder / f"link{luck.randrange(6)}")
        elif what == "odd":
            self.odd(folder)
        elif what == "remove":
            self.remove(luck.choice(sorted(folder.iterdir()) or [folder]))
        elif what == "lock" and folder != self.root:
            folder.chmod(0)
            self.locked.add(folder)
        elif what == "unlock" and self.locked:
            path = luck.choice(sorted(self.locked))
            self.locked.discard(path)
            path.chmod(0o755)
        elif what == "away":
            self.move_away_or_back(folder)

    def link(self, path: Path) -> None:
        if not os.path.lexists(path):
            bad = ["always.png/below", "nowhere", "n" * 300, path.name, "link0", "link1"]
            good = ["..", str(self.outside), str(self.root / "always.png"), *map(str, self.folders())]
            path.symlink_to(self.luck.choice([*bad, *good]))

    def odd(self, folder: Path) -> None:
        kind = self.luck.choice(("pipe", "socket", "text", "empty", "bytes", "raw"))
        path = folder / f"{kind}{self.luck.choice(('.png', ''))}"
        if os.path.lexists(path):
            return
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                here = os.open(folder, os.O_RDONLY)
                listening.bind(f"/proc/self/fd/{here}/{path.name}")  # a longer path is none for a socket
                os.close(here)
        elif kind == "raw":
            path.with_suffix(".nef").write_bytes(b"II*\x00" + bytes(60))
        elif kind == "bytes":
            Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.png")).write_bytes(
                (self.root / "always.png").read_bytes()
            )
        else:
            path.write_text("" if kind == "empty" else "text")

    def remove(self, path: Path) -> None:
        if path == self.root / "always.png" or path in self.folders()[:1]:
            return
        if not path.is_symlink() and path.is_dir():
            if not any(path in (locked, *locked.parents) for locked in self.locked):
                shutil.rmtree(path)
        else:
            path.unlink()

    def move_away_or_back(self, folder: Path) -> None:
        """Leave a link that leads nowhere in place of a folder, as an unmounted disk does; or bring one back."""
        kept = sorted(self.away.iterdir())
        if kept:
            path = Path(os.fsdecode(bytes.fromhex(kept[0].name)))
            if path.is_symlink() and path.parent.is_dir():
                path.unlink()
                kept[0].rename(path)
            elif not os.path.lexists(path):
                shutil.rmtree(kept[0])
        elif folder != self.root and len(os.fsencode(folder)) < 100 and not self.has_locks(folder):
            folder.rename(self.away / os.fsencode(folder).hex())
            folder.symlink_to(folder.name)

    def has_locks(self, folder: Path) -> bool:
        return any(folder in locked.parents for locked in self.locked)

    # What an honest reader would find.

    def expected(self) -> tuple[set[str], set[str]]:
        """Paths of photos that can be read, and paths beneath which more may be."""
        look = Look(self.root, self.locked)
        links = [""]
        while links:
            level, links = sorted(links), []
            for folder in level:
                look.beneath(folder, links)
        return look.photos, look.hidden


class Look:
    """What can be met in a folder: real folders first, then links, each folder once."""

    def __init__(self, root: Path, locked: set[Path]) -> None:
        self.root, self.locked = root, locked
        self.photos: set[str] = set()
        self.hidden: set[str] = set()
        self.been: set[Path] = set()

    def beneath(self, folder: str, links: list[str]) -> None:
        """Look at a folder and all real ones in it; collect the links to others."""
        here = (self.root / folder).resolve()
        if here in self.been:
            return
        if here in self.locked:
            self.hidden.add(folder)
            return
        self.been.add(here)
        for path in sorted((self.root / folder).iterdir()):
            relative = f"{folder}/{path.name}" if folder else path.name
            if path.name.startswith(".") or path.name in LEFT_OUT:
                self.been |= set() if path.is_symlink() else {path.resolve()}
            elif path.is_symlink():
                self.follow(path, relative, links)
            elif path.is_dir():
                self.beneath(relative, links)
            elif is_photo(path):
                self.photos.add(relative)

    def follow(self, path: Path, relative: str, links: list[str]) -> None:
        """Look at a link."""
        if not os.path.exists(path) or self.locked.intersection(path.resolve().parents):  # noqa: PTH110 - never raises
            self.hidden.add(relative)
        elif path.is_dir():
            links.append(relative)
        elif is_photo(path):
            self.photos.add(relative)


def is_photo(path: Path) -> bool:
    return path.is_file() and path.read_bytes()[:4] == b"\x89PNG" and "\udce9" not in path.name


def may_be_beneath(photo: str, hidden: set[str]) -> bool:
    parts = photo.split("/")
    return any("/".join(parts[:depth]) in hidden for depth in range(1, len(parts) + 1))


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path, as sockets need."""
    with tempfile.TemporaryDirectory(prefix="trees-") as made:
        yield Path(made).resolve()
        for path, _, _ in os.walk(made):
            os.chmod(path, 0o755)  # noqa: PTH101


def test_a_gallery_follows_its_folder_and_keeps_what_is_out_of_reach(tries: Tries, luck: Random, folder: Path) -> None:
    (folder / "shop").mkdir()
    tree = Tree(folder / "shop" / "root", luck)
    before: set[str] = set()
    kept = 0
    with start(
        "-c", INDEXER, str(folder / "gallery"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=1
    ) as indexer:
        assert indexer.stdin and indexer.stdout
        for number in range(tries("folder-trees", short=40, long=4000)):
            for _ in range(luck.randrange(1, 6)):
                tree.change()
            met, hidden = tree.expected()
            print(json.dumps(str(tree.root)), file=indexer.stdin)
            told = json.loads(indexer.stdout.readline())
            assert told["error"] is None, f"run {number}"
            still = {photo for photo in before - met if may_be_beneath(photo, hidden)}
            assert told["items"] == {photo: photo for photo in met | still}, f"run {number}"
            assert hidden <= set(told["skipped"]), f"run {number}"
            before, kept = met | still, kept + len(still)
        indexer.stdin.close()
    assert kept, "nothing was ever out of reach: this test tests nothing"
