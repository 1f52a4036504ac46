"""A gallery after a power cut: all acknowledged commits, and of the others whole commits in order.

A process writes to a gallery, with every operation on its files noted (see `disk_watch.c`). A try takes them up to a
random operation and builds the folder that a disk may hold then. What was synced is there. Of later writes some sectors
are; of later changes of names, those up to some point.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
import pytest
from disk_faults import disk_watch  # noqa: F401 - a fixture
from test_gallery_crash import add, rows_of

import lookalike
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest

BATCH, BATCHES = 16, 12
SECTOR = 512

WRITER = """
import ctypes, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_power_cut import write_batches
ctypes.CDLL(None).disk_log(sys.argv[3].encode())
write_batches(Path(sys.argv[1]))
"""


def write_batches(folder: Path) -> None:
    """Add batches of items, derive rows now and then, and say after each commit that it was done."""
    said = folder.parent / "acknowledged"
    with LocalGallery(folder, create=True) as gallery:
        for batch in range(BATCHES):
            add(gallery, range(batch * BATCH, (batch + 1) * BATCH))
            with said.open("ab", buffering=0) as file:
                file.write(b"*")
            if batch % 5 == 4:
                gallery.compact()


@dataclass(frozen=True)
class Operation:
    """One line of the notes, with the bytes that were written."""

    what: str
    at: int
    data: bytes
    path: str


def read_notes(path: Path) -> Iterator[Operation]:
    notes, at = path.read_bytes(), 0
    while at < len(notes):
        end = notes.index(b"\n", at)
        what, place, size, name = notes[at:end].split(b" ", 3)
        at = end + 1 + int(size)
        yield Operation(what.decode(), int(place), notes[end + 1 : at], name.decode())


@dataclass
class Disk:
    """The files beneath a folder, by path: what was synced of each, and the operations since."""

    synced: dict[str, bytearray] = field(default_factory=dict)
    later: dict[str, list[Operation]] = field(default_factory=dict)

    def apply(self, operation: Operation) -> None:
        path = operation.path
        match operation.what:
            case "new":
                self.synced[path], self.later[path] = bytearray(), []
            case "write" | "cut":
                self.later.setdefault(path, []).append(operation)
            case "sync" if path in self.synced:
                for one in self.later[path]:
                    change(self.synced[path], one)
                self.later[path] = []
            case "rename":
                target = operation.data.decode()
                for files in (self.synced, self.later):
                    for name in [name for name in files if name == path or name.startswith(f"{path}/")]:
                        files[target + name.removeprefix(path)] = files.pop(name)  # type: ignore[attr-defined]
            case "unlink":
                self.synced.pop(path, None)
                self.later.pop(path, None)

    def write(self, folder: Path, root: str, luck: Random) -> None:
        """Write what the disk may hold, of what was not synced a random part."""
        for path, content in self.synced.items():
            whole = bytearray(content)
            for operation in self.later.get(path, ()):
                for part in sectors(operation):
                    if luck.random() < 0.5:
                        change(whole, part)
            place = folder / Path(path).relative_to(root)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(whole)


def change(content: bytearray, operation: Operation) -> None:
    if operation.what == "cut":
        del content[operation.at :]
        content.extend(bytes(operation.at - len(content)))
    else:
        content.extend(bytes(max(0, operation.at - len(content))))
        content[operation.at : operation.at + len(operation.data)] = operation.data


def sectors(operation: Operation) -> Iterator[Operation]:
    if operation.what == "cut":
        yield operation
    for first in range(0, len(operation.data), SECTOR):
        yield Operation("write", operation.at + first, operation.data[first : first + SECTOR], operation.path)


@pytest.fixture(scope="module")
def notes(disk_watch: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[Operation]]:  # noqa: F811
    """The folder in which a gallery was written, and all that was done there."""
    folder = tmp_path_factory.mktemp("power")
    (folder / "disk").mkdir()
    environment = os.environ | {"LD_PRELOAD": str(disk_watch), "DISK_ROOT": str(folder / "disk")}
    environment["PYTHONPATH"] = str(Path(lookalike.__file__).parents[1])
    here = str(Path(__file__).parent)
    command = [sys.executable, "-c", WRITER, str(folder / "disk" / "shop.gallery"), here, str(folder / "log")]
    subprocess.run(command, env=environment, check=True)
    return str(folder / "disk"), list(read_notes(folder / "log"))


def test_a_power_cut_loses_nothing_that_was_acknowledged(
    notes: tuple[str, list[Operation]], tmp_path: Path, tries: Callable[..., int], luck: Random
) -> None:
    root, operations = notes
    said = f"{root}/acknowledged"
    first = next(number for number, one in enumerate(operations) if one.path == said)
    for number in range(tries("power-cut", short=25, long=2000)):
        cut = luck.randrange(first, len(operations) + 1)
        # A sync brings all earlier changes of names to the disk; later ones are there up to a random one.
        last_sync = max(place for place in range(cut) if operations[place].what == "sync")
        names = luck.randrange(last_sync, cut + 1)
        disk = Disk()
        for place, operation in enumerate(operations[:cut]):
            if place <= names or operation.what in ("write", "cut", "sync"):
                disk.apply(operation)
        acknowledged = sum(len(one.data) for one in operations[:cut] if one.path == said and one.what == "write")
        folder = tmp_path / str(number)
        disk.write(folder, root, luck)
        for shared in folder.rglob("*-shm"):
            shared.unlink()  # mapped, never synced, and made again when the database is opened next
        with LocalGallery(folder / "shop.gallery") as gallery:
            count = len(gallery)
            assert (count % BATCH, count >= acknowledged * BATCH) == (0, True), f"cut at {cut}"
            total, items = gallery.list(limit=None)
            assert (total, [int(item.id) for item in items]) == (count, list(range(count)))
            for each in {0, count - 1, luck.randrange(count)}:
                query = rows_of(range(each, each + 1))
                assert np.array_equal(gallery.vectors(str(each))["deep"], query)
                found = gallery.search({"deep": query}, SearchRequest(k=1))
                assert gallery.items(found.rows[0].tolist())[int(found.rows[0, 0])].id == str(each)
            gallery.optimise()
            assert gallery.verify().problems == ()
        shutil.rmtree(folder)
