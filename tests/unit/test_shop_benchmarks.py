"""DeepFashion2 and Street2Shop: read as published, refused when damaged, measured as papers do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.benchmark import Benchmark, selects
from lookalike.catalogue.benchmarks import deepfashion2, street2shop
from lookalike.catalogue.benchmarks.json_files import numbers_of
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import CatalogueError, UsageError
from lookalike.evaluation.evaluate import evaluate
from lookalike.evaluation.evaluator import computed_embeddings
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.ranking import evaluate_rows
from lookalike.spaces import unit_rows
from lookalike.types import Box, Item
from oracles import slow_hit_rate

GARMENT: dict[str, Any] = {
    "category_name": "long sleeve top",
    "category_id": 2,
    "style": 1,
    "bounding_box": [150, 78, 371, 500],
    "landmarks": [10, 20, 2],
    "segmentation": [[1, 2, 3, 4]],
    "scale": 3,
    "occlusion": 1,
    "zoom_in": 2,
    "viewpoint": 2,
}
ANNOTATIONS = "validation/annos/000001.json"
DRESSES = "meta/json/{}_dresses.json"


def df2(root: Path) -> Path:
    photos = {
        "train/annos/000001.json": {"source": "user", "pair_id": 3, "item1": GARMENT},
        ANNOTATIONS: {"source": "user", "pair_id": 3, "item1": GARMENT, "item2": {**GARMENT, "style": 0}},
        "validation/annos/000002.json": {"source": "shop", "pair_id": 3, "item1": {**GARMENT, "category_id": 13}},
    }
    for name, annotated in photos.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent.parent / "image").mkdir(exist_ok=True)
        path.write_text(json.dumps(annotated), encoding="utf-8")
    return root


def s2s(root: Path) -> Path:
    box = {"width": 693, "top": 307, "left": 146, "height": 993}
    other = {**box, "left": 10}
    lists = {
        "retrieval": [{"photo": 163478, "product": 1}, {"photo": 99, "product": 2}, {"photo": 100, "product": 7}],
        "train_pairs": [{"photo": 5, "product": 1, "bbox": box}],
        "test_pairs": [
            {"photo": 2847, "product": 2, "bbox": box},
            {"photo": 2847, "product": 9, "bbox": box},
            {"photo": 2847, "product": 2, "bbox": other},
        ],
    }
    (root / "images" / "dresses").mkdir(parents=True)
    (root / "images" / "000002847.jpeg").touch()
    (root / "images" / "dresses" / "163478.JPEG").touch()
    for name, rows in lists.items():
        path = root / DRESSES.format(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    return root


def test_deepfashion2_is_read_as_published(tmp_path: Path) -> None:
    root = df2(tmp_path / "df2")
    train, first, second, shop = open_catalogue(str(root)).items()
    known = {"category": "long sleeve top", "scale": "large", "occlusion": "slight", "zoom_in": "medium"}
    known = {**known, "viewpoint": "frontal", "split": "validation", "source": "consumer"}
    paired = {**known, "pairing": "paired", "pair": 3, "style": 1}
    box, photo = Box(150, 78, 371, 500), "validation/image/000001.jpg"
    assert first == Item("validation/000001/item1", photo, str(root), "validation-3-1", box, paired)
    assert second == Item(
        "validation/000001/item2", photo, str(root), None, box, {**paired, "pairing": "single", "style": 0}
    )
    assert (shop.product, shop.attributes["source"], shop.attributes["category"]) == (
        first.product,
        "shop",
        "sling dress",
    )
    assert (train.product, train.attributes["split"]) == (
        "train-3-1",
        "train",
    )  # numbers of pairs begin anew in each split
    sides = deepfashion2.SIDES["validation"]
    assert [selects(sides.queries, item) for item in (train, first, second, shop)] == [False, True, False, False]
    assert [selects(sides.gallery, item) for item in (train, first, second, shop)] == [False, False, False, True]


def test_street2shop_is_read_as_published(tmp_path: Path) -> None:
    root = s2s(tmp_path / "s2s")
    catalogue = open_catalogue(str(root))
    items = {item.id: item for item in catalogue.items()}
    assert [*items] == [
        *("dresses/shop/163478", "dresses/shop/99", "dresses/shop/100"),
        *("dresses/street/5/1", "dresses/street/2847/1", "dresses/street/2847/2"),
    ]
    street = {"category": "dresses", "source": "consumer", "split": "test"}
    asking, shop = items["dresses/street/2847/1"], items["dresses/shop/163478"]
    assert asking == Item(asking.id, "images/000002847.jpeg", str(root), "2", Box(146, 307, 839, 1300), street)
    assert shop == Item(
        shop.id, "images/dresses/163478.JPEG", str(root), "1", None, {**street, "source": "shop", "split": "train"}
    )
    assert items["dresses/shop/99"].photo == "images/000000099.jpg"  # not fetched: it is missed under this name
    assert items["dresses/shop/100"].attributes["split"] == "unpaired"
    assert items["dresses/street/2847/2"].box == Box(10, 307, 703, 1300)
    assert catalogue.benchmark and catalogue.benchmark.answers == {asking.id: ("2", "9")}
    assert catalogue.notes[0].startswith("no bags, belts, eyewear")


@pytest.mark.parametrize(
    ("make", "file", "old", "new", "told"),
    [
        (df2, ANNOTATIONS, '"user"', '"buyer"', "000001.json:1: expected an object with source, shop or user"),
        (df2, ANNOTATIONS, '"pair_id": 3', '"pair_id": "3"', "000001.json:1: expected an object with source"),
        (df2, ANNOTATIONS, '"category_id": 2', '"category_id": 14', "000001.json:1: expected 'item1' to be itemN with"),
        (df2, ANNOTATIONS, '"style": 1', '"style": -1', "000001.json:1: expected 'item1' to be itemN with style"),
        (df2, ANNOTATIONS, "150, 78, 371, 500", "150, 78, 371", "000001.json:1: expected 'item1' to be itemN with"),
        (df2, ANNOTATIONS, "150, 78, 371, 500", "NaN, 78, 371, 500", "expected 'item1' to be itemN with style"),
        (df2, ANNOTATIONS, '"item2"', '"../x"', "000001.json:1: expected '../x' to be itemN with"),
        (df2, ANNOTATIONS, '"scale": 3', '"scale": 4', "000001.json:1: expected 'item1' to be itemN with style"),
        (df2, ANNOTATIONS, "}}", "}", "000001.json:1: expected JSON, got"),
        (df2, ANNOTATIONS, "{", "[" * 100_000, "000001.json:1: expected JSON, got"),
        (df2, ANNOTATIONS, "{", " " * 2**22 + "{", "000001.json: expected at most 4,194,304 bytes of JSON"),
        (
            s2s,
            DRESSES.format("retrieval"),
            '"photo": 99',
            '"photo": "99"',
            "entry 2: expected photo and product, whole",
        ),
        (s2s, DRESSES.format("retrieval"), "]", "", "retrieval_dresses.json:1: expected JSON, got"),
        (s2s, DRESSES.format("retrieval"), "[", '{"a": [', "retrieval_dresses.json:1: expected JSON"),
        (s2s, DRESSES.format("test_pairs"), None, "", "test_pairs_dresses.json is missing; looked in meta/json/"),
        (s2s, DRESSES.format("test_pairs"), '"top": 307, ', "", "entry 1: expected photo, product and bbox with left"),
        (s2s, DRESSES.format("test_pairs"), "693", "1e400", "entry 1: expected photo, product and bbox with left"),
        (
            s2s,
            DRESSES.format("train_pairs"),
            "[{",
            "[7, {",
            "train_pairs_dresses.json: entry 1: expected photo, product",
        ),
    ],
)
def test_a_damaged_file_is_told_in_one_line(
    make: Callable[[Path], Path], file: str, old: str | None, new: str, told: str, tmp_path: Path
) -> None:
    root = make(tmp_path / "data")
    path = root / file
    if old is None:
        path.unlink()
    else:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError) as raised:
        open_catalogue(str(root))
    assert told in str(raised.value) and "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_partial_and_odd_trees_are_noted(tmp_path: Path) -> None:
    root = df2(tmp_path / "df2")
    (root / "train" / "annos" / "000001.json").unlink()
    (root / "train" / "annos").rmdir()
    (root / "validation" / "annos" / "readme.txt").touch()
    (root / "validation" / "annos" / "000003.json").write_text('{"source": "shop", "pair_id": 9}', encoding="utf-8")
    text = (root / ANNOTATIONS).read_text(encoding="utf-8")
    (root / ANNOTATIONS).write_text(text.replace("150, 78, 371, 500", "371, 78, 150, 500"), encoding="utf-8")
    catalogue = open_catalogue(str(root))
    assert catalogue.notes == (
        "no train garments: train/annos is missing",
        "1 files of validation/annos are not named like 000001.json, such as readme.txt",
        "1 photos of validation have no garments",
        "2 boxes of validation enclose nothing; those photos are used whole",
    )
    root = s2s(tmp_path / "s2s")
    for photo in [*root.rglob("*.jpeg"), *root.rglob("*.JPEG")]:
        photo.unlink()
    (root / "images" / "dresses").rmdir()
    with pytest.raises(CatalogueError, match=r"the photos are missing; fetch those of photos/photos\.txt"):
        open_catalogue(str(root))


@pytest.mark.parametrize(
    "value", [None, [1, 2, 3], [1, 2, 3, True], [1, 2, 3, "4"], [1, 2, 3, float("nan")], [1e9] * 4]
)
def test_four_numbers_are_four_numbers(value: Any) -> None:
    assert numbers_of(value, 4) is None


def test_each_category_is_a_retrieval_of_its_own_and_any_paired_product_is_right() -> None:
    """Ten categories of random vectors, with street photos that two products answer, against a slow count."""
    rng = np.random.default_rng(7)
    items: list[Item] = []
    answers: dict[str, tuple[str, ...]] = {}
    for number in range(200):
        category, product = str(rng.integers(4)), str(rng.integers(25))
        source = "consumer" if number % 3 == 0 else "shop"
        known = {"category": category, "source": source, "split": "test"}
        items.append(Item(str(number), "", product=product, attributes=known))
        if source == "consumer" and number % 2:
            answers[str(number)] = (product, str(rng.integers(25)))
    rows = unit_rows(rng.standard_normal((len(items), 6)).astype(np.float32))
    benchmark = Benchmark("street2shop", sides=street2shop.SIDES, answers=answers)
    task = Protocol.parse("street2shop").task(items, benchmark=benchmark)
    found = evaluate_rows({"deep": rows}, weights={"deep": 1.0}, task=task)
    queries = [place for place, item in enumerate(items) if item.attributes["source"] == "consumer"]
    gallery = [place for place, item in enumerate(items) if item.attributes["source"] == "shop"]

    def is_right(query: int, answer: int) -> bool:
        return items[answer].product in answers.get(items[query].id, (items[query].product,))

    def may_answer(query: int, answer: int) -> bool:
        return items[query].attributes["category"] == items[answer].attributes["category"]

    for k in (1, 5, 10, 20, 50):
        slow = slow_hit_rate(rows, queries, gallery, is_right=is_right, may_answer=may_answer, k=k)
        assert found.figures()[f"hit_rate@{k}"] == pytest.approx(slow)
    unanswerable = sum(
        not any(is_right(query, answer) and may_answer(query, answer) for answer in gallery) for query in queries
    )
    assert found.task.notes[0].startswith(f"{unanswerable} queries have no right answer")


@pytest.mark.parametrize(
    ("layout", "depths", "queries"), [("deepfashion2", (1, 5, 10, 15, 20), 10), ("street2shop", (1, 5, 10, 20, 50), 10)]
)
def test_drawn_trees_are_read_and_evaluated(
    layout: str, depths: tuple[int, ...], queries: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / layout
    drawn = write_layout(root, layout=layout, products=10, photos=4)
    catalogue = open_catalogue(str(root))
    items = list(catalogue.items())
    read = {
        item.id: (item.product or "", item.box.to_list() if item.box else [0] * 4, item.attributes) for item in items
    }
    assert read == {photo.name: (photo.product, [*photo.box], photo.attributes) for photo in drawn}
    assert main(["evaluate", str(root), "--model", "default", "--weight", "deep=1", "--json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert (found["protocol"], found["queries"]) == (layout, queries)
    assert catalogue.benchmark is not None
    sides = next(iter(catalogue.benchmark.sides.values()))
    asking = [place for place, item in enumerate(items) if selects(sides.queries, item)]
    shops = [place for place, item in enumerate(items) if selects(sides.gallery, item)]
    assert found["gallery"] == len(shops)
    rows = computed_embeddings(catalogue, items, PhotoEmbedder(open_network("default"))).rows["deep"]
    right = catalogue.benchmark.answers
    assert bool(right) == (layout == "street2shop")
    for k in depths:
        slow = slow_hit_rate(
            unit_rows(rows),
            asking,
            shops,
            is_right=lambda query, answer: items[answer].product in right.get(items[query].id, (items[query].product,)),
            may_answer=lambda query, answer: (
                not sides.within or items[query].attributes[sides.within] == items[answer].attributes[sides.within]
            ),
            k=k,
        )
        assert found["metrics"][f"hit_rate@{k}"]["value"] == pytest.approx(slow)
    assert evaluate(root, model="default", weights={"deep": 1}).to_json() == found
    assert main(["catalogue", "check", str(root), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert (checked["unanswerable"], checked["problems"]) == ([], [])
    assert checked["notes"][-1].startswith("not as published")
    if layout == "deepfashion2":
        assert checked["splits"]["validation"] == {"photos": 20, "garments": 25, "products": 10}
    else:
        assert "consumer photos 20 (20,357), shop photos 20 (404,683)" in checked["notes"][-1]


def test_a_layout_needs_enough_products(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Street2Shop needs at least 2 products with 2 photos each, not 9 with 1"):
        write_layout(tmp_path / "few", layout="street2shop", products=9, photos=1)
    with pytest.raises(UsageError, match="DeepFashion2 needs at least 2 products"):
        write_layout(tmp_path / "one", layout="deepfashion2", products=1, photos=2)
