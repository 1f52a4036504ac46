"""`lookalike evaluate`: figures, filters, reports, comparisons and one-line errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.images import open_image

Capture = pytest.CaptureFixture[str]


def evaluated(capsys: Capture, *arguments: object) -> Any:
    capsys.readouterr()
    assert main(["evaluate", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_gallery_and_model_give_the_same_figures(shop: Shop, capsys: Capture) -> None:
    of_gallery = evaluated(capsys, shop.table, "--gallery", shop.gallery, "--by", "colour")
    of_model = evaluated(capsys, shop.table, "--model", shop.model, "--by", "colour")
    assert of_gallery == of_model
    assert (of_gallery["protocol"], of_gallery["queries"], of_gallery["gallery"]) == ("product", 12, 12)
    assert of_gallery["model"] == "tiny@01234567"
    assert of_gallery["weights"] == {"deep": 1.0, "color": 0.1}
    assert sorted(of_gallery["per_category"]) == ["Blue", "Green", "Red", "White"]
    assert of_gallery["absent"] == 0


def test_searches_as_served_are_those_of_a_search(shop: Shop, capsys: Capture) -> None:
    """Each photo of the shop asks; its answers are what a search by the item finds, without its twins."""
    options = {"rerank": 6, "expand": 2, "k": 11}
    given = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    exact = evaluated(capsys, shop.table, "--gallery", shop.gallery)
    assert evaluated(capsys, shop.table, "--gallery", shop.gallery, "--index", "exact")["metrics"] == exact["metrics"]
    found = lookalike.evaluate(shop.table, gallery=shop.gallery, **options)  # type: ignore[arg-type]
    assert found.to_json() == evaluated(capsys, shop.table, "--gallery", shop.gallery, *given)
    searched = {"index": "auto", "k": 11, "expand": 2, "alpha": 3.0, "rerank": 6, "k1": 10, "k2": 3, "trust": 0.9}
    assert found.to_json()["search"] == searched
    assert found.retrieval is not None
    items = found.retrieval.task.items
    retriever = lookalike.open(shop.gallery)
    for query, answers in zip(found.retrieval.task.queries, found.retrieval.answers, strict=True):
        ours = [items[place].id for place in answers if place >= 0]
        theirs = [match.item.id for match in retriever.search(item=items[query].id, **options).matches]  # type: ignore[arg-type]
        assert ours == [name for name in theirs if name in ours]
        assert len(ours) > 5


def test_a_report_tells_how_was_searched(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    ask = [shop.table, "--gallery", shop.gallery, "--group", "product", "--report", tmp_path / "report"]
    found = evaluated(capsys, *ask)
    assert found["search"] == {"index": "auto", "k": 10, "group": "product"}
    text = (tmp_path / "report" / "report.md").read_text()
    assert "- Searches: index auto, k 10, group product" in text
    assert f"- Gallery: {found['gallery']} products" in text


def test_colour_alone_knows_colours_by_their_grades(shop: Shop, capsys: Capture) -> None:
    """Three photos of each colour are three products here, told by their ids."""
    table = shop.folder / "no-products.csv"
    table.write_text(shop.table.read_text().replace("product", "style"))
    ask = [table, "--gallery", shop.gallery, "--protocol", "grades=colour,season", "--weight", "color=1"]
    found = evaluated(capsys, *ask)
    assert found["metrics"]["precision@1[colour]"]["value"] == 1.0
    assert found["metrics"]["precision@10[colour]"]["value"] == pytest.approx(2 / 10)
    assert found["weights"] == {"deep": 0.0, "color": 1.0}
    apart = evaluated(capsys, *ask, "--apart", "colour")
    assert apart["metrics"]["ndcg@10"]["value"] == 0
    known = evaluated(capsys, *ask, "--unknown", "Red")
    assert (known["queries"], known["gallery"]) == (9, 12)


def test_a_filter_chooses_who_takes_part(shop: Shop, capsys: Capture) -> None:
    found = evaluated(capsys, shop.table, "--gallery", shop.gallery, "--where", "season = 'Summer'")
    assert (found["queries"], found["gallery"]) == (8, 8)


def test_the_table_shows_the_same_as_the_json(shop: Shop, capsys: Capture) -> None:
    found = evaluated(capsys, shop.table, "--gallery", shop.gallery)
    assert main(["evaluate", str(shop.table), "--gallery", str(shop.gallery)]) == 0
    shown = capsys.readouterr()
    rows = [line.split() for line in shown.out.splitlines()[1:]]
    assert {row[0]: row[1] for row in rows} == {
        name: f"{figure['value']:.4f}" for name, figure in found["metrics"].items()
    }
    assert "product: 12 queries, gallery of 12; model tiny@01234567; weights: deep 1, color 0.1" in shown.err


def test_a_report_has_all_its_parts(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "report"
    found = evaluated(capsys, shop.table, "--gallery", shop.gallery, "--by", "colour", "--report", folder)
    kept = json.loads((folder / "report.json").read_text())
    assert {name: kept[name] for name in found} == found
    rows = (folder / "queries.csv").read_text().splitlines()
    assert len(rows) == 1 + 12
    text = (folder / "report.md").read_text()
    pictures = ["curves.png", "categories.png", "worst.png", "map.png", "map-photos.png"]
    for name in pictures:
        assert f"]({name})" in text
        with Image.open(folder / name) as picture:
            assert min(picture.size) > 100
            assert len(set(picture.convert("L").resize((40, 40)).tobytes())) > 3  # not an empty sheet
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [*pictures, "report.json", "report.md", "queries.csv"]
    )


def test_two_reports_side_by_side(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    first = evaluated(capsys, shop.table, "--gallery", shop.gallery, "--weight", "deep=1", "--report", one)
    second = evaluated(capsys, shop.table, "--gallery", shop.gallery, "--weight", "color=1", "--report", two)
    found = evaluated(capsys, "--compare", one, two)
    for name, figure in found["metrics"].items():
        assert figure["a"] == pytest.approx(first["metrics"][name]["value"])
        assert figure["b"] == pytest.approx(second["metrics"][name]["value"])
        assert 0 < figure["p_value"] <= 1
    assert main(["evaluate", "--compare", str(one), str(two)]) == 0
    assert "B - A" in capsys.readouterr().out
    by_product = evaluated(capsys, "--compare", one, two, "--resample", "product")
    assert by_product == lookalike.compare_evaluations(one, two, resample="product").to_json()
    assert (found["resample"], by_product["resample"]) == ("query", "product")
    assert main(["evaluate", "--compare", str(one), str(two), "--resample", "product"]) == 0
    assert f"A is {one}, B is {two}; resampled by product" in capsys.readouterr().err
    evaluated(
        capsys, shop.table, "--gallery", shop.gallery, "--where", "season = 'Summer'", "--report", tmp_path / "three"
    )
    assert main(["evaluate", "--compare", str(one), str(tmp_path / "three")]) == 2
    assert "different queries: 4 are only in" in capsys.readouterr().err


def test_photos_that_cannot_be_read_count_as_found_nothing(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    for number in range(3):
        paint((200, 30, 40), number).save(tmp_path / f"{number}.png")
    (tmp_path / "2.png").write_bytes(b"no photo")
    table = tmp_path / "t.csv"
    table.write_text("id,image,product\na,0.png,x\nb,1.png,x\nc,2.png,x\n")
    assert main(["evaluate", str(table), "--model", str(shop.model), "--json"]) == 3
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert (found["queries"], found["absent"]) == (3, 1)
    assert found["metrics"]["hit_rate@1"]["value"] == pytest.approx(2 / 3)
    assert "skipped 2.png: not a photo" in shown.err


MISTAKES = {
    "nothing to measure": ([], "name a SOURCE"),
    "neither gallery nor model": (["{table}"], "either --gallery G"),
    "both": (["{table}", "-g", "{gallery}", "--model", "default"], "either --gallery G"),
    "no such protocol": (["{table}", "-g", "{gallery}", "--protocol", "inshopp"], "did you mean 'inshop'?"),
    "grades of nothing": (["{table}", "-g", "{gallery}", "--protocol", "grades"], "needs attributes"),
    "grades of no attribute": (["{table}", "-g", "{gallery}", "--protocol", "grades=color"], "did you mean 'colour'?"),
    "a benchmark's protocol": (["{table}", "-g", "{gallery}", "--protocol", "inshop"], "no published benchmark"),
    "apart by nothing": (["{table}", "-g", "{gallery}", "--apart", "sender"], "unknown attribute 'sender'"),
    "by nothing": (["{table}", "-g", "{gallery}", "--by", "sender"], "unknown attribute 'sender'"),
    "a filter that passes nothing": (["{table}", "-g", "{gallery}", "--where", "price > 999"], "none of the 12 items"),
    "a filter misspelt": (["{table}", "-g", "{gallery}", "--where", "prize > 9"], "did you mean 'price'?"),
    "no such gallery": (["{table}", "-g", "{nowhere}"], "there is no gallery at"),
    "another catalogue": (["{other}", "-g", "{gallery}"], "none of the 2 photos that take part"),
    "no such space": (["{table}", "-g", "{gallery}", "--weight", "colr=1"], "did you mean 'color'?"),
    "re-ranking by distances": (
        ["{table}", "-g", "{gallery}", "--rerank", "9", "--metric", "deep=cityblock"],
        "cosine",
    ),
    "k1 without re-ranking": (["{table}", "-g", "{gallery}", "--k1", "9"], "k1 is a parameter of rerank"),
    "no such index": (["{table}", "-g", "{gallery}", "--index", "hnws"], "did you mean 'hnsw'?"),
    "class heads of a gallery": (["{table}", "-g", "{gallery}", "--protocol", "classes"], "give it with --model"),
    "re-ranked words": (["{table}", "-g", "{gallery}", "--protocol", "words", "--rerank", "9"], "no photos as queries"),
    "grades of products": (["{table}", "-g", "{gallery}", "--protocol", "grades=product"], "'product' is no grade"),
    "no such metric": (["{table}", "-g", "{gallery}", "--metric", "deep=euclidian"], "did you mean 'euclidean'?"),
    "no such model": (["{table}", "--model", "{nowhere}"], "no such model file"),
    "a report over a file": (["{table}", "-g", "{gallery}", "--report", "{table}"], "is a file; a report is a folder"),
    "a report nowhere": (["{table}", "-g", "{gallery}", "--report", "{nowhere}/a"], "no such folder"),
    "comparing nothing": (["--compare", "{nowhere}", "{nowhere}"], "not a report"),
    "comparing words by product": (["--compare", "{words}", "{words}", "--resample", "product"], "have no products"),
    "comparing by what is not": (["--compare", "{words}", "{words}", "--resample", "shop"], "unknown resample 'shop'"),
    "comparing and measuring": (
        ["{table}", "--compare", "{nowhere}", "{nowhere}", "--rerank", "9"],
        "--compare goes with --resample and --json alone; leave SOURCE and --rerank out",
    ),
    "a table and measuring": (
        ["{table}", "--table", "{nowhere}", "-g", "{gallery}", "--device", "cpu"],
        "leave SOURCE, --gallery and --device out",
    ),
    "a format of no table": (
        ["{table}", "-g", "{gallery}", "--format", "csv"],
        "leave --format out, or give --table as well",
    ),
    "published figures of several data sets": (
        ["--table", "{nowhere}", "--cross-domain", "--published", "default"],
        "published figures are of one data set",
    ),
    "two formats": (["--table", "{nowhere}", "--format", "csv", "--json"], "leave --format out"),
    "garments with weights": (
        ["{table}", "--protocol", "garments", "--weight", "deep=1"],
        "the protocol 'garments' goes with SOURCE, --model, --protocol, --where, --column, --encoding and --json alone",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line(shop: Shop, tmp_path: Path, capsys: Capture, mistake: str) -> None:
    words, message = MISTAKES[mistake]
    other = tmp_path / "other.csv"
    other.write_text(f"id,image,product\nx,{shop.photo('red-0')},p\ny,{shop.photo('red-1')},p\n")
    of_words = tmp_path / "words"
    of_words.mkdir()
    (of_words / "report.json").write_text('{"protocol": "words", "gallery": 1, "metrics": {"mrr": {}}}')
    (of_words / "queries.csv").write_text("query,category,mrr\nred,x,1\n")
    places = {
        "words": of_words,
        "table": shop.table,
        "gallery": shop.gallery,
        "nowhere": tmp_path / "nowhere",
        "other": other,
    }
    assert main(["evaluate", *(word.format(**places) for word in words)]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("error: ")
    assert shown.err.count("\n") == 1
    assert message in shown.err


def test_class_heads_are_asked_for_categories_and_attributes(tmp_path: Path, capsys: Capture) -> None:
    """An untrained network on a drawn benchmark: the figures follow from its own scores."""
    torch = pytest.importorskip("torch")
    from lookalike.catalogue import open_catalogue
    from lookalike.evaluation.classes import found_among_top, rank_of_class
    from lookalike.models.checkpoint import save_checkpoint
    from lookalike.models.class_scores import Classifier
    from lookalike.models.network import Network, NetworkSettings
    from lookalike.models.preprocessing import Preprocessing

    root = tmp_path / "attributes"
    assert main(["catalogue", "draw", "attributes", "--to", str(root), "--products", "14", "--photos", "2"]) == 0
    catalogue = open_catalogue(str(root))
    assert catalogue.benchmark is not None
    names = {
        "category": list(catalogue.benchmark.category_types),
        "attributes": list(catalogue.benchmark.attribute_types),
    }
    torch.manual_seed(0)
    network = Network(
        NetworkSettings(backbone="mobilenetv3_small_050", embedding=8),
        heads={head: len(classes) for head, classes in names.items()},
    )
    checkpoint = tmp_path / "heads.safetensors"
    save_checkpoint(checkpoint, network.eval(), preprocessing=Preprocessing(32, 32), name="heads", classes=names)

    found = evaluated(capsys, root, "--model", checkpoint)
    classifier = Classifier(checkpoint, device="cpu")
    items = [item for item in catalogue.items() if item.attributes["split"] == "test"]
    photos = [open_image(item.location, at_least=32, box=item.box) for item in items]
    scores = classifier.scores(photos, list(names))
    right = np.array([names["category"].index(str(item.attributes["category"])) for item in items])
    ranks = rank_of_class(scores["category"], right)
    has = np.array([[name in item.attributes.get("attributes", ()) for name in names["attributes"]] for item in items])
    assert (found["protocol"], found["queries"], found["gallery"]) == ("attributes", len(items), 0)
    metrics = {name: figure["value"] for name, figure in found["metrics"].items()}
    assert metrics["category_accuracy@3"] == pytest.approx((ranks <= 3).mean())
    expected = found_among_top(scores["attributes"], has, 5).sum() / has.sum()
    assert metrics["attribute_recall@5[all]"] == pytest.approx(expected)
    assert {name for name in metrics if name.startswith("attribute_recall@3[")} >= {"attribute_recall@3[texture]"}

    assert main(["evaluate", str(root), "--model", "default"]) == 2
    assert (
        "only a .safetensors checkpoint, or a .pth.tar of the original system, has class heads"
        in capsys.readouterr().err
    )
