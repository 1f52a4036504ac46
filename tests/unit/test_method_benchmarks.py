"""Stanford Online Products and CUB-200-2011: read as published, refused when damaged, measured as papers do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.benchmark import Sides
from lookalike.catalogue.benchmarks import birds, online_products
from lookalike.catalogue.benchmarks.listed_photos import is_plain_path
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import CatalogueError, UsageError
from lookalike.evaluation.evaluate import evaluate
from lookalike.evaluation.evaluator import computed_embeddings
from lookalike.evaluation.ranking import evaluate_rows
from lookalike.evaluation.task import sides_task
from lookalike.spaces import unit_rows
from lookalike.types import Box, Item
from oracles import slow_hit_rate

SOP = {
    "Ebay_train.txt": """image_id class_id super_class_id path
1 1 1 bicycle_final/111085122871_0.JPG
2 1 1 bicycle_final/111085122871_1.JPG
3 2 1 bicycle_final/111265328556_0.JPG
""",
    "Ebay_test.txt": """image_id class_id super_class_id path
59552 11319 12 toaster_final/251952414262_0.JPG
59553 11319 12 toaster_final/251952414262_1.JPG
""",
}
CUB = {
    "images.txt": """1 001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg
2 100.Brown_Pelican/Brown_Pelican_0012_94432.jpg
3 101.White_Pelican/White_Pelican_0001_96422.jpg
""",
    "image_class_labels.txt": "1 1\n2 100\n3 101\n",
    "classes.txt": "1 001.Black_footed_Albatross\n100 100.Brown_Pelican\n101 101.White_Pelican\n",
    "bounding_boxes.txt": "1 60.0 27.0 325.0 304.0\n2 139.0 30.0 153.0 264.0\n3 14.0 112.0 388.0 186.0\n",
    "train_test_split.txt": "1 0\n2 1\n3 1\n",
}


def put(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text, encoding="utf-8")
    return root


def sop(folder: Path) -> Path:
    return put(folder / "Stanford_Online_Products", SOP)


def cub(folder: Path) -> Path:
    root = put(folder / "CUB_200_2011", CUB)
    (root / "images").mkdir()
    return root


def items_of(root: Path) -> list[Item]:
    return list(open_catalogue(str(root)).items())


def test_online_products_are_read_as_published(tmp_path: Path) -> None:
    root = sop(tmp_path)
    first, *_, last = items_of(root)
    train = {"split": "train", "category": "bicycle"}
    path = "bicycle_final/111085122871_0.JPG"
    assert first == Item(path, path, str(root), "1", None, train)
    assert (last.product, last.attributes) == ("11319", {"split": "test", "category": "toaster"})
    assert open_catalogue(str(tmp_path)).kind == "sop"  # the folder around it has nothing else


def test_birds_are_split_by_species_and_used_whole(tmp_path: Path) -> None:
    root = cub(tmp_path)
    first, second, third = items_of(root)
    name = "001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"
    known = {"split": "train", "class": "001.Black_footed_Albatross", "classification_split": "test"}
    assert first == Item(name, f"images/{name}", str(root), "1", None, known)
    assert [item.attributes["split"] for item in (first, second, third)] == ["train", "train", "test"]
    assert next(birds.open_birds(root).items()).box == Box(60, 27, 385, 331)


def test_the_published_totals_add_up() -> None:
    for published in (online_products.PUBLISHED, birds.PUBLISHED):
        for what in ("photos", "products"):
            assert published[what] == published[f"train {what}"] + published[f"test {what}"]


@pytest.mark.parametrize(
    ("make", "file", "old", "new", "told"),
    [
        (sop, "Ebay_train.txt", None, "", "Ebay_train.txt is missing; looked in the folder itself"),
        (sop, "Ebay_train.txt", "image_id class_id super_class_id path\n", "", "Ebay_train.txt:1: expected the names"),
        (sop, "Ebay_test.txt", " 12 toaster", " 13 toaster", "Ebay_test.txt:2: expected three whole numbers"),
        (sop, "Ebay_test.txt", "59552", "x", "Ebay_test.txt:2: expected three whole numbers"),
        (sop, "Ebay_train.txt", "3 2 1 ", "3 2 ", "Ebay_train.txt:4: expected 4 fields"),
        (sop, "Ebay_train.txt", "871_1", "871_0", "Ebay_train.txt:3: expected a photo that has not come before"),
        (sop, "Ebay_train.txt", "bicycle_final/111265328556", "../x", "Ebay_train.txt:4: expected the path of a photo"),
        (sop, "Ebay_train.txt", "bicycle_final/111265328556", "/etc/x", "Ebay_train.txt:4: expected the path"),
        (sop, "Ebay_test.txt", "59552 11319", "59552 2", "expected a class that is not in Ebay_train.txt too, got '2'"),
        (cub, "images.txt", None, "", "images.txt is missing"),
        (cub, "images.txt", "3 101.", "2 101.", "images.txt:3: expected a number that has not come before, got '2'"),
        (cub, "images.txt", "3 101.", "9 101.", "images.txt:3: expected a photo that image_class_labels.txt gives"),
        (cub, "images.txt", "3 101.White_Pelican/", "3 ../", "images.txt:3: expected the path of a photo below"),
        (cub, "image_class_labels.txt", "3 101", "3 201", "image_class_labels.txt:3: expected a class from 1 to 200"),
        (cub, "bounding_boxes.txt", "388.0 186.0", "0.0 186.0", "bounding_boxes.txt:3: expected x, y, width and"),
        (cub, "bounding_boxes.txt", "388.0 186.0", "nan 186.0", "bounding_boxes.txt:3: expected x, y, width and"),
        (cub, "bounding_boxes.txt", "388.0 186.0", "388.0", "bounding_boxes.txt:3: expected image_id x y width"),
        (cub, "train_test_split.txt", "3 1", "3 2", "train_test_split.txt:3: expected 1 for a training image or 0"),
    ],
)
def test_a_damaged_list_is_told_in_one_line(
    make: Callable[[Path], Path], file: str, old: str | None, new: str, told: str, tmp_path: Path
) -> None:
    path = make(tmp_path) / file
    if old is None:
        path.unlink()
    else:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError) as raised:
        open_catalogue(str(path.parent))
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_birds_without_photos_or_boxes(tmp_path: Path) -> None:
    root = cub(tmp_path)
    (root / "bounding_boxes.txt").unlink()
    assert "no boxes: bounding_boxes.txt is missing" in open_catalogue(str(root)).notes[0]
    (root / "images").rmdir()
    with pytest.raises(CatalogueError, match="the photos are missing; expected a folder images in it"):
        open_catalogue(str(root))


@pytest.mark.parametrize("name", ["", "/a", "a//b", "./a", "a/..", "a\\b", "c:a", "http://a/b", "a\nb"])
def test_a_path_stays_in_the_folder(name: str) -> None:
    assert not is_plain_path(name)
    assert is_plain_path("a final/1_0.JPG")


def test_leaving_one_out_excludes_the_photo_itself_and_nothing_else() -> None:
    """A copy of the query is a right answer here, which the protocol `product` would not count."""
    rng = np.random.default_rng(3)
    products = [str(number) for number in rng.integers(0, 12, 60)] + ["alone", "copied", "copied"]
    items = [Item(str(place), "", product=product) for place, product in enumerate(products)]
    rows = unit_rows(rng.standard_normal((len(items), 5)).astype(np.float32))
    rows[-1] = rows[-2]
    sides = Sides({}, {}, leave_one_out=True, depths=(1, 2, 4, 8, 1000))
    found = evaluate_rows({"deep": rows}, weights={"deep": 1.0}, task=sides_task(items, sides, protocol="cub"))
    for k in sides.depths:
        slow = slow_hit_rate(
            rows,
            range(len(items)),
            range(len(items)),
            is_right=lambda query, answer: products[query] == products[answer],
            may_answer=lambda query, answer: query != answer,
            k=k,
        )
        assert found.figures()[f"hit_rate@{k}"] == pytest.approx(slow)
    assert found.metric_values.values[-1, 0] == 1
    single = sum(count == 1 for count in Counter(products).values())
    assert found.task.notes == (f"{single} queries have no right answer in the gallery; they count as 0",)


@pytest.mark.parametrize(("layout", "depths"), [("sop", (1, 10, 100, 1000)), ("cub", (1, 2, 4, 8))])
def test_drawn_trees_are_read_and_evaluated(
    layout: str, depths: tuple[int, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = write_layout(tmp_path / layout, layout=layout, products=8, photos=3)
    catalogue = open_catalogue(str(tmp_path / layout))
    items = list(catalogue.items())
    assert [(item.id, item.product, item.attributes) for item in items] == [
        (photo.name, photo.product, photo.attributes) for photo in drawn
    ]
    if layout == "cub":
        boxes = [item.box for item in birds.open_birds(tmp_path / layout).items()]
        assert boxes == [Box(*photo.box) for photo in drawn]
    assert main(["evaluate", str(tmp_path / layout), "--model", "default", "--weight", "deep=1", "--json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert (found["protocol"], found["queries"], found["gallery"]) == (layout, 12, 12)
    test = [item for item in items if item.attributes["split"] == "test"]
    rows = computed_embeddings(catalogue, test, PhotoEmbedder(open_network("default"))).rows["deep"]
    for k in depths:
        slow = slow_hit_rate(
            unit_rows(rows),
            range(12),
            range(12),
            is_right=lambda query, answer: test[query].product == test[answer].product,
            may_answer=lambda query, answer: query != answer,
            k=k,
        )
        assert found["metrics"][f"hit_rate@{k}"]["value"] == pytest.approx(slow)
    assert evaluate(tmp_path / layout, model="default", weights={"deep": 1}).to_json() == found
    assert main(["catalogue", "check", str(tmp_path / layout), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert (checked["unanswerable"], checked["problems"]) == ([], [])
    assert checked["notes"][-1].startswith("not as published (in brackets): photos 24 (")


def test_a_layout_needs_products_with_two_photos(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="CUB needs at least 2 products with 2 photos each, not 1 with 2"):
        write_layout(tmp_path / "one", layout="cub", products=1, photos=2)
    with pytest.raises(UsageError, match="CUB has 200 classes"):
        write_layout(tmp_path / "many", layout="cub", products=201, photos=2)
    with pytest.raises(UsageError, match="the protocol 'sop' needs the published benchmark of that name"):
        evaluate("drawn", model="default", protocol="sop")
