"""The command line: answers, exit codes, and one-line errors for mistakes of the caller."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.cli.running import say_failure

Capture = pytest.CaptureFixture[str]


def run_json(capsys: Capture, *arguments: object) -> Any:
    """Run a command that must succeed, and read what it printed."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def ids(answer: Any) -> list[str]:
    return [match["id"] for match in answer["matches"]]


def new_process(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lookalike", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# What is right.


def test_a_photo_of_the_catalogue_finds_itself_first(shop: Shop, capsys: Capture) -> None:
    photo = shop.photo("blue-1")
    answer = run_json(capsys, "search", photo, "--gallery", shop.gallery, "--model", shop.model, "-k", 3)
    first = answer["matches"][0]
    assert answer["query"] == {
        "photo": str(photo),
        "box": None,
        "model": "tiny@01234567",
        "weights": {"deep": 1.0, "color": 0.1},
        "where": None,
        "index": "exact",
        "garment": None,
        "garments": [],
    }
    assert answer["took_ms"].keys() == {"find", "decode", "embed", "search"}
    assert [match["rank"] for match in answer["matches"]] == [1, 2, 3]
    assert (first["id"], first["product"], first["photo"]) == ("blue-1", "blue", "photos/blue-1.png")
    assert first["score"] == pytest.approx(1.0, abs=1e-5)
    assert first["scores"] == {"deep": pytest.approx(1.0, abs=1e-5), "color": pytest.approx(1.0, abs=1e-5)}
    assert first["attributes"] == {"colour": "Blue", "price": 21, "season": "Summer"}


def test_the_score_is_the_weighted_mean_of_the_parts(shop: Shop, capsys: Capture) -> None:
    weights = ["--weight", "deep=2", "--weight", "color=0.5"]
    answer = run_json(capsys, "search", shop.photo("red-0"), "-g", shop.gallery, "--model", shop.model, *weights)
    assert answer["query"]["weights"] == {"deep": 2.0, "color": 0.5}
    assert len(answer["matches"]) == 10
    for match in answer["matches"]:
        expected = (2.0 * match["scores"]["deep"] + 0.5 * match["scores"]["color"]) / 2.5
        assert match["score"] == pytest.approx(expected, abs=1e-5)


def test_colour_alone_finds_the_colour_first(shop: Shop, capsys: Capture) -> None:
    ask = ["search", shop.photo("green-0"), "-g", shop.gallery, "--model", shop.model, "--weight", "color=1", "-k", 1]
    answer = run_json(capsys, *ask)
    assert ids(answer) == ["green-0"]
    assert list(answer["matches"][0]["scores"]) == ["color"]


def test_an_item_is_asked_by_what_is_stored_and_left_out(shop: Shop, capsys: Capture) -> None:
    by_photo = run_json(capsys, "search", shop.photo("red-1"), "-g", shop.gallery, "--model", shop.model, "-k", 5)
    by_item = run_json(capsys, "search", "--item", "red-1", "-g", shop.gallery, "-k", 4)
    assert ids(by_photo)[0] == "red-1"
    assert ids(by_item) == ids(by_photo)[1:]
    assert (by_item["query"]["item"], by_item["query"]["photo"]) == ("red-1", None)
    assert [match["rank"] for match in by_item["matches"]] == [1, 2, 3, 4]


def test_a_filter_lets_only_those_through(shop: Shop, capsys: Capture) -> None:
    where = "price < 22 and season = 'Summer'"
    ask = ["search", shop.photo("blue-1"), "-g", shop.gallery, "--model", shop.model, "--where", where]
    answer = run_json(capsys, *ask)
    assert sorted(ids(answer)) == ["blue-1", "green-1", "green-2", "red-1", "red-2"]
    assert answer["query"]["where"] == where


def test_a_box_looks_at_that_part_only(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    beside = Image.new("RGB", (48 + 60, 60), (10, 200, 200))
    beside.paste(paint((200, 30, 40), 2), (60, 0))
    beside.save(tmp_path / "beside.png")
    ask = ["search", tmp_path / "beside.png", "-g", shop.gallery, "--model", shop.model, "--box", "60,0,108,60"]
    answer = run_json(capsys, *ask, "-k", 1)
    assert ids(answer) == ["red-2"]
    assert answer["matches"][0]["score"] == pytest.approx(1.0, abs=1e-5)
    assert answer["query"]["box"] == [60.0, 0.0, 108.0, 60.0]


def test_a_metric_is_minus_the_weighted_sum_of_distances(shop: Shop, capsys: Capture) -> None:
    ask = ["search", "--item", "red-1", "-g", shop.gallery, "--weight", "deep=1", "--weight", "color=0.1", "-k", 3]
    answer = run_json(capsys, *ask, "--metric", "deep=euclidean", "--metric", "color=cityblock")
    assert answer["query"]["metrics"] == {"deep": "euclidean", "color": "cityblock"}
    with lookalike.open(shop.gallery) as opened:
        mine = opened.gallery.vectors("red-1")
        for match in answer["matches"]:
            other = opened.gallery.vectors(match["id"])
            euclidean = np.linalg.norm(mine["deep"] - other["deep"])
            cityblock = np.abs(mine["color"] - other["color"]).sum()
            assert match["score"] == pytest.approx(-(euclidean + 0.1 * cityblock), abs=1e-5)


@pytest.mark.parametrize("index", ["exact", "kmeans", "ivf", "hnsw"])
def test_every_index_can_be_asked_for(shop: Shop, capsys: Capture, index: str) -> None:
    ask = ["search", shop.photo("blue-1"), "-g", shop.gallery, "--model", shop.model, "-k", 1, "--index", index]
    answer = run_json(capsys, *ask)
    assert ids(answer) == ["blue-1"]
    assert answer["query"]["index"] == index


def test_a_photo_may_come_on_standard_input(shop: Shop, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(shop.photo("green-2").read_bytes())))
    answer = run_json(capsys, "search", "-", "-g", shop.gallery, "--model", shop.model, "-k", 1)
    assert ids(answer) == ["green-2"]
    assert answer["query"]["photo"] == "standard input"


def test_the_table_shows_the_same_as_the_json(shop: Shop, capsys: Capture) -> None:
    ask = ["search", str(shop.photo("blue-1")), "-g", str(shop.gallery), "--model", str(shop.model), "-k", "4"]
    expected = run_json(capsys, *ask)
    assert main(ask) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].split() == ["#", "score", "deep", "color", "id", "product", "known"]
    for line, match in zip(lines[1:], expected["matches"], strict=True):
        rank, score, deep, color, item, product = line.split()[:6]
        assert (rank, item, product) == (str(match["rank"]), match["id"], match["product"])
        parts = match["scores"]
        assert [score, deep, color] == [f"{value:.3f}" for value in (match["score"], parts["deep"], parts["color"])]
    assert max(map(len, lines)) <= 80
    assert "weights: deep 1, color 0.1; index: exact; decode " in shown.err


def test_a_picture_and_a_page_are_written(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    montage, html = tmp_path / "answer.png", tmp_path / "answer.html"
    for query in (["--item", "red-1"], [str(shop.photo("red-1"))]):
        ask = ["search", *query, "-g", str(shop.gallery), "--model", str(shop.model), "-k", "3"]
        assert main([*ask, "--montage", str(montage), "--html", str(html)]) == 0
        with Image.open(montage) as picture:
            assert picture.width > 3 * picture.height / 2
        page = html.read_text()
        assert page.count("<img ") == 4
        assert "red-0" in page or "red-2" in page
        montage.unlink()
        html.unlink()
    assert f"wrote {montage}" in capsys.readouterr().err


def test_index_says_what_it_did(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    ask = ["index", shop.table, "-g", tmp_path / "new.gallery", "--model", shop.model]
    first, again = run_json(capsys, *ask), run_json(capsys, *ask)
    assert (first["added"], first["unchanged"], first["skipped"]) == (12, 0, [])
    assert (again["added"], again["unchanged"], again["embedded"]) == (0, 12, 0)
    assert main([str(part) for part in ask]) == 0
    assert capsys.readouterr().out == "0 added, 0 updated, 12 unchanged, 0 removed, 0 skipped\n"


def test_a_named_source_is_one_whatever_its_files_are_called(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    gallery, tomorrow = tmp_path / "new.gallery", shop.table.with_name("tomorrow.csv")
    header, *rows = shop.table.read_text().splitlines()
    tomorrow.write_text("\n".join([header, *rows[2:]]))
    named = ["-g", gallery, "--model", shop.model, "--source", "shop", "--prune"]
    assert run_json(capsys, "index", shop.table, *named)["added"] == 12
    report = run_json(capsys, "index", tomorrow, *named)
    assert (report["unchanged"], report["removed"], report["embedded"], report["replaced_from"]) == (10, 2, 0, {})
    assert run_json(capsys, "gallery", "info", "-g", gallery)["sources"] == {"shop": 10}
    with lookalike.open(gallery, model=str(shop.model)) as opened:
        assert opened.index(tomorrow, source_name="shop").unchanged == 10
        assert opened.index(tomorrow).replaced_from == {"shop": 10}
    assert main(["index", str(tomorrow), *map(str, named)]) == 0
    shown = capsys.readouterr()
    assert shown.out == "0 added, 0 updated, 0 unchanged, 0 removed, 0 skipped, 10 replaced\n"
    assert f"10 items with the same ids were of the source {tomorrow}, and are of this source now" in shown.err
    assert main(["index", str(tomorrow), "-g", str(gallery), "--source", "http"]) == 2
    assert "uploaded to the server" in capsys.readouterr().err


def test_a_tables_own_names_and_the_list_on_standard_input(
    shop: Shop, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "own.csv"
    table.write_text(f"id,file,style\nx,{shop.photo('red-0')},a7\n")
    run_json(
        capsys, "index", table, "-g", shop.gallery, "--model", shop.model, "--column", "image=file",
        "--column", "product=style",
    )  # fmt: skip
    item = run_json(capsys, "gallery", "get", "x", "-g", shop.gallery)
    assert (item["product"], item["photo"]) == ("a7", str(shop.photo("red-0")))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{shop.photo('red-2')}\n".encode())))
    report = run_json(capsys, "index", "-", "-g", shop.gallery, "--model", shop.model)
    assert report["added"] == 1


def test_skipped_photos_are_named_everywhere_and_end_with_3(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    paint((1, 2, 3), 0).save(folder / "good.png")
    (folder / "cut.png").write_bytes(shop.photo("red-0").read_bytes()[:60])
    gallery = tmp_path / "new.gallery"
    arguments = ["index", str(folder), "-g", str(gallery), "--model", str(shop.model)]
    assert main(arguments) == 3
    shown = capsys.readouterr()
    assert shown.out.startswith("1 added, 0 updated, 0 unchanged, 0 removed, 1 skipped")
    assert re.search(r"skipped cut\.png: the file is (cut short|damaged)", shown.err)
    listed = (gallery / "skipped.csv").read_text().splitlines()
    assert listed[0] == "id,photo,reason"
    assert len(listed) == 2
    assert listed[1].startswith("cut.png,cut.png,the file is ")
    (folder / "cut.png").unlink()
    assert main(arguments) == 0
    assert not (gallery / "skipped.csv").exists()


def test_the_gallery_can_be_looked_at_and_changed(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    g = ["-g", shop.gallery]
    assert run_json(capsys, "gallery", "info", *g)["items"] == 12
    page = run_json(capsys, "gallery", "list", *g, "--where", "colour = 'Red'", "--limit", 2)
    assert (page["total"], [item["id"] for item in page["items"]]) == (3, ["red-0", "red-1"])
    changed = run_json(capsys, "gallery", "set", "red-0", "price=7.5", "season=null", "note=on sale", *g)
    assert changed["attributes"] == {"colour": "Red", "price": 7.5, "note": "on sale"}
    assert run_json(capsys, "gallery", "get", "red-0", *g) == changed
    assert run_json(capsys, "gallery", "remove", "red-1", "red-2", *g) == {"removed": 2}
    assert run_json(capsys, "gallery", "list", *g)["total"] == 10
    assert run_json(capsys, "gallery", "compact", *g)["bytes_after"] > 0
    assert run_json(capsys, "gallery", "cluster", *g)["items"] == 10
    assert run_json(capsys, "gallery", "verify", *g, "--photos") == {"healthy": True, "items": 10, "problems": []}


@pytest.mark.parametrize("kind", ["original", "parquet"])
def test_a_gallery_survives_its_export(shop: Shop, tmp_path: Path, capsys: Capture, kind: str) -> None:
    exported = run_json(capsys, "gallery", "export", "-g", shop.gallery, "--format", kind, "--to", tmp_path / "out")
    assert exported["items"] == 12
    assert all(Path(file).is_file() for file in exported["files"])
    copy = tmp_path / "copy.gallery"
    assert run_json(capsys, "gallery", "import", tmp_path / "out", "-g", copy) == {"items": 12}
    item = "red-1" if kind == "parquet" else "photos/red-1.png"  # a path as its catalogue wrote it
    before = run_json(capsys, "search", "--item", "red-1", "-g", shop.gallery, "-k", 5)
    after = run_json(capsys, "search", "--item", item, "-g", copy, "-k", 5)
    assert [match["score"] for match in after["matches"]] == pytest.approx(
        [match["score"] for match in before["matches"]], abs=1e-5
    )


def test_version_is_the_installed_one(capsys: Capture) -> None:
    expected = version("lookalike")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lookalike {expected}\n"
    assert new_process("--version").stdout == f"lookalike {expected}\n"
    assert lookalike.__version__ == expected


def test_doctor_tells_what_runs(shop: Shop, capsys: Capture) -> None:
    facts = run_json(capsys, "doctor", "-g", shop.gallery, "--model", shop.model)
    assert (facts["model"]["is"], facts["model"]["runtime"]) == ("tiny@01234567", "onnx")
    assert facts["gallery"]["items"] == 12
    assert facts["problems"] == []


def test_doctor_finds_a_sick_gallery(shop: Shop, capsys: Capture) -> None:
    assert main(["doctor", "-g", str(shop.gallery), "--model", str(shop.other_model)]) == 1
    assert "filled by the model tiny@01234567" in capsys.readouterr().out


def test_doctor_tells_that_the_model_of_a_gallery_is_gone(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    model = tmp_path / "model.onnx"
    shutil.copy(shop.model, model)
    place = str(tmp_path / "own.gallery")
    assert main(["index", str(shop.table), "-g", place, "--model", str(model)]) == 0
    model.unlink()
    capsys.readouterr()
    assert main(["doctor", "-g", place, "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["gallery"]["items"] == 12
    assert any(f"was filled by the model {model}" in problem for problem in facts["problems"])


def test_photos_without_vectors_are_told_by_all_that_measure(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "more.csv"
    rows = shop.table.read_text(encoding="utf-8").splitlines()
    gone = dict.fromkeys(rows[0].split(","), "gone")
    photos = [line.replace("photos/", f"{shop.table.parent}/photos/") for line in rows[1:]]
    table.write_text("\n".join([rows[0], *photos, ",".join(gone.values())]), encoding="utf-8")
    command = ["-g", str(shop.gallery), "--protocol", "product"]
    for name in ("evaluate", "fuse"):
        assert main([name, str(table), *command]) == 3, capsys.readouterr().err
        told = capsys.readouterr().err
        assert "skipped gone" in told
        assert "photos without vectors, which count as 0 as queries and cannot be found: 1\n" in told


def test_only_photos_that_became_items_are_told_to_lie_outside(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(shop.photo("red-0"), tmp_path / "out.png")
    (tmp_path / "no.png").write_bytes(b"no photo")
    (tmp_path / "in" / "t.csv").write_text("image\n../out.png\n../gone.png\n../no.png\n", encoding="utf-8")
    command = ["index", str(tmp_path / "in" / "t.csv"), "-g", str(tmp_path / "g"), "--model", str(shop.model), "--json"]
    for _ in range(2):
        assert main(command) == 3
        assert json.loads(capsys.readouterr().out)["outside"] == 1


def test_prices_are_shown_to_the_cent(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "prices.csv"
    table.write_text(f"image,price\n{shop.photo('red-0')},1447.9\n{shop.photo('red-1')},12345.67\n", encoding="utf-8")
    place = ["-g", str(tmp_path / "g")]
    assert main(["index", str(table), *place, "--model", str(shop.model)]) == 0
    capsys.readouterr()
    assert main(["gallery", "list", *place]) == 0
    shown = capsys.readouterr().out
    assert "1447.9" in shown and "12345.67" in shown


def test_demo_shows_the_whole_way(tmp_path: Path, capsys: Capture) -> None:
    assert main(["demo", "--out", str(tmp_path / "demo")]) == 0
    shown = capsys.readouterr().out
    assert "lookalike index FOLDER --gallery my.gallery" in shown
    first = next(line.split() for line in shown.splitlines() if line.startswith("1 "))
    assert first[6] == "d013"
    for name in ("answer.png", "answer.html", "query.jpg"):
        assert (tmp_path / "demo" / name).stat().st_size > 1000


# What is wrong. {words} in braces are fields of the shop, or files that `wrong_files` makes.

SEARCH = ["search", "{red}", "-g", "{gallery}", "--model", "{model}"]
INDEX = ["index", "{table}", "-g", "{gallery}", "--model", "{model}"]
MISTAKES: dict[str, tuple[list[str], str]] = {
    "no such command": (["serch"], "No such command 'serch'"),
    "no such option": ([*SEARCH, "--colour", "1"], "No such option: --colour"),
    "no gallery named": (["search", "{red}"], "Missing option '--gallery'"),
    "no such gallery": (["search", "{red}", "-g", "{nowhere}"], "there is no gallery at"),
    "gallery on a server": (["search", "{red}", "-g", "milvus://host:no/shop"], "milvus://"),
    "neither photo nor item": (["search", "-g", "{gallery}"], "give a photo, the id of an item, or words as text"),
    "box and two photos": ([*SEARCH, "{red}", "--box", "0,0,9,9"], "a box belongs to one photo"),
    "metric and two photos": ([*SEARCH, "{red}", "--metric", "deep=cosine"], "metrics compare with one photo"),
    "page too far": ([*SEARCH, "--offset", "1995"], "at most 2,000 together"),
    "no such photo": (["search", "{nowhere}", "-g", "{gallery}", "--model", "{model}"], "no such file"),
    "text as a photo": (["search", "{table}", "-g", "{gallery}", "--model", "{model}"], "not a photo"),
    "empty photo": (["search", "{empty}", "-g", "{gallery}", "--model", "{model}"], "the file is empty"),
    "cut photo": (["search", "{cut}", "-g", "{gallery}", "--model", "{model}"], "cut short"),
    "folder as a photo": (["search", "{folder}", "-g", "{gallery}", "--model", "{model}"], "this is a folder"),
    "k of 0": ([*SEARCH, "-k", "0"], "k must be at least 1, got 0"),
    "k in words": ([*SEARCH, "-k", "ten"], "Invalid value for '-k'"),
    "weight without a number": ([*SEARCH, "--weight", "deep"], "--weight expects SPACE=W, such as color=1, got 'deep'"),
    "metric of an evaluation": (
        ["evaluate", "{table}", "-g", "{gallery}", "--metric", "hit_rate@1"],
        "--metric expects SPACE=NAME, the distance of a space, such as deep=euclidean, got 'hit_rate@1'",
    ),
    "column without a name": (
        ["index", "{table}", "-g", "{gallery}", "--column", "image"],
        "--column expects NAME=COLUMN, such as image=file, got 'image'",
    ),
    "head without an attribute": (
        ["tag", "{table}", "--model", "{model}", "--head", "kind="],
        "--head expects HEAD or HEAD=ATTRIBUTE, such as kind=type, got 'kind='",
    ),
    "dimension without a number": (
        ["reduce", "-g", "{gallery}", "--to", "{nowhere}", "--dimension", "deep"],
        "--dimension expects SPACE=N, such as deep=128, got 'deep'",
    ),
    "weight in words": ([*SEARCH, "--weight", "deep=much"], "--weight deep expects a number, got 'much'"),
    "weight below 0": ([*SEARCH, "--weight", "deep=-1"], "at least 0, got -1"),
    "weight not finite": ([*SEARCH, "--weight", "deep=nan"], "at least 0, got nan"),
    "weights of 0": ([*SEARCH, "--weight", "deep=0"], "a weight above 0"),
    "weight twice": ([*SEARCH, "--weight", "deep=1", "--weight", "deep=2"], "gives 'deep' twice"),
    "weight twice by a beginning": (
        [*SEARCH, "--weight", "deep=1", "--weight", "d=2"],
        "the space 'deep' is named twice",
    ),
    "weight of no space": ([*SEARCH, "--weight", "colr=1"], "unknown space 'colr'; did you mean 'color'?"),
    "filter misspelt": ([*SEARCH, "--where", "price <"], "filter 'price <', at character"),
    "filter on nothing known": ([*SEARCH, "--where", "prize < 3"], "'prize'"),
    "box of three": ([*SEARCH, "--box", "1,2,3"], "a box is x1,y1,x2,y2"),
    "box inside out": ([*SEARCH, "--box", "9,9,1,1"], "0 <= x1 < x2"),
    "box outside": ([*SEARCH, "--box", "900,900,990,990"], "lies outside the photo"),
    "box of an item": (
        ["search", "--item", "red-0", "-g", "{gallery}", "--box", "0,0,9,9"],
        "a box belongs to a photo",
    ),
    "metric of no space": ([*SEARCH, "--metric", "shape=euclidean"], "unknown space 'shape'"),
    "no such metric": ([*SEARCH, "--metric", "deep=euclidian"], "did you mean 'euclidean'?"),
    "no such metric, of a space that weighs nothing": (
        [*SEARCH, "--weight", "deep=1", "--metric", "color=euclidian"],
        "did you mean 'euclidean'?",
    ),
    "metric twice by a beginning": (
        [*SEARCH, "--metric", "deep=cosine", "--metric", "d=cosine"],
        "the space 'deep' is named twice",
    ),
    "metric by an index": ([*SEARCH, "--metric", "deep=euclidean", "--index", "ivf"], "metrics need the exact scan"),
    "no such index": ([*SEARCH, "--index", "ivff"], "unknown index 'ivff'; did you mean 'ivf'?"),
    "probes of 0": ([*SEARCH, "--index", "ivf", "--probes", "0"], "at least 1"),
    "no such item": (["search", "--item", "red-7", "-g", "{gallery}"], "unknown item 'red-7'; did you mean 'red-"),
    "no such model": (["search", "{red}", "-g", "{gallery}", "--model", "{nowhere}"], "no such model file"),
    "a table as a model": (["search", "{red}", "-g", "{gallery}", "--model", "{table}"], "not an ONNX file"),
    "another model": (
        ["search", "{red}", "-g", "{gallery}", "--model", "{other_model}"],
        "was filled by the model tiny@01234567, and this one is other@fedcba98",
    ),
    "no such runtime": ([*SEARCH, "--runtime", "onxx"], "unknown runtime 'onxx'; did you mean 'onnx'?"),
    "no such device": ([*SEARCH, "--device", "gpu"], "unknown device 'gpu'"),
    "picture of no kind": ([*SEARCH, "--montage", "{folder}/a.txt"], "a montage is written as"),
    "picture in no folder": ([*SEARCH, "--montage", "{nowhere}/a.png"], "no such folder"),
    "page over a folder": ([*SEARCH, "--html", "{folder}"], "is a folder; name a file"),
    "no such source": (["index", "{nowhere}", "-g", "{gallery}", "--model", "{model}"], "no such folder or table"),
    "source is a photo": (["index", "{red}", "-g", "{gallery}", "--model", "{model}"], "is a photo; a catalogue is"),
    "no such column": ([*INDEX, "--column", "image=foto"], "'foto'"),
    "no such role": ([*INDEX, "--column", "picture=image"], "'picture'"),
    "column of a folder": (
        ["index", "{folder}", "-g", "{gallery}", "--model", "{model}", "--column", "image=file"],
        "are for tables only",
    ),
    "batch of 0": ([*INDEX, "--batch", "0"], "batch must be at least 1"),
    "no workers": ([*INDEX, "--workers", "-1"], "workers must be at least 1"),
    "an id twice": (["index", "{twice}", "-g", "{gallery}", "--model", "{model}"], "twice"),
    "index by another model": (["index", "{table}", "-g", "{gallery}", "--model", "{other_model}"], "was filled by"),
    "unreadable, strictly, into a new gallery": (
        ["index", "{unreadable}", "-g", "{nowhere}/in/here", "--model", "{model}", "--strict"],
        "no such file",
    ),
    "import of photos into a new gallery": (
        ["gallery", "import", "{folder}", "-g", "{nowhere}/in/here"],
        "holds nothing to import",
    ),
    "unreadable, strictly": (
        ["index", "{unreadable}", "-g", "{gallery}", "--model", "{model}", "--strict"],
        "no such file",
    ),
    "a file as a gallery": (["index", "{table}", "-g", "{table}", "--model", "{model}"], "gallery"),
    "a full folder as a gallery": (["index", "{table}", "-g", "{folder}", "--model", "{model}"], "holds other files"),
    "get no such item": (["gallery", "get", "red-7", "-g", "{gallery}"], "unknown item 'red-7'"),
    "set no such item": (["gallery", "set", "red-7", "a=1", "-g", "{gallery}"], "unknown item 'red-7'"),
    "set without a value": (["gallery", "set", "red-0", "price", "-g", "{gallery}"], "expects NAME=VALUE, got 'price'"),
    "set no JSON": (["gallery", "set", "red-0", "price=NaN", "-g", "{gallery}"], "cannot be stored"),
    "remove one that is not there": (
        ["gallery", "remove", "red-0", "red-7", "-g", "{gallery}"],
        "unknown item 'red-7'",
    ),
    "list by a misspelt filter": (["gallery", "list", "-g", "{gallery}", "--where", "and"], "filter 'and'"),
    "list from below 0": (["gallery", "list", "-g", "{gallery}", "--offset", "-1"], "at least 0"),
    "no such format": (
        ["gallery", "export", "-g", "{gallery}", "--format", "parket", "--to", "{nowhere}"],
        "unknown format 'parket'; did you mean 'parquet'?",
    ),
    "export to a file": (["gallery", "export", "-g", "{gallery}", "--to", "{table}"], "a file; choose a folder"),
    "import from nowhere": (["gallery", "import", "{nowhere}", "-g", "{gallery}"], "no such folder"),
    "import of photos": (["gallery", "import", "{folder}", "-g", "{gallery}"], "holds nothing to import"),
    "verify nothing": (["gallery", "verify", "-g", "{nowhere}"], "there is no gallery at"),
    "train on nothing": (["train", "{nowhere}.toml"], "no such file"),
    "resume nothing": (["train", "{table}", "--resume", "{nowhere}"], "no such folder"),
    "export nothing": (["export", "{nowhere}", "--onnx", "x.onnx"], "no such file"),
    "export of a table": (["export", "{table}", "--onnx", "x.onnx"], "not a safetensors file"),
    "doctor of no gallery": (["doctor", "--model", "{model}", "-g", "{nowhere}"], "there is no gallery at"),
    "demo over a file": (["demo", "--out", "{table}"], "is a file; choose a folder"),
}


@pytest.fixture
def wrong_files(shop: Shop, tmp_path: Path) -> dict[str, Path]:
    """What the mistakes are made with."""
    files = {name: tmp_path / name for name in ("nowhere", "empty", "cut", "folder", "twice", "unreadable")} | {
        "red": shop.photo("red-0"),
        "gallery": shop.gallery,
        "table": shop.table,
    }
    files |= {"model": shop.model, "other_model": shop.other_model}
    files["empty"].touch()
    files["cut"].write_bytes(shop.photo("red-0").read_bytes()[:60])
    files["folder"].mkdir()
    (files["folder"] / "one.txt").write_text("not a photo")
    (files["folder"] / "one.png").write_bytes(shop.photo("red-0").read_bytes())
    files["twice"].write_text(f"id,image\na,{shop.photo('red-0')}\na,{shop.photo('red-1')}\n")
    files["unreadable"].write_text(f"id,image\nred-0,{tmp_path}/none.png\n")
    return files


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line_and_changes_nothing(
    shop: Shop, wrong_files: dict[str, Path], capsys: Capture, mistake: str
) -> None:
    arguments, reason = MISTAKES[mistake]
    before = shop.contents()
    code = main([argument.format(**wrong_files) for argument in arguments])
    shown = capsys.readouterr()
    assert shown.err.startswith("error: ")
    assert reason in shown.err
    assert shown.err.count("\n") == 1
    assert code == 2
    assert shown.out == ""
    assert shop.contents() == before
    assert not wrong_files["nowhere"].exists()


def test_a_locked_gallery_names_its_holder_and_ends_with_1(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    holder = "import sys, pathlib; from lookalike.gallery.local.gallery import LocalGallery\n"
    holder += "with LocalGallery(pathlib.Path(sys.argv[1])).writing(): print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holder, str(shop.gallery)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        code = main(["gallery", "remove", "red-0", "-g", str(shop.gallery)])
        process.communicate("")
    assert code == 1
    assert f"process {process.pid}" in capsys.readouterr().err
    assert len(shop.contents()) == 12


def test_a_missing_extra_is_named(shop: Shop, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.delitem(sys.modules, "lookalike.embedding.runtimes.openvino", raising=False)
    ask = ["search", str(shop.photo("red-0")), "-g", str(shop.gallery), "--model", str(shop.model)]
    assert main([*ask, "--runtime", "openvino"]) == 1
    assert "pip install 'lookalike[openvino]'" in capsys.readouterr().err


def test_a_bug_is_one_line_too(shop: Shop, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("lookalike.retrieval.retriever.Retriever.answer", broken)
    monkeypatch.delenv("LOOKALIKE_TRACEBACK", raising=False)
    arguments = ["search", "--item", "red-0", "-g", str(shop.gallery)]
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert "this is a bug in lookalike: RuntimeError: two lines" in shown.err
    assert "LOOKALIKE_TRACEBACK=1" in shown.err
    assert "Traceback" not in shown.err
    monkeypatch.setenv("LOOKALIKE_TRACEBACK", "1")
    with pytest.raises(RuntimeError):
        main(arguments)


# What only a process of its own can show.


def test_the_program_itself_answers_and_exits(shop: Shop) -> None:
    good = new_process("search", "--item", "red-0", "-g", shop.gallery, "-k", 1, "--json")
    assert (good.returncode, good.stderr) == (0, "")
    assert len(json.loads(good.stdout)["matches"]) == 1
    wrong = new_process("search", "--item", "red-0")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_search_imports_nothing_that_it_does_not_need(shop: Shop) -> None:
    code = (
        "import sys; from lookalike.cli import main; main(sys.argv[1:]); print(*sorted(sys.modules), file=sys.stderr)"
    )
    ask = ["search", shop.photo("red-0"), "-g", shop.gallery, "--model", shop.model, "--json"]
    done = subprocess.run([sys.executable, "-c", code, *ask], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert {"numpy", "onnxruntime", "PIL"} <= loaded
    heavy = {
        "torch",
        "torchvision",
        "timm",
        "pandas",
        "matplotlib",
        "fastapi",
        "scipy",
        "sqlglot",
        "pyarrow",
        "sklearn",
    }
    unneeded = {
        "openvino",
        "rich",
        "fsspec",
        "filelock",
        "faiss",
        "lookalike.catalogue",
        "lookalike.ingest.pipeline",
    }
    assert loaded & (heavy | unneeded) == set()


def test_whoever_closes_the_pipe_gets_no_traceback(shop: Shop) -> None:
    program = f"{sys.executable} -m lookalike gallery list -g {shop.gallery} --json"
    done = subprocess.run(
        ["bash", "-c", f"{program} | true; echo ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    assert done.stdout.strip() in {"0", "141"}  # 0 when all fitted into the pipe before it was closed


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_stops_cleanly_and_keeps_what_was_done(shop: Shop, tmp_path: Path) -> None:
    import time

    photo = shop.photo("red-0")
    table, gallery = tmp_path / "long.csv", tmp_path / "long.gallery"
    table.write_text("id,image\n" + "".join(f"{number},{photo}\n" for number in range(15_000)))
    command = [sys.executable, "-m", "lookalike", "index", table, "-g", gallery, "--model", shop.model]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not committed(gallery):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err == "stopped; finished work is kept, and the same command continues from there\n"
    assert 0 < committed(gallery) < 15_000


def committed(gallery: Path) -> int:
    """How many items a gallery has, if it is there yet."""
    try:
        with lookalike.open(gallery) as shop:
            return len(shop.gallery)
    except lookalike.LookalikeError:
        return 0


def test_a_background_thread_that_fails_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise OSError(30, "Read-only file system")

    before = threading.excepthook
    threading.excepthook = say_failure
    try:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    finally:
        threading.excepthook = before
    assert capsys.readouterr().err == "warning: a background thread failed: Read-only file system\n"


def test_a_command_with_pytorch_says_no_more_than_its_error() -> None:
    """Extensions that PyTorch brings along report what is left as the interpreter ends."""
    pytest.importorskip("torch")
    words = ["train", "sop-proxy-anchor", "--set", "stag.0.epochs=1"]
    done = subprocess.run([sys.executable, "-m", "lookalike", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: unknown setting of .* 'stag'; did you mean 'stage'\?\n", done.stderr)
