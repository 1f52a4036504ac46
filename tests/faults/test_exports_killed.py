"""Exports that are killed at any instant: the same command again succeeds, and nothing is left of the first."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pytest

from lookalike.errors import LookalikeError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.transfer.folders import FORMATS, export_gallery, import_folder
from lookalike.spaces import Space, unit_rows
from lookalike.storage import atomic, sha256sums
from lookalike.storage.atomic import placed
from lookalike.types import Item

SPACES = [Space("deep", 32, "tiny@1"), Space("color", 4, "color@1")]
COUNT = 3000


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "shop.gallery"
    with LocalGallery(folder, create=True) as gallery:
        luck = np.random.default_rng(0)
        vectors = {
            space.name: unit_rows(luck.standard_normal((COUNT, space.dimension), dtype=np.float32)) for space in SPACES
        }
        gallery.add([Item(id=f"{at}.jpg", photo=f"{at}.jpg") for at in range(COUNT)], vectors, spaces=SPACES)
    return folder


COMMANDS: dict[str, list[str]] = {
    "parquet": ["gallery", "export", "--format", "parquet"],
    "original": ["gallery", "export", "--format", "original"],
    "gallery": ["gallery", "export", "--format", "gallery"],
    "reduce": ["reduce", "--dimension", "deep=8"],
    "augment": ["augment", "--neighbours", "2"],
}


def run(kind: str, source: Path, target: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "lookalike", *COMMANDS[kind], "--gallery", str(source), "--to", str(target)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_killed_export_is_done_again(
    filled: Path, tmp_path: Path, kind: str, tries: Callable[..., int], luck: Random
) -> None:
    for at in range(tries("killed exports", short=1, long=20)):
        target = tmp_path / f"{kind}-{at}"
        with run(kind, filled, target) as process:
            deadline = time.monotonic() + 60
            while not target.exists() and not list(tmp_path.glob(f".{target.name}*")) and time.monotonic() < deadline:
                assert process.poll() in (None, 0)
                time.sleep(0.002)
            time.sleep(luck.uniform(0, 0.3))
            process.kill()
        done = is_complete(kind, target)  # a process that is killed while it exits has done its work
        with run(kind, filled, target) as again:
            assert again.stderr is not None
            said = again.stderr.read()
        if done and kind != "gallery":
            assert again.returncode == 2, said
        else:
            assert again.returncode == 0, said
        check(kind, target, tmp_path / f"read-{at}")
        assert not list(tmp_path.glob(f".{target.name}*"))


def is_complete(kind: str, target: Path) -> bool:
    """Whether the last step was done: a folder of files is complete when the list of moved files is deleted."""
    if kind not in FORMATS:
        return target.exists()
    names = (*FORMATS[kind], sha256sums.FILE)
    return all((target / name).exists() for name in names) and not list(target.glob(f"{atomic.PREFIX}*/{atomic.MOVED}"))


def check(kind: str, target: Path, read: Path) -> None:
    """All items are there, and nothing that does not belong there."""
    if kind not in FORMATS:
        with LocalGallery(target) as made:
            assert len(made) == COUNT
            assert made.verify().problems == ()
        return
    assert sorted(path.name for path in target.iterdir()) == sorted((*FORMATS[kind], sha256sums.FILE))
    with LocalGallery(read, create=True) as made:
        assert import_folder(target, made) == COUNT


def test_files_of_a_dead_export_are_cleared_at_every_instant(filled: Path, tmp_path: Path) -> None:
    """The process ends between any two of its steps, of which the moves into place are the last."""
    for steps in range(12):
        folder = tmp_path / str(steps)
        folder.mkdir()
        (folder / "notes.txt").write_text("mine")
        child = os.fork()
        if child == 0:
            die_after(steps)
            try:
                with placed(folder, ["a", "b"]) as parts:
                    for name in ("a", "b"):
                        (parts / name).write_text("half")
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        whole = not list(folder.glob(".*")) and (folder / "b").exists()
        if not whole:
            with placed(folder, ["a", "b"]) as parts:
                for name in ("a", "b"):
                    (parts / name).write_text("whole")
            assert {path.name: path.read_text() for path in folder.iterdir()} == {
                "notes.txt": "mine",
                "a": "whole",
                "b": "whole",
            }
    assert whole  # so all instants were tried


def die_after(steps: int) -> None:
    """Have this process die in place of its `steps`-th call of the functions that matter."""
    left = steps

    def counted(function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **named: object) -> object:
            nonlocal left
            left -= 1
            if left < 0:
                os._exit(9)
            return function(*arguments, **named)

        return call

    atomic.flush = counted(atomic.flush)  # type: ignore[assignment]
    atomic.move = counted(atomic.move)  # type: ignore[assignment]
    Path.mkdir = counted(Path.mkdir)  # type: ignore[assignment,method-assign]
    Path.unlink = counted(Path.unlink)  # type: ignore[assignment,method-assign]
    Path.write_text = counted(Path.write_text)  # type: ignore[assignment,method-assign]


def test_what_others_put_there_stays(filled: Path, tmp_path: Path) -> None:
    with LocalGallery(filled) as gallery:
        target = tmp_path / "out"
        target.mkdir()
        (target / "gallery.parquet").write_text("mine")
        with pytest.raises(UsageError, match="exists already"):
            export_gallery(gallery, target, format="parquet")
        assert (target / "gallery.parquet").read_text() == "mine"
        with placed(target, ["other"]) as parts:
            (parts / "other").write_text("mine, too")
            with pytest.raises(LookalikeError, match="another export is writing into"):
                export_gallery(gallery, target, format="original")
        assert (target / "other").read_text() == "mine, too"
