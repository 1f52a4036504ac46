"""Splits that are temporarily out of reach, and photos outside the folders that a server shows."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from small_shop import COLORS, Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.types import JSON
from unprivileged import start

Capture = pytest.CaptureFixture[str]


def indexed(capsys: Capture, *arguments: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["index", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def attributes(gallery: Path) -> dict[str, dict[str, JSON]]:
    with lookalike.open(gallery) as shop:
        return {item.id: dict(item.attributes) for item in shop.gallery.list(limit=None)[1]}


@pytest.fixture
def splits(tmp_path: Path) -> Path:
    """A photo in each of `train/coat`, `train/dress`, `val/coat` and `test/coat`."""
    folder = tmp_path / "splits"
    for place, (color, rgb) in zip(["train/coat", "train/dress", "val/coat", "test/coat"], COLORS.items(), strict=True):
        (folder / place).mkdir(parents=True)
        paint(rgb, 0).save(folder / place / f"{color}.png")
    return folder


@pytest.mark.parametrize("moved", ["train", "train/coat"])
def test_photos_keep_their_splits_while_a_link_leads_nowhere(
    splits: Path, shop: Shop, tmp_path: Path, capsys: Capture, moved: str
) -> None:
    gallery = tmp_path / "g.gallery"
    (splits / moved).rename(tmp_path / "disk")
    (splits / moved).symlink_to(tmp_path / "disk")
    indexed(capsys, splits, "-g", gallery, "--model", shop.model)
    before = attributes(gallery)
    assert {known["split"] for known in before.values()} >= {"train", "val", "test"}
    (tmp_path / "disk").rename(tmp_path / "unmounted")
    report = indexed(capsys, splits, "-g", gallery, "--prune", code=3)
    assert (report["updated"], report["removed"]) == (0, 0)
    assert attributes(gallery) == before


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444])
def test_photos_keep_their_splits_while_one_may_not_be_entered(
    splits: Path, shop: Shop, tmp_path: Path, capsys: Capture, mode: int
) -> None:
    gallery = tmp_path / "g.gallery"
    indexed(capsys, splits, "-g", gallery, "--model", shop.model)
    before = attributes(gallery)
    (splits / "train").chmod(mode)
    try:
        command = ["-m", "lookalike", "index", str(splits), "-g", str(gallery), "--prune"]
        with start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as index:
            out, err = index.communicate()
    finally:
        (splits / "train").chmod(0o755)
    assert index.returncode == 3, err
    assert out.startswith("0 added, 0 updated, 2 unchanged, 0 removed")
    assert attributes(gallery) == before


def test_index_says_how_many_photos_a_server_will_not_show(
    splits: Path, shop: Shop, tmp_path: Path, capsys: Capture
) -> None:
    tables, gallery = tmp_path / "tables", tmp_path / "g.gallery"
    tables.mkdir()
    paint((9, 9, 9), 0).save(tables / "inside.png")
    (tables / "link.png").symlink_to(splits / "train" / "coat" / "Red.png")
    outside = ["../splits/val/coat", str(splits / "test" / "coat")]
    photos = [f"{folder}/{path.name}" for folder in outside for path in (tables / folder).iterdir()]
    with (tables / "shop.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image"], ["inside.png"], ["link.png"], *([photo] for photo in photos)])
    report = indexed(capsys, tables / "shop.csv", "-g", gallery, "--model", shop.model)
    assert (report["added"], report["outside"]) == (4, 3)
    assert main(["index", str(tables / "shop.csv"), "-g", str(gallery)]) == 0
    assert "the photos of 3 items lie outside" in capsys.readouterr().err
    # Once their own folder has been indexed into the same gallery, they are shown.
    indexed(capsys, splits, "-g", gallery)
    assert indexed(capsys, tables / "shop.csv", "-g", gallery)["outside"] == 0
