"""Fashion200k: read as published, refused when damaged, and its replaced words measured as papers do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.catalogue import open_catalogue
from lookalike.catalogue.benchmark import Modification
from lookalike.catalogue.benchmarks.fashion200k import replacement
from lookalike.catalogue.sample.layouts.table import write_layout
from lookalike.cli import main
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.errors import CatalogueError
from lookalike.evaluation.evaluate import evaluate
from lookalike.evaluation.evaluator import computed_embeddings
from lookalike.evaluation.word_search import open_text_encoder, word_search
from lookalike.types import Item

FIRST = "women/dresses/casual_and_day_dresses/51727804/51727804_0.jpeg"
SECOND = "women/dresses/casual_and_day_dresses/53000000/53000000_0.jpeg"
LABELS = "labels/dress_test_detect_all.txt"


def tree(root: Path) -> Path:
    (root / "labels").mkdir(parents=True)
    rows = f"{FIRST}\t0.872501\tblack  knee-length dress\n{SECOND}\t-1.7\tred knee-length dress\n"
    (root / LABELS).write_text(rows, encoding="utf-8")
    (root / "labels/dress_train_detect_all.txt").write_text(
        f"{FIRST}\t1\tagain\nwomen/a/b.jpeg\t1\tc\n", encoding="utf-8"
    )
    (root / "test_queries.txt").write_text(f"{FIRST} {SECOND}\n{FIRST} women/a/b.jpeg\n", encoding="utf-8")
    return root


def test_fashion200k_is_read_as_published(tmp_path: Path) -> None:
    root = tree(tmp_path / "fashion200k")
    (root / "labels/dress_train_detect_all.txt").write_text("women/a/b.jpeg\t1\tc\n", encoding="utf-8")
    catalogue = open_catalogue(str(root))
    train, first, second = catalogue.items()
    known = {"category": "dress", "split": "test", "description": "black knee-length dress"}
    assert first == Item(FIRST, FIRST, str(root), "51727804", None, known)
    assert (train.attributes["split"], second.product) == ("train", "53000000")
    assert catalogue.benchmark is not None
    said = ("replace black with red",)
    assert catalogue.benchmark.modifications == (Modification(FIRST, SECOND, said, "dress", "test"),)
    assert catalogue.notes[-1] == "1 test queries are of photos that are not in the test split"
    assert "no train jacket: jacket_train_detect_all.txt is missing" in catalogue.notes[0]


def test_a_repeated_photo_is_noted(tmp_path: Path) -> None:
    notes = open_catalogue(str(tree(tmp_path / "fashion200k"))).notes
    assert "1 photos of dress_test_detect_all.txt have come before; the first line counts" in notes


@pytest.mark.parametrize(
    ("source", "target", "said"),
    [
        ("black knee dress", "red knee dress", "replace black with red"),
        ("blue wide pants", "blue slim pants", "replace wide with slim"),
        ("blue pants", "blue pants", "replace pants with pants"),
    ],
)
def test_words_are_replaced_as_in_the_published_code(source: str, target: str, said: str) -> None:
    assert replacement(source, target) == said


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        (LABELS, "\t0.872501", "", "dress_test_detect_all.txt:1: expected photo, score and description, separated by"),
        (LABELS, FIRST, "../" + FIRST, "dress_test_detect_all.txt:1: expected the path of a photo below the folder"),
        (LABELS, FIRST, "/etc/passwd", "dress_test_detect_all.txt:1: expected the path of a photo below the folder"),
        ("test_queries.txt", f" {SECOND}", "", "test_queries.txt:1: expected 2 fields"),
    ],
)
def test_a_damaged_list_is_told_in_one_line(file: str, old: str, new: str, told: str, tmp_path: Path) -> None:
    root = tree(tmp_path / "fashion200k")
    text = (root / file).read_text(encoding="utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CatalogueError) as raised:
        open_catalogue(str(root))
    assert told in str(raised.value) and "\n" not in str(raised.value)


def test_a_drawn_tree_is_evaluated_as_a_search_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Any photo with the target's description is right, and the query photo is left out, as a search leaves it out."""
    root = tmp_path / "fashion200k"
    drawn = write_layout(root, layout="fashion200k", products=20, photos=4)
    catalogue = open_catalogue(str(root))
    items = {item.id: item for item in catalogue.items()}
    assert {key: (item.product, item.attributes) for key, item in items.items()} == {
        photo.name: (photo.product, photo.attributes) for photo in drawn
    }
    assert main(["evaluate", str(root), "--model", "default", "--json"]) == 0
    found: Any = json.loads(capsys.readouterr().out)
    assert (found["protocol"], found["queries"], found["gallery"]) == ("fashion200k", 10, 40)
    assert evaluate(root, model="default").to_json() == found
    test = [item for item in items.values() if item.attributes["split"] == "test"]
    embedded = computed_embeddings(catalogue, test, PhotoEmbedder(open_network("default")))
    encoder = open_text_encoder(None, ["default"], protocol="fashion200k")
    assert catalogue.benchmark is not None
    queries = catalogue.benchmark.modifications
    hits: dict[int, list[bool]] = {1: [], 10: [], 50: []}
    with word_search(test, embedded, encoder) as search:
        places = {item.id: place for place, item in enumerate(test)}
        for query in queries:
            answers = search.answers(query.captions[0], total=10, item=places[query.candidate], k=len(test))
            said = [test[place].attributes["description"] for place in answers]
            for k, each in hits.items():
                each.append(items[query.target].attributes["description"] in said[:k])
    for k, each in hits.items():
        assert found["metrics"][f"hit_rate@{k}"]["value"] == pytest.approx(np.mean(each))
    assert main(["catalogue", "check", str(root), "--json"]) == 0
    assert "test queries 10 (33,480)" in json.loads(capsys.readouterr().out)["notes"][-1]
