"""Evaluation with the boxes that a finder finds: which garment stands for which given one, and what is missed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from lookalike.catalogue.benchmark import Benchmark
from lookalike.catalogue.benchmarks.deepfashion2 import SIDES
from lookalike.catalogue.protocol import Catalogue
from lookalike.cli import main
from lookalike.errors import NoFinderError, PhotoError, UsageError
from lookalike.evaluation import found_boxes
from lookalike.evaluation.found_boxes import FoundBoxes, find_boxes
from lookalike.evaluation.protocol import Protocol
from lookalike.retrieval.garment_choice import shown_in
from lookalike.types import Box, Garment, Item

Capture = pytest.CaptureFixture[str]


def item(photo: int, number: int, box: tuple[int, int, int, int], *, source: str, style: int = 1) -> Item:
    return Item(
        f"validation/{photo}/item{number}",
        f"{photo}.jpg",
        product=f"p{style}" if style else None,
        box=Box(*box),
        attributes={"split": "validation", "source": source, "pairing": "paired" if style else "single"},
    )


def garment(box: tuple[int, int, int, int], score: float) -> Garment:
    return Garment(Box(*box), "top", score)


ITEMS = [
    item(1, 1, (0, 0, 10, 10), source="consumer"),
    item(1, 2, (20, 0, 30, 10), source="consumer", style=0),
    item(2, 1, (0, 0, 10, 10), source="consumer"),
    item(3, 1, (0, 0, 10, 10), source="shop"),
    item(4, 1, (0, 0, 10, 10), source="shop", style=2),
    item(5, 1, (0, 0, 10, 10), source="consumer", style=2),
]
PHOTOS: dict[str, Sequence[Garment] | None] = {
    # The best of photo 1 overlaps the garment without a counterpart; of the others, (0, 0, 9, 9) has the higher score
    "1.jpg": [garment((19, 0, 30, 10), 0.9), garment((0, 0, 9, 9), 0.8), garment((0, 0, 10, 10), 0.7)],
    "2.jpg": [garment((40, 0, 50, 10), 0.9)],
    "3.jpg": [garment((0, 0, 10, 9), 0.9), garment((0, 0, 10, 12), 0.6), garment((60, 0, 70, 10), 0.5)],
    "4.jpg": [garment((0, 0, 10, 4), 0.9)],
    "5.jpg": None,
}


class Table:
    """A finder that looks its garments up."""

    model_id = "table@0"

    def __init__(self, file: object) -> None:
        assert file is None

    def find(self, location: str, *, least: float) -> Sequence[Garment]:
        assert least == 0.3
        found = PHOTOS[location]
        if found is None:
            raise PhotoError(location, "not a photo")
        return found


def found(monkeypatch: pytest.MonkeyPatch, *, of_garments: bool = True) -> FoundBoxes:
    monkeypatch.setattr(found_boxes, "Finder", Table)
    benchmark = Benchmark("deepfashion2", sides=SIDES, of_garments=of_garments)
    catalogue = Catalogue("deepfashion2", "/df2", lambda: iter(ITEMS), len(ITEMS), benchmark=benchmark)
    protocol = Protocol.parse("deepfashion2")
    return find_boxes(protocol.taking_part(ITEMS, benchmark), catalogue, protocol, finder=None)


def test_each_query_is_the_best_garment_assigned_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = found(monkeypatch)
    boxes = {one.id: one.box and one.box.to_list() for one in result.items if "item" in one.id}
    assert boxes["validation/1/item1"] == [0, 0, 9, 9]
    assert "validation/1/item2" not in boxes, "it is no query, and only keeps what overlaps it from the others"
    assert result.missed == {"validation/2/item1", "validation/4/item1"}
    assert result.missed_queries == 1
    assert boxes["validation/5/item1"] == [0, 0, 10, 10], "its photo cannot be read, which the embedding tells"


def test_the_gallery_is_every_garment_found_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    result = found(monkeypatch)
    shop = {
        one.id: (one.product, one.box and one.box.to_list()) for one in result.items if one.photo in ("3.jpg", "4.jpg")
    }
    assert shop == {
        "validation/3/item1": ("p1", [0, 0, 10, 9]),
        "validation/3/found2": ("p1", [0, 0, 10, 12]),
        "validation/3/found3": (None, [60, 0, 70, 10]),
        "validation/4/item1": ("p2", [0, 0, 10, 10]),  # missed: an intersection over union of .4 is too little
        "validation/4/found1": (None, [0, 0, 10, 4]),
    }
    assert result.beside == 3
    for one in result.items:
        if "found" in one.id:
            assert one.attributes == {"split": "validation", "source": "shop"}
    assert (
        "misses are 1 of the queries, which count as 0, and 1 of the gallery, which has 3 without a given box"
        in result.note
    )
    assert found(monkeypatch, of_garments=False).beside == 0


def test_figures_of_a_catalogue_with_found_boxes(
    tmp_path: Path, tiny_model: Path, tiny_finder: Path, capsys: Capture
) -> None:
    """A real finder, by colours, and a real model: a photo of a colour that it does not know counts as 0."""
    colours = [(220, 10, 10), (10, 220, 10), (10, 10, 220)]
    rows = ["id,image,product,box"]
    for number in range(7):
        picture = Image.new("RGB", (300, 300), (128, 128, 128))
        part = Image.new("RGB", (120, 120), colours[number // 2] if number < 6 else (128, 128, 128))
        picture.paste(part, (40 + 10 * (number % 2), 60))
        picture.save(tmp_path / f"{number}.png")
        rows.append(f'{number},{number}.png,p{min(number // 2, 2)},"40,60,170,180"')
    table = tmp_path / "t.csv"
    table.write_text("\n".join(rows), encoding="utf-8")
    given = lookalike.evaluate(table, model=tiny_model, weights={"deep": 1})
    here = lookalike.evaluate(table, model=tiny_model, weights={"deep": 1}, boxes="found", finder=tiny_finder)
    summary = here.to_json()
    assert (summary["boxes"], summary["finder"]) == ("found", "tiny@01234567")
    assert (given.to_json()["boxes"], given.to_json()["finder"]) == (True, None)
    assert here.metric_values.queries == given.metric_values.queries, "missed ones are queries, too"
    assert here.skipped == [] and any("misses are 1 of the queries" in note for note in summary["notes"])
    at = list(here.metric_values.queries).index("6")
    assert here.metric_values.values[at].max() == 0
    assert here.figures["hit_rate@1"] == pytest.approx(6 / 7)
    words = ["evaluate", str(table), "--model", str(tiny_model), "--weight", "deep=1", "--boxes", "found", "--json"]
    assert main([*words, "--finder", str(tiny_finder)]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == json.loads(json.dumps(summary["metrics"]))


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a gallery": ({"gallery": "g", "boxes": "found"}, "a gallery has vectors of the boxes that it was filled with"),
    "a finder for nothing": ({"model": "default", "finder": "f.onnx"}, "a finder finds boxes; give boxes='found'"),
    "classes": ({"model": "default", "boxes": "found", "protocol": "classes"}, "has no photos as queries"),
    "words": ({"model": "default", "boxes": "found", "protocol": "words=kind"}, "has no photos as queries"),
    "another word": ({"model": "default", "boxes": "fund"}, "boxes are true, false, or a margin above 0"),
    "no boxes": ({"model": "default", "boxes": "found"}, "replaces given boxes, and this source has none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_found_is_refused(case: str, tmp_path: Path) -> None:
    options, message = REFUSED[case]
    table = tmp_path / "t.csv"
    for number in range(2):
        Image.new("RGB", (40, 40), (9, 9, 200)).save(tmp_path / f"{number}.png")
    table.write_text("id,image,product,kind\na,0.png,p,top\nb,1.png,p,top\n", encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        lookalike.evaluate(table, **options)


def test_nothing_found_is_told(tmp_path: Path, tiny_model: Path, tiny_finder: Path) -> None:
    Image.new("RGB", (300, 300), (128, 128, 128)).save(tmp_path / "grey.png")
    table = tmp_path / "t.csv"
    table.write_text('id,image,product,box\na,grey.png,p,"0,0,99,99"\nb,grey.png,p,"100,0,199,99"\n', encoding="utf-8")
    with pytest.raises(UsageError, match="finds none of the 2 garments that take part"):
        lookalike.evaluate(table, model=tiny_model, boxes="found", finder=tiny_finder)
    with pytest.raises((NoFinderError, lookalike.LookalikeError), match="nowhere"):
        lookalike.evaluate(table, model=tiny_model, boxes="found", finder=tmp_path / "nowhere.onnx")


@pytest.mark.filterwarnings("error")
def test_a_box_of_huge_numbers_is_no_garment_and_warns_of_nothing() -> None:
    garment = Garment(Box(0, 0, 40, 50), "top", 0.9)
    assert shown_in(Box(0, 0, 1e308, 100), [garment]) is None
    assert shown_in(Box(0, 0, 40, 50), [garment]) is garment
