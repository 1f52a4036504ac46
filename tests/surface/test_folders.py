"""Folders on real disks, from the command line: temporarily out of reach, with pipes and links."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from small_shop import COLORS, Shop, paint
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main, query_photos
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from unprivileged import start

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Four photos in two folders."""
    folder = tmp_path / "photos"
    for at, (color, rgb) in enumerate(COLORS.items()):
        place = folder / ("kept" if at % 2 else "far")
        place.mkdir(parents=True, exist_ok=True)
        paint(rgb, 0).save(place / f"{color}.png")
    return folder


def indexed(capsys: Capture, *arguments: object, code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["index", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def ids(gallery: Path) -> list[str]:
    with lookalike.open(gallery) as shop:
        return sorted(item.id for item in shop.gallery.list(limit=None)[1])


ALL = ["far/Blue.png", "far/Red.png", "kept/Green.png", "kept/White.png"]


@pytest.mark.parametrize("how", ["link that leads nowhere", "link to itself", "file in its place"])
def test_items_of_a_folder_out_of_reach_stay_with_what_was_set_by_hand(
    photos: Path, shop: Shop, tmp_path: Path, capsys: Capture, how: str
) -> None:
    gallery = tmp_path / "g.gallery"
    indexed(capsys, photos, "-g", gallery, "--model", shop.model)
    assert main(["gallery", "set", "far/Red.png", "price=7", "-g", str(gallery)]) == 0
    (photos / "far").rename(tmp_path / "away")
    if how == "file in its place":
        (photos / "far").write_text("gone")  # this is no folder any more, and nothing can be beneath it
    else:
        (photos / "far").symlink_to("far" if "itself" in how else "/nowhere")
    report = indexed(capsys, photos, "-g", gallery, "--prune", code=0 if how.startswith("file") else 3)
    if how == "file in its place":
        assert (report["removed"], report["kept"]) == (2, 0)
        return
    assert (report["removed"], report["kept"], report["unchanged"]) == (0, 2, 2)
    assert [one["photo"] for one in report["skipped"]] == ["far"]
    with (gallery / "skipped.csv").open(newline="") as file:
        assert [row["photo"] for row in csv.DictReader(file)] == ["far"]
    assert ids(gallery) == ALL
    with lookalike.open(gallery) as opened:
        assert opened.gallery.get("far/Red.png").attributes["price"] == 7
    (photos / "far").unlink()
    report = indexed(capsys, photos, "-g", gallery, "--prune")
    assert (report["removed"], report["kept"], ids(gallery)) == (2, 0, ["kept/Green.png", "kept/White.png"])


@pytest.mark.parametrize("depth", ["far", "far/deep"])
def test_a_folder_that_may_not_be_listed_is_named_and_loses_nothing(
    photos: Path, shop: Shop, tmp_path: Path, capsys: Capture, depth: str
) -> None:
    gallery = tmp_path / "g.gallery"
    (photos / "far" / "deep").mkdir()
    paint((1, 2, 3), 1).save(photos / "far" / "deep" / "x.png")
    indexed(capsys, photos, "-g", gallery, "--model", shop.model)
    before = ids(gallery)
    (photos / depth).chmod(0)
    try:
        command = ["-m", "lookalike", "index", str(photos), "-g", str(gallery), "--prune"]
        with start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as index:
            out, err = index.communicate()
    finally:
        (photos / depth).chmod(0o755)
    assert index.returncode == 3, err
    assert f"skipped {depth}: the folder cannot be listed: permission denied" in err
    assert "items were not found and are kept" in err
    assert "0 removed" in out
    assert ids(gallery) == before


def test_a_source_without_any_photo_left_removes_nothing(
    photos: Path, shop: Shop, tmp_path: Path, capsys: Capture
) -> None:
    """It is more likely an unmounted disk, whose folder is empty, or has but the marks of a file system."""
    gallery = tmp_path / "g.gallery"
    indexed(capsys, photos, "-g", gallery, "--model", shop.model)
    photos.rename(tmp_path / "away")
    photos.mkdir()
    (photos / "lost+found").mkdir()
    assert main(["index", str(photos), "-g", str(gallery), "--prune"]) == 2
    (photos / "bad").symlink_to("bad")
    assert indexed(capsys, photos, "-g", gallery, "--prune", code=3)["kept"] == 4
    photos.joinpath("bad").unlink()
    (photos / "drawing.svg").touch()
    assert indexed(capsys, photos, "-g", gallery, "--prune", code=3)["kept"] == 4
    assert ids(gallery) == ALL


def test_globs_are_left_out_by_both_doors(photos: Path, shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    gallery = tmp_path / "g.gallery"
    indexed(capsys, photos, "-g", gallery, "--model", shop.model, "--exclude", "far/B*", "--exclude", "White.png")
    assert ids(gallery) == ["far/Red.png", "kept/Green.png"]
    with lookalike.open(gallery) as opened:
        opened.index(photos, exclude=["far"], prune=True)
    assert ids(gallery) == ["kept/Green.png", "kept/White.png"]
    assert main(["index", str(shop.table), "-g", str(gallery), "--exclude", "*.png"]) == 2
    assert "exclude works on folders of photos" in capsys.readouterr().err


# Pipes.


def test_a_pipe_in_a_table_or_a_listing_is_skipped(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    paint((9, 9, 9), 0).save(tmp_path / "good.png")
    table = tmp_path / "table.csv"
    table.write_text("image\npipe.png\ngood.png\nnull.png\n")
    report = indexed(capsys, table, "-g", tmp_path / "g.gallery", "--model", shop.model, code=3)
    assert report["added"] == 1
    assert {one["photo"]: one["reason"] for one in report["skipped"]} == {
        "pipe.png": "cannot be read: it is a pipe, and only files are read",
        "null.png": "cannot be read: it is a device, and only files are read",
    }
    command = ["-m", "lookalike", "index", "-", "-g", str(tmp_path / "l.gallery"), "--model", str(shop.model)]
    with start(*command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as index:
        _, err = index.communicate("pipe.png\ngood.png\n", timeout=60)
    assert index.returncode == 3
    assert "skipped pipe.png: cannot be read: it is a pipe" in err


def test_photos_that_became_pipes_keep_no_other_photo_waiting(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    for name in ("a", "b", "c"):
        paint((len(name) * 9, 70, 9), 0).save(tmp_path / f"{name}.png")
    gallery = tmp_path / "g.gallery"
    indexed(capsys, tmp_path, "-g", gallery, "--model", shop.model)
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").unlink()
        os.mkfifo(tmp_path / f"{name}.png")
    context = open_context(str(gallery), settings=Settings(workers=2), token=None, model=str(shop.model))
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        for size in ("", "?size=64"):
            for name in ("a", "b"):
                refused = client.get(f"/v1/items/{name}.png/photo{size}")
                assert refused.status_code == 404
                assert "not a regular file" in refused.json()["error"]["message"]
            assert client.get(f"/v1/items/c.png/photo{size}").status_code == 200


def test_a_pipe_can_be_asked_with(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    """As a shell's `<(...)` gives one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(shop.photo("green-2").read_bytes()))
    writer.start()
    assert main(["search", str(pipe), "-g", str(shop.gallery), "--model", str(shop.model), "--json"]) == 0
    writer.join()
    answer = json.loads(capsys.readouterr().out)
    assert (answer["matches"][0]["id"], answer["query"]["photo"]) == ("green-2", str(pipe))


def test_a_silent_pipe_is_given_up(
    shop: Shop, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_photos, "PATIENCE_S", 0.2)
    os.mkfifo(tmp_path / "pipe")
    assert main(["search", str(tmp_path / "pipe"), "-g", str(shop.gallery), "--model", str(shop.model)]) == 2
    assert "the pipe was silent for 0 seconds" in capsys.readouterr().err


# Links in the gallery's own folder.


def test_nothing_is_written_through_links(photos: Path, shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    gallery, precious = tmp_path / "g.gallery", tmp_path / "precious"
    indexed(capsys, photos, "-g", gallery, "--model", shop.model)
    precious.write_text("mine")
    (photos / "empty.png").touch()
    for name in ("skipped.csv", "write.json"):
        (gallery / name).symlink_to(precious)
    indexed(capsys, photos, "-g", gallery, code=3)
    assert precious.read_text() == "mine"
    assert "empty.png" in (gallery / "skipped.csv").read_text()
    assert not (gallery / "skipped.csv").is_symlink()
    assert not (gallery / "write.json").is_symlink()
    (photos / "empty.png").unlink()
    (gallery / "skipped.csv").unlink()
    (gallery / "skipped.csv").symlink_to(precious)
    indexed(capsys, photos, "-g", gallery)
    assert precious.read_text() == "mine"


def test_verify_counts_photos_out_of_reach_and_goes_on(
    photos: Path, shop: Shop, tmp_path: Path, capsys: Capture
) -> None:
    gallery = tmp_path / "g.gallery"
    indexed(capsys, photos, "-g", gallery, "--model", shop.model)
    (photos / "far").chmod(0)
    try:
        command = ["-m", "lookalike", "gallery", "verify", "--photos", "-g", str(gallery)]
        with start(*command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as verify:
            out, err = verify.communicate()
    finally:
        (photos / "far").chmod(0o755)
    assert (verify.returncode, err) == (1, "")
    assert "far/Blue.png" in out
