"""Notes of an evaluation on photos and products that training had too."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import lookalike
from lookalike.catalogue.sample.drawn import write_drawn
from lookalike.cli import main
from lookalike.evaluation.split_overlap import overlap_notes
from lookalike.models.photo_choices import TRAINED_ON, choices_text
from lookalike.types import Item, PhotoChoice
from tiny_model import write_tiny_model


def item(number: int, split: str | None, product: str | None, photo: str = "") -> Item:
    return Item(f"i{number}", photo or f"{number}.jpg", product=product, attributes={"split": split} if split else {})


def test_each_kind_of_overlap_is_told(tmp_path: Path) -> None:
    for name, content in (("a", b"one"), ("b", b"two"), ("c", b"one"), ("d", b"six")):
        (tmp_path / name).write_bytes(content)
    items = [
        item(1, "train", "p", str(tmp_path / "a")),
        item(2, "train", "NA", str(tmp_path / "b")),
        item(3, "test", "p", str(tmp_path / "c")),
        item(4, "test", "NA", str(tmp_path / "d")),
        item(5, None, "q", "https://shop.example/q.jpg"),
    ]
    notes = overlap_notes(items, items[1:], unknown=["NA"])
    assert notes == (
        "measured photos of the split 'train': 1 of 4",
        "products of measured photos that have training photos, too: 1, such as 'p'",
        "measured photos with the content of training photos: 1, such as 'i3'",
    )
    assert overlap_notes(items, items[3:], unknown=["NA"]) == ()
    assert overlap_notes(items[2:], items[2:], unknown=["NA"]) == ()


def test_training_on_a_catalogue_without_splits_is_told(tmp_path: Path) -> None:
    table = write_drawn(tmp_path / "sample", products=4, photos=2)
    choices = {name: choices_text([PhotoChoice(False, "", name)]) for name in ("sample", "cub")}
    models = {
        name: write_tiny_model(tmp_path / f"{name}.onnx", metadata={TRAINED_ON: text}) for name, text in choices.items()
    }
    note = "the model was trained on data named 'sample', which have no split: it may know the measured photos"
    assert note in lookalike.evaluate(table, model=models["sample"], protocol="product").to_json()["notes"]
    assert note not in lookalike.evaluate(table, model=models["cub"], protocol="product").to_json()["notes"]
    items = [item(1, "test", "p"), item(2, None, "p")]
    assert overlap_notes(items, items, unknown=(), name="sample", trained_on=["sample"]) == (), "a split is known"


def test_an_evaluation_tells_it(tmp_path: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = write_drawn(tmp_path / "sample", products=4, photos=2)
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    lines = [f"{header},split", *(f"{row},{'train' if number == 0 else 'test'}" for number, row in enumerate(rows))]
    table.write_text("\n".join(lines), encoding="utf-8")
    shutil.copy(tmp_path / "sample" / "photos" / "d001-1.jpg", tmp_path / "sample" / "photos" / "d002-1.jpg")
    command = ["evaluate", str(table), "--model", str(tiny_model), "--protocol", "product", "--where", "split = 'test'"]
    assert main([*command, "--json"]) == 0
    told = capsys.readouterr()
    notes = json.loads(told.out)["notes"]
    assert "products of measured photos that have training photos, too: 1, such as 'd001'" in notes
    assert "measured photos with the content of training photos: 1, such as 'd002-1'" in notes
    assert (
        notes
        == lookalike.evaluate(table, model=tiny_model, protocol="product", where="split = 'test'").to_json()["notes"]
    )
