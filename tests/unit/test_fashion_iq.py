"""Fashion IQ: read as published, refused when damaged, and queries of a photo and words measured as papers do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.benchmark import Modification
from lookalike.catalogue.benchmarks import fashioniq
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import CatalogueError, UsageError
from lookalike.evaluation.evaluate import evaluate
from lookalike.evaluation.evaluator import computed_embeddings
from lookalike.evaluation.word_search import open_text_encoder, word_search
from lookalike.types import Item

SPLIT, CAPTIONS = "image_splits/split.dress.val.json", "captions/cap.dress.val.json"


def tree(root: Path) -> Path:
    files = {
        SPLIT: ["B008BHCT58", "B003FGW7MK", "B00BZ8GPVO"],
        CAPTIONS: [
            {
                "target": "B008BHCT58",
                "candidate": "B003FGW7MK",
                "captions": ["is solid black with no sleeves", "is black with straps"],
            }
        ],
        "image_splits/split.dress.test.json": ["B0000TEST1"],
    }
    (root / "images").mkdir(parents=True)
    (root / "images" / "B003FGW7MK.png").touch()
    for name, rows in files.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows), encoding="utf-8")
    return root


def test_fashion_iq_is_read_as_published(tmp_path: Path) -> None:
    root = tree(tmp_path / "fashion-iq")
    catalogue = open_catalogue(str(root))
    first, second, *_, last = catalogue.items()
    known = {"category": "dress", "split": "val"}
    assert first == Item("dress/B008BHCT58", "images/B008BHCT58.jpg", str(root), attributes=known)
    assert second.photo == "images/B003FGW7MK.png"
    assert last.attributes["split"] == "test"
    captions = ("is solid black with no sleeves", "is black with straps")
    assert catalogue.benchmark is not None
    assert catalogue.benchmark.modifications == (Modification(second.id, first.id, captions, "dress", "val"),)
    assert "no train photos of dress: split.dress.train.json is missing" in catalogue.notes[0]


def test_the_published_totals_add_up() -> None:
    assert sum(fashioniq.PUBLISHED[f"{split} photos"] for split in fashioniq.SPLITS) == fashioniq.PUBLISHED["photos"]


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (SPLIT, '"B003FGW7MK"', '"B008BHCT58"', "split.dress.val.json: entry 2: expected the name of a photo that has"),
        (SPLIT, '"B003FGW7MK"', '"../../etc/passwd"', "entry 2: expected the name of a photo that has not come before"),
        (SPLIT, '"B003FGW7MK"', "7", "split.dress.val.json: entry 2: expected the name of a photo"),
        (SPLIT, "[", '{"a": [', "split.dress.val.json:1: expected JSON"),
        (SPLIT, "]", "", "split.dress.val.json:1: expected JSON, got"),
        (
            CAPTIONS,
            '"target": "B008BHCT58"',
            '"target": "B000000000"',
            "cap.dress.val.json: entry 1: expected target and",
        ),
        (CAPTIONS, '"candidate"', '"reference"', "cap.dress.val.json: entry 1: expected target and candidate"),
        (CAPTIONS, '"is black with straps"', "3", "entry 1: expected target and candidate of the split, and captions"),
        (CAPTIONS, '"is black with straps"', '""', "entry 1: expected target and candidate of the split, and captions"),
        (CAPTIONS, "is black", "is black " * 200, "entry 1: expected target and candidate of the split, and captions"),
    ],
)
def test_a_damaged_list_is_told_in_one_line(file: str, old: str, new: str, told: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "fashion-iq")
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError) as raised:
        open_catalogue(str(root))
    assert told in str(raised.value) and "\n" not in str(raised.value) and len(str(raised.value)) < 500


def test_photos_and_queries_are_needed(tmp_path: Path) -> None:
    root = tree(tmp_path / "fashion-iq")
    (root / CAPTIONS).unlink()
    write_layout(tmp_path / "drawn", layout="fashioniq", products=2, photos=2)
    (root / "images" / "B003FGW7MK.png").unlink()
    for photo in (tmp_path / "drawn" / "images").iterdir():
        photo.rename(root / "images" / "B008BHCT58.jpg")
    with pytest.raises(UsageError, match="the protocol 'fashioniq' finds no queries among the 3 photos"):
        evaluate(root, model="default")
    (root / "images" / "B008BHCT58.jpg").unlink()
    (root / "images").rmdir()
    with pytest.raises(CatalogueError, match="the photos are missing; expected a folder images or image_data"):
        open_catalogue(str(root))
    with pytest.raises(UsageError, match="'fashioniq' takes no arguments"):
        evaluate("drawn", model="default", protocol="fashioniq=val")


def test_a_drawn_tree_is_evaluated_as_a_search_would_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each target has its rank of a search with photo and words, or the next one: the photo itself may score higher."""
    root = tmp_path / "fashion-iq"
    drawn = write_layout(root, layout="fashioniq", products=18, photos=4)
    catalogue = open_catalogue(str(root))
    items = list(catalogue.items())
    assert {(item.id, *item.attributes.values()) for item in items} == {
        (photo.name, *photo.attributes.values()) for photo in drawn
    }
    assert main(["evaluate", str(root), "--model", "default", "--text-weight", "0.6", "--json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert (found["protocol"], found["queries"], found["gallery"], found["by"]) == ("fashioniq", 18, 36, "category")
    assert evaluate(root, model="default", text_weight=0.6).to_json() == found
    val = [item for item in items if item.attributes["split"] == "val"]
    embedded = computed_embeddings(catalogue, val, PhotoEmbedder(open_network("default")))
    encoder = open_text_encoder(None, ["default"], protocol="fashioniq")
    assert catalogue.benchmark is not None
    queries = [query for query in catalogue.benchmark.modifications if query.split == "val"]
    least: dict[str, list[float]] = {}
    most: dict[str, list[float]] = {}
    with word_search(val, embedded, encoder, text_weight=0.6) as search:
        places = {item.id: place for place, item in enumerate(val)}
        for query in queries:
            answers = search.answers(
                " and ".join(query.captions), total=len(queries), item=places[query.candidate], k=len(val)
            )
            same = [val[place].id for place in answers if val[place].attributes["category"] == query.category]
            rank = same.index(query.target) + 1  # without the candidate, which a search leaves out
            most.setdefault(query.category, []).append(rank <= 10)
            least.setdefault(query.category, []).append(rank + 1 <= 10)
    for category, hits in most.items():
        value = found["metrics"][f"hit_rate@10[{category}]"]["value"]
        assert np.mean(least[category]) <= value <= np.mean(hits)
    each = [found["metrics"][f"hit_rate@10[{category}]"]["value"] for category in most]
    assert found["metrics"]["hit_rate@10"]["value"] == pytest.approx(np.mean(each))
    assert found["metrics"]["hit_rate@50"]["value"] == 1
    assert main(["catalogue", "check", str(root), "--json"]) == 0
    assert "val queries 18 (6,016)" in json.loads(capsys.readouterr().out)["notes"][-1]
