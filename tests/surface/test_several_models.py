"""Several models in one gallery: spaces, learned weights, PCA projections and refinements."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_shop import COLORS, Shop, paint

import lookalike
from lookalike.cli import main
from lookalike.gallery.request import SearchRequest

Capture = pytest.CaptureFixture[str]


def run_json(capsys: Capture, *arguments: object) -> Any:
    """Run a command that must succeed, and read what it printed."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys: Capture, *arguments: object) -> str:
    """Run a command that must be refused, and read why."""
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 2
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    return shown.err


@pytest.fixture
def both(shop: Shop, tmp_path: Path) -> Path:
    """A gallery of the shop filled by both models."""
    gallery = tmp_path / "both.gallery"
    models = ["--model", str(shop.model), "--model", str(shop.other_model)]
    assert main(["index", str(shop.table), "-g", str(gallery), *models]) == 0
    return gallery


@pytest.fixture(scope="module")
def large_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eighty photos of four colours, with a label that only colour tells."""
    folder = tmp_path_factory.mktemp("large")
    dice = random.Random(0)
    with (folder / "large.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "product", "colour"])
        for at in range(80):
            name, rgb = dice.choice(list(COLORS.items()))
            shade = tuple(min(255, max(0, part + dice.randint(-25, 25))) for part in rgb)
            paint(shade, at % 5).save(folder / f"{at}.png")  # type: ignore[arg-type]  # three numbers
            writer.writerow([f"i{at}", f"{at}.png", f"p{at}", name])
    return folder / "large.csv"


def test_each_model_has_a_space_and_the_score_is_their_weighted_mean(shop: Shop, both: Path, capsys: Capture) -> None:
    answer = run_json(capsys, "search", shop.photo("red-1"), "-g", both, "-k", 12, "--weight", "deep-tiny=1",
                      "--weight", "deep-o=0.5")  # fmt: skip
    assert answer["query"]["model"] == "other@fedcba98+tiny@01234567"
    assert answer["query"]["weights"] == {"deep-other": 0.5, "deep-tiny": 1.0, "color": 0.0}
    alone = run_json(capsys, "search", shop.photo("red-1"), "-g", shop.gallery, "-k", 12, "--weight", "deep=1")
    by_tiny = {match["id"]: match["score"] for match in alone["matches"]}
    for match in answer["matches"]:
        assert match["scores"]["deep-tiny"] == pytest.approx(by_tiny[match["id"]], abs=1e-5)
        expected = (match["scores"]["deep-tiny"] + 0.5 * match["scores"]["deep-other"]) / 1.5
        assert match["score"] == pytest.approx(expected, abs=1e-5)


def test_the_order_in_which_models_are_given_does_not_matter(shop: Shop, both: Path, capsys: Capture) -> None:
    turned = ["--model", shop.other_model, "--model", shop.model]
    assert run_json(capsys, "index", shop.table, "-g", both, *turned)["unchanged"] == 12
    ask = ["search", shop.photo("blue-2"), "-g", both]
    assert run_json(capsys, *ask, *turned)["matches"] == run_json(capsys, *ask)["matches"]


def test_other_models_are_refused_and_told_what_the_gallery_holds(shop: Shop, both: Path, capsys: Capture) -> None:
    held = "filled by the models other@fedcba98 and tiny@01234567"
    for command in (["search", shop.photo("red-0")], ["index", shop.table]):
        assert held in refused(capsys, *command, "-g", both, "--model", shop.model)
        both_given = ["--model", shop.model, "--model", shop.other_model]
        assert "filled by the model tiny@01234567, and these are" in refused(
            capsys, *command, "-g", shop.gallery, *both_given
        )
    twice = ["--model", shop.model, "--model", shop.model]
    assert "tiny@01234567 is given twice" in refused(capsys, "search", shop.photo("red-0"), "-g", both, *twice)
    assert "unknown space 'deep'" in refused(capsys, "search", shop.photo("red-0"), "-g", both, "--weight", "deep=1")


def test_learned_weights_are_those_of_searches_until_they_are_forgotten(
    shop: Shop, large_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    gallery = tmp_path / "large.gallery"
    models = ["--model", shop.model, "--model", shop.other_model]
    assert main(["index", *map(str, [large_table, "-g", gallery, *models])]) == 0
    learned = run_json(capsys, "fuse", large_table, "-g", gallery, "--grades", "colour", "--keep", "always")
    assert learned["kept"]
    assert learned["learned_on"] + learned["judged_by"] == 80
    assert learned["after"]["value"] >= learned["before"]["value"] - 0.05
    ask = ["search", shop.photo("red-1"), "-g", gallery, "-k", 2]
    assert run_json(capsys, *ask)["query"]["weights"] == learned["after"]["weights"]
    info = run_json(capsys, "gallery", "info", "-g", gallery)
    assert info["weights"] == learned["after"]["weights"]
    assert info["weights_learned"]["protocol"] == "grades=colour"
    given = run_json(capsys, *ask, "--weight", "color=1")["query"]["weights"]
    assert given == {"deep-other": 0.0, "deep-tiny": 0.0, "color": 1.0}
    assert main(["fuse", "-g", str(gallery), "--reset"]) == 0
    assert run_json(capsys, *ask)["query"]["weights"] == {"deep-other": 1.0, "deep-tiny": 1.0, "color": 0.1}


def test_weights_are_not_kept_without_a_certain_gain(
    shop: Shop, large_table: Path, tmp_path: Path, capsys: Capture
) -> None:
    gallery = tmp_path / "large.gallery"
    assert main(["index", str(large_table), "-g", str(gallery), "--model", str(shop.model)]) == 0
    # Photos that the gallery was not filled from are described now; a label that means nothing teaches nothing.
    noise = tmp_path / "noise.csv"
    rows = list(csv.DictReader(large_table.read_text().splitlines()))
    with noise.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image", "mood"])
        for at, row in enumerate(rows[:40]):
            writer.writerow([row["id"], large_table.parent / row["image"], random.Random(at).choice("ab")])
    learned = run_json(capsys, "fuse", noise, "-g", gallery, "--grades", "mood")
    assert not learned["kept"]
    assert "weights_learned" not in run_json(capsys, "gallery", "info", "-g", gallery)


def test_what_fuse_cannot_do_is_one_line(shop: Shop, capsys: Capture) -> None:
    fuse = ["fuse", shop.table, "-g", shop.gallery, "--model", shop.model]
    assert "either --grades" in refused(capsys, *fuse)
    assert "unknown attribute 'color'" in refused(capsys, *fuse, "--grades", "color")
    assert "unknown metric" in refused(capsys, *fuse, "--grades", "colour", "--metric", "ndgc@10")
    assert "unknown value of --keep" in refused(capsys, *fuse, "--grades", "colour", "--keep", "maybe")
    assert "name a SOURCE" in refused(capsys, "fuse", "-g", shop.gallery)


def test_shorter_rows_are_asked_and_filled_like_whole_ones(
    shop: Shop, both: Path, tmp_path: Path, capsys: Capture
) -> None:
    small = tmp_path / "small.gallery"
    made = run_json(capsys, "reduce", "-g", both, "--to", small, "--dimension", "deep-tiny=5")
    assert made["items"] == 12
    assert made["floats"][0] - made["floats"][1] == 16 - 5
    assert 0.5 < made["kept_of_ten"] <= 1
    assert run_json(capsys, "index", shop.table, "-g", small)["unchanged"] == 12
    with lookalike.open(small) as opened:
        answer = opened.search(shop.photo("green-0"), k=1)
        assert answer.matches[0].item.id == "green-0"
        assert answer.matches[0].score == pytest.approx(1.0, abs=1e-5)
        projected = opened.gallery.vectors("green-0")["deep-tiny"]
        with lookalike.open(both) as whole:
            expected = opened.gallery.projections["deep-tiny"].apply(whole.gallery.vectors("green-0")["deep-tiny"])
    rounding = np.abs(expected).max() / 65534  # of vectors in a gallery, see lookalike.index.row_format
    np.testing.assert_allclose(projected, expected, rtol=0, atol=rounding + 1e-6)


def test_what_cannot_be_reduced_is_one_line_and_leaves_nothing(
    shop: Shop, both: Path, tmp_path: Path, capsys: Capture
) -> None:
    small = tmp_path / "small.gallery"
    reduce = ["reduce", "-g", both, "--to", small, "--dimension"]
    assert "need more than 17 rows" in refused(capsys, *reduce, "deep-tiny=17")
    assert "unknown space" in refused(capsys, *reduce, "deep=4")
    assert "whole number" in refused(capsys, *reduce, "deep-tiny=4.5")
    assert not small.exists()
    assert "there is already a gallery at" in refused(
        capsys, "reduce", "-g", both, "--to", shop.gallery, "--dimension", "c=3"
    )


def test_an_augmented_copy_holds_items_with_their_neighbours_added(shop: Shop, tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "augmented.gallery"
    assert run_json(capsys, "augment", "-g", shop.gallery, "--to", copy, "-n", 3) == {"items": 12, "neighbours": 3}
    with lookalike.open(shop.gallery) as opened, lookalike.open(copy) as made:
        plain = opened.gallery.vectors("red-1")
        others = opened.search(item="red-1", k=3).matches
        assert len(others) == 3
        for name, row in plain.items():
            summed = row[0] + sum(
                max(match.score, 0.0) ** 3 * opened.gallery.vectors(match.item.id)[name][0] for match in others
            )
            np.testing.assert_allclose(
                made.gallery.vectors("red-1")[name][0], summed / np.linalg.norm(summed), atol=1e-5
            )
    assert run_json(capsys, "index", shop.table, "-g", copy, "--model", shop.model)["unchanged"] == 12
    assert "1 to 100 neighbours" in refused(capsys, "augment", "-g", shop.gallery, "--to", tmp_path / "x", "-n", 0)
    assert "there is already a gallery at" in refused(capsys, "augment", "-g", shop.gallery, "--to", copy)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("options", [{"expand": 2}, {"rerank": 8}, {"expand": 3, "rerank": 12}])
def test_a_second_look_changes_the_order_and_no_score(shop: Shop, options: dict[str, int], capsys: Capture) -> None:
    arguments = [part for name, number in options.items() for part in (f"--{name}", number)]
    ask = ["search", shop.photo("red-1"), "-g", shop.gallery, "-k", 12, "--model", shop.model]
    plain, refined = run_json(capsys, *ask), run_json(capsys, *ask, *arguments)
    assert {name: refined["query"][name] for name in options} == options
    scores = {match["id"]: match["score"] for match in plain["matches"]}
    assert {match["id"]: match["score"] for match in refined["matches"]} == pytest.approx(scores, abs=1e-5)
    decided = [match["refined"] for match in refined["matches"]]
    assert decided == sorted(decided, reverse=True)
    assert "refined" not in plain["matches"][0]
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        here = json.loads(json.dumps(opened.search(shop.photo("red-1"), k=12, **options).to_json()))
    assert here["matches"] == refined["matches"]


def test_an_item_is_no_neighbour_of_itself(shop: Shop) -> None:
    with lookalike.open(shop.gallery) as opened:
        vectors = opened.gallery.vectors("red-1")
        weights = {"deep": 1.0, "color": 0.0}
        found = opened.gallery.search(vectors, SearchRequest(k=2, weights=weights))
        neighbour = opened.gallery.unit_vectors(found.rows[0].tolist())["deep"][1]
        summed = vectors["deep"][0] + float(found.scores[0, 1]) ** 3 * neighbour
        expected = opened.gallery.search(
            {"deep": summed[None] / np.linalg.norm(summed)}, SearchRequest(k=12, weights=weights)
        )
        refined = opened.search(item="red-1", k=11, weights={"deep": 1}, expand=1)
        ids = [opened.gallery.items([row])[row].id for row in expected.rows[0].tolist()]
    assert [match.item.id for match in refined.matches] == [item for item in ids if item != "red-1"]


def test_the_copy_of_a_photo_stays_first_when_its_neighbours_are_added(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        answer = opened.search(shop.photo("red-1"), k=3, expand=2)
    assert answer.matches[0].item.id == "red-1"


def test_second_looks_that_make_no_sense_are_one_line(shop: Shop, capsys: Capture) -> None:
    ask = ["search", "--item", "red-1", "-g", shop.gallery]
    assert "expand must be between 0 and 1,000" in refused(capsys, *ask, "--expand", "-1")
    assert "leave the metrics out" in refused(capsys, *ask, "--rerank", "5", "--metric", "deep=cityblock")
