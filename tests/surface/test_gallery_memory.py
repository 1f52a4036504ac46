"""State of a gallery between commands: its model and overrides are kept, failed work leaves nothing."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop

import lookalike
from lookalike.cli import main
from lookalike.embedding.model_choice import ModelFile
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.retrieval.retriever import Retriever
from lookalike.spaces import Space
from lookalike.types import Item

Capture = pytest.CaptureFixture[str]


def run_json(capsys: Capture, *arguments: object) -> Any:
    """Run a command that must succeed, and read what it printed."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: object) -> str:
    """Run a command that must be refused, and read why."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.count("\n") == 1
    return shown.err


@pytest.fixture
def own_model(shop: Shop, tmp_path: Path) -> Path:
    """The shop's model at a place of its own, and the gallery told so."""
    path = Path(shutil.copy(shop.model, tmp_path / "mine.onnx"))
    assert main(["index", str(shop.table), "-g", str(shop.gallery), "--model", str(path)]) == 0
    return path


def test_a_search_uses_the_model_that_filled_the_gallery(shop: Shop, capsys: Capture) -> None:
    photo = shop.photo("blue-1")
    asked = ["search", photo, "-g", shop.gallery, "-k", 3]
    answer = run_json(capsys, *asked)
    assert answer["query"]["model"] == "tiny@01234567"
    assert answer["matches"] == run_json(capsys, *asked, "--model", shop.model)["matches"]
    assert run_json(capsys, "gallery", "info", "-g", shop.gallery)["model"] == str(shop.model)
    assert run_json(capsys, "index", shop.table, "-g", shop.gallery)["unchanged"] == 12
    with lookalike.open(shop.gallery) as opened:
        assert opened.search(photo, k=1).query.model == "tiny@01234567"


def test_a_model_is_remembered_by_its_whole_path(
    shop: Shop, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(shop.model.parent)
    new = ["index", str(shop.table), "-g", str(tmp_path / "new.gallery"), "--model", shop.model.name]
    assert main(new) == 0
    monkeypatch.chdir(tmp_path)
    assert run_json(capsys, "search", shop.photo("red-0"), "-g", "new.gallery")["query"]["model"] == "tiny@01234567"


def test_a_model_that_has_moved_is_asked_for(shop: Shop, own_model: Path, capsys: Capture) -> None:
    moved = own_model.rename(own_model.with_name("moved.onnx"))
    ask = ["search", shop.photo("red-0"), "-g", shop.gallery]
    reason = refused(capsys, *ask)
    assert f"was filled by the model {own_model}, and there is no such file any more" in reason
    assert "--model" in reason
    assert f"filled by the model {own_model}" in refused(capsys, "index", shop.table, "-g", shop.gallery)
    assert run_json(capsys, *ask, "--model", moved)["query"]["model"] == "tiny@01234567"
    assert main(["index", str(shop.table), "-g", str(shop.gallery), "--model", str(moved)]) == 0
    assert run_json(capsys, *ask)["query"]["model"] == "tiny@01234567"  # the new place is remembered


def test_a_model_that_has_changed_is_refused(shop: Shop, own_model: Path, capsys: Capture) -> None:
    shutil.copy(shop.other_model, own_model)
    reason = refused(capsys, "search", shop.photo("red-0"), "-g", shop.gallery)
    assert f"was filled by the model tiny@01234567, and {own_model} is other@fedcba98 now" in reason
    assert "--model" in reason
    assert run_json(capsys, "search", "--item", "red-0", "-g", shop.gallery)["matches"]  # which needs no model


def test_what_was_set_by_hand_outlasts_the_catalogue(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "catalogue.csv"

    def write(**changed: str) -> None:
        with shop.table.open(newline="") as file:
            _, *rows = csv.reader(file)
        with table.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "image", "product", "colour", "price", "season"])
            for item, image, *others in rows:
                others[2] = changed.get(item, others[2])
                writer.writerow([item, shop.table.parent / image, *others])

    write()
    assert main(["index", str(table), "-g", str(shop.gallery)]) == 0
    run_json(capsys, "gallery", "set", "red-0", "price=99", "season=null", "-g", shop.gallery)
    counts = run_json(capsys, "index", table, "-g", shop.gallery)
    assert (counts["updated"], counts["unchanged"]) == (0, 12)
    write(**{"red-0": "7", "red-1": "8"})
    counts = run_json(capsys, "index", table, "-g", shop.gallery)
    assert (counts["updated"], counts["embedded"]) == (2, 0)
    known = run_json(capsys, "gallery", "get", "red-0", "-g", shop.gallery)["attributes"]
    assert known == {"colour": "Red", "price": 99}
    assert run_json(capsys, "gallery", "get", "red-1", "-g", shop.gallery)["attributes"]["price"] == 8


def test_an_item_whose_photo_is_gone_is_shown_with_its_matches(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    with LocalGallery(shop.gallery) as gallery:
        gallery.update([Item("red-1", "gone.png")])
    montage, html = tmp_path / "answer.png", tmp_path / "answer.html"
    ask = ["search", "--item", "red-1", "-g", str(shop.gallery), "-k", "3"]
    assert main([*ask, "--montage", str(montage), "--html", str(html)]) == 0
    assert montage.stat().st_size > 1000
    page = html.read_text()
    assert (page.count("<img "), page.count("No photo: no such file")) == (3, 1)
    assert capsys.readouterr().out.count("\n") == 4


def test_nothing_is_printed_when_a_picture_cannot_be_written(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    page = tmp_path / ("x" * 300 + ".html")
    assert "cannot be written" in refused(capsys, "search", "--item", "red-1", "-g", shop.gallery, "--html", page)


def test_skipped_photos_are_listed_in_the_gallery_also_when_it_is_an_object(shop: Shop, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(f"id,image\na,{shop.photo('red-0')}\nb,none.png\n")
    with LocalGallery(tmp_path / "new.gallery", create=True) as gallery:
        Retriever(gallery, ModelFile(str(shop.model))).index(table)
    with (tmp_path / "new.gallery" / "skipped.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["id", "photo", "reason"], ["b", "none.png", "no such file"]]


def test_a_gallery_made_for_work_that_fails_vanishes_unless_others_use_it(shop: Shop, tmp_path: Path) -> None:
    broken = tmp_path / "broken.csv"
    broken.write_text(f"id,image\na,{tmp_path}/none.png\n")
    (tmp_path / "mine.gallery").mkdir()
    index = ["index", str(broken), "--model", str(shop.model), "--strict", "-g"]
    assert main([*index, str(tmp_path / "mine.gallery")]) == 2
    assert list((tmp_path / "mine.gallery").iterdir()) == []
    assert main([*index, str(tmp_path / "a" / "b.gallery")]) == 2
    assert not (tmp_path / "a").exists()
    with LocalGallery(tmp_path / "c.gallery", create=True) as made, LocalGallery(tmp_path / "c.gallery") as other:
        vectors = {"deep": np.ones((1, 2), np.float32)}
        other.add([Item("a", "a.jpg")], vectors, spaces=[Space("deep", 2, "m")])
        made.discard_if_unused()
        assert len(made) == len(other) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="has no such limit")
def test_a_gallery_that_there_is_no_room_for_leaves_nothing(shop: Shop, tmp_path: Path) -> None:
    place = tmp_path / "in" / "here.gallery"
    limited = f"ulimit -f 20; exec {sys.executable} -B -m lookalike index {shop.table} -g {place} --model {shop.model}"
    done = subprocess.run(["bash", "-c", limited], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert not place.parent.exists()


def test_a_catalogue_does_not_command_the_terminal(shop: Shop, capsys: Capture) -> None:
    assert (
        main(["gallery", "set", "red-0", "season=\x1b[31mwarm\x9b2J", "note=two\nlines", "-g", str(shop.gallery)]) == 0
    )
    assert main(["gallery", "list", "-g", str(shop.gallery), "--limit", "1"]) == 0
    assert main(["search", "--item", "red-1", "-g", str(shop.gallery), "--where", "colour = 'Red'"]) == 0
    assert main(["gallery", "get", "\x1b[31m", "-g", str(shop.gallery)]) == 2
    shown = capsys.readouterr()
    assert r"\x1b[31mwarm\x9b2J" in shown.out
    assert r"unknown item '\x1b[31m'" in shown.err
    assert not set(shown.out + shown.err) & set(map(chr, (*range(10), *range(11, 32), *range(127, 160))))


def test_a_value_that_is_nested_without_end_is_text(shop: Shop, capsys: Capture) -> None:
    text = "[" * 100_000
    known = run_json(capsys, "gallery", "set", "red-0", f"note={text}", "-g", shop.gallery)
    assert known["attributes"]["note"] == text


def test_a_sum_of_distances_that_is_too_large_is_refused(shop: Shop, capsys: Capture) -> None:
    ask = ["search", "--item", "red-0", "-g", shop.gallery, "--metric", "deep=cityblock", "--weight"]
    assert "take smaller weights" in refused(capsys, *ask, "deep=1e300")
    assert len(run_json(capsys, *ask, "deep=1e30")["matches"]) == 10


def test_long_ids_are_not_offered_for_one_that_is_not_there(shop: Shop, capsys: Capture) -> None:
    with LocalGallery(shop.gallery) as gallery:
        vectors = gallery.vectors("red-0")
        gallery.add([Item("s" * 5000, "s.jpg")], vectors, spaces=gallery.spaces)
    assert len(refused(capsys, "gallery", "get", "sa", "-g", shop.gallery)) < 200


def test_what_takes_long_is_said_beforehand(shop: Shop, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lookalike.gallery.local.segment.LONG_TO_BUILD", 10)
    ask = ["search", "--item", "red-0", "-g", str(shop.gallery), "--json"]
    for index, said in (("kmeans", "building the index kmeans over 12 items, once\n"), ("exact", "")):
        capsys.readouterr()
        assert main([*ask, "--index", index]) == 0
        assert capsys.readouterr().err == said


def test_a_very_large_photo_is_read_without_a_warning(
    shop: Shop, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photo = tmp_path / "large.tif"
    Image.new("L", (9_500, 9_500)).save(photo, compression="tiff_deflate")
    ask = ["search", str(photo), "-g", str(shop.gallery), "--json", "-k", "1", "--box", "0,0,9490,9490"]
    assert main(ask) == 0
    assert capfd.readouterr().err == ""
