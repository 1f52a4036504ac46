"""Finding garments by command, Python and HTTP: the same results at the right places."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import lookalike
from lookalike.cli import main
from lookalike.errors import ModelError, NoFinderError, PhotoError, UsageError
from lookalike.evaluation.garment_evaluation import evaluate_garments
from lookalike.finding import finder as finder_module
from lookalike.finding.finder import REMEMBERED, Finder
from lookalike.images import Limits, open_image

TURNED = Image.Exif()
TURNED[0x0112] = 6  # Orientation: a quarter turn clockwise


def test_garments_are_where_the_photo_has_them(street_photo: Path, tiny_finder: Path) -> None:
    found = lookalike.find_garments(street_photo, finder=tiny_finder)
    assert {garment.kind for garment in found} == {"top", "trousers"}
    assert [garment.score for garment in found] == sorted((garment.score for garment in found), reverse=True)
    for garment in found:
        box = garment.box
        assert 0 <= box.x1 < box.x2 <= 96 and 0 <= box.y1 < box.y2 <= 192 and 0.22 <= garment.score <= 1
        assert (box.y1 + box.y2) / 2 < 96 if garment.kind == "top" else (box.y1 + box.y2) / 2 > 96
    surer = lookalike.find_garments(street_photo, finder=tiny_finder, least=0.5)
    assert surer == [garment for garment in found if garment.score >= 0.5] and 0 < len(surer) < len(found)


def test_the_command_says_what_python_says(
    street_photo: Path, tiny_finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--finder", str(tiny_finder)]
    ours = [garment.to_json() for garment in lookalike.Finder(tiny_finder).find(street_photo)]
    assert ours
    assert main(["find", str(street_photo), "--json", "--picture", str(tmp_path / "out.png"), *options]) == 0
    assert json.loads(capsys.readouterr().out) == {"photos": [{"photo": str(street_photo), "garments": ours}]}
    with Image.open(tmp_path / "out.png") as drawn, Image.open(street_photo) as plain:
        changed = np.asarray(drawn.convert("RGB")) != np.asarray(plain.convert("RGB"))
        assert drawn.size == (96, 192) and changed.any(axis=2).mean() < 0.7
    (tmp_path / "notes.txt").write_text("no photo")
    assert main(["find", str(tmp_path / "notes.txt"), str(street_photo), "--json", *options]) == 3
    first, second = json.loads(capsys.readouterr().out)["photos"]
    assert "error" in first and second["garments"] == ours
    assert main(["find", str(street_photo), *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(ours) and all(
        word in lines[1] for word in (ours[0]["kind"], f"{ours[0]['score']:.2f}")
    )
    assert main(["find", str(street_photo), str(street_photo), "--picture", str(tmp_path / "two.png"), *options]) == 2
    assert main(["find", str(street_photo), "--least", "0", *options]) == 2
    assert main(["find", str(tmp_path / "notes.txt"), *options]) == 2


def test_a_photo_may_be_large_turned_piped_or_open(street_photo: Path, tiny_finder: Path, tmp_path: Path) -> None:
    finder, large = lookalike.Finder(tiny_finder), tmp_path / "large.jpg"
    with Image.open(street_photo) as small:
        turned = small.resize((960, 1920), Image.Resampling.NEAREST).transpose(Image.Transpose.ROTATE_90)
        turned.save(large, quality=95, exif=TURNED)
    small_boxes = [garment.box.to_list() for garment in finder.find(street_photo)]
    found = finder.find(large)  # decoded at a quarter of its sides
    np.testing.assert_allclose([np.array(each.box.to_list()) / 10 for each in found], small_boxes, atol=0.5)
    whole = finder.find(np.asarray(open_image(large)))
    np.testing.assert_allclose([each.box.to_list() for each in whole], [each.box.to_list() for each in found], atol=5)
    with large.open("rb") as file:
        assert finder.find(file) == found
    command = [sys.executable, "-m", "lookalike", "find", "-", "--finder", str(tiny_finder), "--json"]
    with large.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, check=True)
    assert json.loads(done.stdout)["photos"] == [{"photo": "-", "garments": [each.to_json() for each in found]}]


def test_without_a_finder_one_line_says_so(
    street_photo: Path,
    tiny_finder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = tmp_path / "garments.csv"
    table.write_text(f'id,image,kind,box\n1,{street_photo},top,"8,8,88,88"\n', encoding="utf-8")
    monkeypatch.setattr(finder_module, "SHIPPED_FINDER", tmp_path / "none.onnx")
    for ask in (lambda: lookalike.find_garments(street_photo), lambda: evaluate_garments(table)):
        with pytest.raises(NoFinderError, match="no finder of garments is installed; name"):
            ask()
    for command in (["find", str(street_photo)], ["evaluate", str(table), "--protocol", "garments"]):
        assert main(command) == 2
        assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setattr(finder_module, "SHIPPED_FINDER", tiny_finder)
    assert lookalike.find_garments(street_photo) == lookalike.find_garments(street_photo, finder=tiny_finder) != []
    assert evaluate_garments(table).figures.recall == evaluate_garments(table, model=tiny_finder).figures.recall > 0


def test_files_that_are_no_finder_are_refused(
    street_photo: Path, tiny_model: Path, tiny_finder: Path, tmp_path: Path
) -> None:
    content = bytearray(tiny_finder.read_bytes())
    content[len(content) // 2] ^= 255
    (tmp_path / "damaged.onnx").write_bytes(content)
    for file, words in (
        (tiny_model, "a model of format '1', expected a finder"),
        (tmp_path / "none.onnx", r"none\.onnx"),
        (tmp_path / "damaged.onnx", "damaged"),
        (street_photo, "not an ONNX file"),
    ):
        with pytest.raises(ModelError, match=words):
            lookalike.find_garments(street_photo, finder=file)
    with pytest.raises(UsageError, match=r"from 0\.05 to 1, got 2"):
        lookalike.find_garments(street_photo, finder=tiny_finder, least=2)


def test_the_garments_of_a_photo_in_memory_are_remembered(
    street_photo: Path, tiny_finder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finder = Finder(tiny_finder)
    runs: list[object] = []
    decoded = finder.decoded

    def counted(*args: Any, **options: Any) -> Any:
        runs.append(args)
        return decoded(*args, **options)

    monkeypatch.setattr(finder, "decoded", counted)
    content = street_photo.read_bytes()
    found = finder.find(content)
    assert found == finder.find(io.BytesIO(content)) == finder.find(street_photo)
    assert len(runs) == 2  # files may change
    found.clear()
    assert finder.find(content) and len(runs) == 2
    surer = [garment for garment in finder.find(content) if garment.score >= 0.5]
    assert finder.find(content, least=0.5) == surer != finder.find(content) and len(runs) == 2
    with pytest.raises(PhotoError):
        finder.find(content, limits=Limits(pixels=10))
    for number in range(REMEMBERED):
        picture = io.BytesIO()
        Image.new("RGB", (8, 8), (number, 0, 0)).save(picture, "PNG")
        finder.find(picture.getvalue())
    runs.clear()
    finder.find(content)
    assert len(runs) == 1  # the oldest was forgotten


def test_files_in_memory_are_read_from_where_they_are(street_photo: Path, tiny_finder: Path) -> None:
    finder, content, other = Finder(tiny_finder), street_photo.read_bytes(), io.BytesIO()
    Image.new("RGB", (8, 8), "white").save(other, "PNG")
    expected = finder.find(content)
    both = io.BytesIO(content + other.getvalue())
    both.seek(len(content))
    assert finder.find(both) == []
    for _ in range(2):
        opened = io.BytesIO(content)
        assert (finder.find(opened), opened.tell()) == (expected, len(content))
    with pytest.raises(PhotoError), io.BytesIO(b"not a photo") as damaged:
        finder.find(damaged)
