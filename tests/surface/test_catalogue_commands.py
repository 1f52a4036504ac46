"""`lookalike catalogue check` and `draw`: what they print, what they exit with; and the drawn data through `index`."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import lookalike
from lookalike.catalogue import open_catalogue
from lookalike.catalogue.sample.layouts.table import LAYOUTS, write_layout
from lookalike.cli import main

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drawn In-shop and a drawn Consumer-to-shop benchmark: 4 products with 3 photos each."""
    folder = tmp_path_factory.mktemp("drawn")
    for layout in ("inshop", "consumer2shop"):
        write_layout(folder / layout, layout=layout, products=4, photos=3)
    return folder


@pytest.fixture
def inshop(drawn: Path, tmp_path: Path) -> Path:
    return shutil.copytree(drawn / "inshop", tmp_path / "inshop")


def check(capsys: Capture, source: Path, *, exit_code: int = 0) -> Any:
    capsys.readouterr()
    assert main(["catalogue", "check", str(source), "--json"]) == exit_code
    return json.loads(capsys.readouterr().out)


def test_totals_of_a_benchmark(inshop: Path, capsys: Capture) -> None:
    found = check(capsys, inshop)
    (note,) = found.pop("notes")
    assert found == {
        "kind": "inshop",
        "source": str(inshop),
        "splits": {
            "train": {"photos": 6, "products": 2},
            "query": {"photos": 2, "products": 2},
            "gallery": {"photos": 4, "products": 2},
        },
        "missing": [],
        "skipped": [],
        "unanswerable": [],
        "leaks": [],
        "problems": [],
    }
    assert "photos 12 (52,712), products 4 (7,982), train photos 6 (25,882)" in note


def test_totals_of_pairs(drawn: Path, capsys: Capture) -> None:
    found = check(capsys, drawn / "consumer2shop")
    assert found["splits"] == {
        "train": {"photos": 6, "products": 2, "pairs": 4, "query": 4, "gallery": 2},
        "val": {"photos": 3, "products": 1, "pairs": 2, "query": 2, "gallery": 1},
        "test": {"photos": 3, "products": 1, "pairs": 2, "query": 2, "gallery": 1},
    }


def test_missing_photos_are_listed_and_answer_nobody(inshop: Path, capsys: Capture) -> None:
    items = list(open_catalogue(str(inshop)).items())
    product = "id_00000004"
    asking = [item for item in items if item.product == product and item.attributes["split"] == "query"]
    answering = [item for item in items if item.product == product and item.attributes["split"] == "gallery"]
    for item in answering:
        Path(item.location).unlink()
    found = check(capsys, inshop, exit_code=3)
    assert found["missing"] == [item.photo for item in answering]
    assert found["unanswerable"] == [item.id for item in asking]
    assert main(["catalogue", "check", str(inshop)]) == 3
    shown = capsys.readouterr().out
    assert f"missing photos: 2 ({answering[0].photo}, {answering[1].photo})" in shown
    assert "items without a right answer: 1" in shown


def test_problems_are_listed_one_by_one(inshop: Path, capsys: Capture) -> None:
    path = inshop / "Eval" / "list_eval_partition.txt"
    lines = [line for line, text in enumerate(path.read_text().splitlines(), start=1) if " train " in text]
    path.write_text(path.read_text().replace("train", "trian"))
    found = check(capsys, inshop, exit_code=2)
    assert (found["kind"], found["splits"]) == ("inshop", {})
    assert found["problems"] == [f"{path}:{line}: expected one of train, query, gallery, got 'trian'" for line in lines]
    assert main(["catalogue", "check", str(inshop)]) == 2
    assert capsys.readouterr().err.count("problem: ") == 6
    assert main(["index", str(inshop), "--gallery", str(inshop / "g")]) == 2
    error = capsys.readouterr().err
    assert f"6 such problems in all; `lookalike catalogue check {inshop}` lists them" in error
    assert error.count("\n") == 1


def test_a_missing_file_says_which_and_where(inshop: Path, capsys: Capture) -> None:
    (inshop / "Eval" / "list_eval_partition.txt").unlink()
    found = check(capsys, inshop, exit_code=2)
    assert found["kind"] == "inshop"
    assert found["problems"] == [
        f"{inshop}: list_eval_partition.txt is missing; looked in Eval/, Anno/, Anno/attributes/, the folder itself"
    ]


def test_a_source_that_is_not_there_is_the_callers_mistake(tmp_path: Path, capsys: Capture) -> None:
    assert main(["catalogue", "check", str(tmp_path / "nothing"), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"error: {tmp_path / 'nothing'}: there is no such folder or table\n"


def test_a_table_is_checked_too(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "here.jpg").write_bytes(b"\xff\xd8\xff")
    table = tmp_path / "shop.csv"
    table.write_text("file,product\nhere.jpg,a\ngone.jpg,a\n", encoding="utf-8")
    assert main(["catalogue", "check", str(table), "--column", "image=file", "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert found["splits"] == {"all": {"photos": 2, "products": 1}}
    assert (found["missing"], found["unanswerable"]) == (["gone.jpg"], ["here.jpg", "gone.jpg"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_can_be_drawn_checked_and_indexed(
    layout: str, tmp_path: Path, tiny_model: Path, capsys: Capture
) -> None:
    root = tmp_path / layout
    products = 9 if layout == "hard" else 5  # three families of three
    assert main(["catalogue", "draw", layout, "--to", str(root), "--products", str(products), "--photos", "2"]) == 0
    source = capsys.readouterr().out.strip().rpartition("lookalike catalogue check ")[2]
    assert check(capsys, Path(source))["problems"] == []
    gallery = tmp_path / "shop.gallery"
    assert main(["index", source, "--gallery", str(gallery), "--model", str(tiny_model), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["added"] == 2 * products
    known = {item.id: item for item in open_catalogue(source).items()}
    with lookalike.open(gallery, model=str(tiny_model)) as shop:
        indexed = {item.id: item for item in shop.gallery.list(limit=None)[1]}
        assert indexed == known
        one = next(item for item in known.values() if item.attributes["split"] == "train")
        answer = shop.search(one.location, box=one.box, k=1, where="split = 'train'")
        assert answer.matches[0].item.id == one.id


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["in-shop", "--to", "new"], "unknown layout 'in-shop'; did you mean 'inshop'?"),
        (["inshop", "--to", "full"], "is not an empty folder; name another one"),
        (["inshop", "--to", "new", "--products", "1"], "In-shop needs at least 2 products with 2 photos each"),
        (["consumer2shop", "--to", "new", "--products", "3"], "needs at least 4 products with 2 photos each"),
        (["table", "--to", "new", "--photos", "0"], "at least one product and one photo of each, not 46 and 0"),
    ],
)
def test_mistakes_of_drawing(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a.txt").touch()
    assert main(["catalogue", "draw", *arguments]) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_help_names_every_layout(capsys: Capture) -> None:
    assert main(["catalogue", "draw", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert ", ".join(list(LAYOUTS)[:-1]) in shown


def test_photos_in_several_splits_are_named(tmp_path: Path, capsys: Capture) -> None:
    """By content, under any name; photos of the same length that differ are no leak, nor are two in one split."""
    for place, content in (
        ("train/shirts/1.jpg", b"red shirt"),
        ("train/shirts/2.jpg", b"red shirt"),
        ("train/bags/3.jpg", b"black bag"),
        ("test/shirts/4.jpg", b"blueshirt"),
        ("test/bags/5.jpg", b"black bag"),
        ("val/bags/6.jpg", b"another bag"),
    ):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_bytes(b"\xff\xd8\xff" + content)
    assert main(["catalogue", "check", str(tmp_path), "--json"]) == 3
    (leak,) = json.loads(capsys.readouterr().out)["leaks"]
    assert leak["sha256"] == hashlib.sha256(b"\xff\xd8\xffblack bag").hexdigest()
    assert sorted((photo["split"], photo["photo"]) for photo in leak["photos"]) == [
        ("test", "test/bags/5.jpg"),
        ("train", "train/bags/3.jpg"),
    ]
    assert all(photo["id"] for photo in leak["photos"])
    assert main(["catalogue", "check", str(tmp_path)]) == 3
    assert "photos in several splits: 1 (" in capsys.readouterr().out
    (tmp_path / "test/bags/5.jpg").write_bytes(b"\xff\xd8\xffwhite bag")
    assert main(["catalogue", "check", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["leaks"] == []
