"""`lookalike index`, killed with SIGKILL at random moments, twenty times over: nothing that was committed is lost."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike

PHOTOS = 8
KILLS = 20
ITEMS = 2500


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    noise = np.random.default_rng(3).integers(0, 256, size=(PHOTOS, 24, 24, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        Image.fromarray(pixels).resize((96, 96), Image.Resampling.NEAREST).save(folder / f"{number}.png")
    return folder


def catalogue(folder: Path, count: int) -> Path:
    """A table of many items that share a few photos."""
    table = folder / "catalogue.csv"
    lines = [f"{number},{number % PHOTOS}.png,{number}" for number in range(count)]
    table.write_text("\n".join(["id,image,price", *lines]), encoding="utf-8")
    return table


def contents(gallery: Path) -> dict[str, bytes]:
    """Each item's vectors."""
    if not gallery.exists():
        return {}
    try:
        with lookalike.open(gallery) as shop:
            return {
                item.id: b"".join(part[at].tobytes() for part in vectors.values())
                for items, vectors in shop.gallery.rows()
                for at, item in enumerate(items)
            }
    except lookalike.GalleryNotFoundError:  # killed before there was one
        return {}


def floats(row: bytes) -> np.ndarray:
    return np.frombuffer(row, dtype=np.float32)


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")
def test_nothing_committed_is_lost_and_the_next_run_finishes(tmp_path: Path, photos: Path, tiny_model: Path) -> None:
    gallery = tmp_path / "shop.gallery"
    chance = random.Random(11)
    runner = (
        "import sys, lookalike.ingest.pipeline as pipeline\n"
        "pipeline.WRITE_ROWS = 64\n"  # many small commits, so that a kill falls into one now and then
        "from lookalike.cli import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    command = [sys.executable, "-c", runner, "index", photos / "catalogue.csv", "-g", gallery, "--model", tiny_model]
    catalogue(photos, ITEMS)
    before: dict[str, bytes] = {}
    fell_within_the_run = 0
    for kill in range(KILLS):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
            if kill % 2:
                wait_for(partial(has_more, gallery, len(before)), process)
            else:
                wait_for(partial(is_held_anew, gallery / "write.json", modified(gallery / "write.json")), process)
            time.sleep(chance.uniform(0.0, 0.1))
            process.kill()
            _, err = process.communicate()
        assert err == ""
        after = contents(gallery)
        assert {item: after.get(item) for item in before} == before
        fell_within_the_run += len(before) < len(after) < ITEMS
        before = after
    assert fell_within_the_run >= KILLS // 4

    finished = subprocess.run([*command, "--json"], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    whole = contents(gallery)
    assert set(whole) == {str(number) for number in range(ITEMS)}
    assert {item: whole[item] for item in before} == before
    for number in range(ITEMS):
        np.testing.assert_allclose(floats(whole[str(number)]), floats(whole[str(number % PHOTOS)]), atol=1e-5)
    assert len({floats(whole[str(number)]).round(3).tobytes() for number in range(PHOTOS)}) == PHOTOS
    with lookalike.open(gallery) as shop:
        assert shop.gallery.verify().problems == ()  # type: ignore[attr-defined]


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Until the run has come to a point, or to its end."""
    deadline = time.monotonic() + 60
    while process.poll() is None and not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def modified(file: Path) -> int:
    """When a file was written; 0 while there is none."""
    return file.stat().st_mtime_ns if file.exists() else 0


def is_held_anew(note: Path, before: int) -> bool:
    """Whether a run has taken the lock since."""
    return modified(note) not in (0, before)


def has_more(gallery: Path, than: int) -> bool:
    """Whether a run has committed something."""
    return committed(gallery) > than


def committed(gallery: Path) -> int:
    """How many items there are."""
    if not (gallery / "gallery.db").exists():
        return 0
    with contextlib.suppress(lookalike.LookalikeError), lookalike.open(gallery) as shop:
        return len(shop.gallery)
    return 0
