"""Relevance of matches, and the least that is asked for, through every door."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.embedding.calibration import Calibration, RelevanceCurve
from lookalike.errors import UsageError
from lookalike.server.app import create_app
from lookalike.server.startup import open_context
from lookalike.tuning.calibration import write_calibration

PHOTO = RelevanceCurve(12.0, -12.0, {"kind": 0.5, "nothing": -2.0})
ITEM = RelevanceCurve(9.0, -6.0)
GREY = Image.new("RGB", (60, 48), (128, 128, 128))


@pytest.fixture(scope="session")
def calibrated_model(labelled_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with labels and a calibration."""
    file = tmp_path_factory.mktemp("model") / "calibrated.onnx"
    write_calibration(labelled_model, Calibration(PHOTO, ITEM, {"kind": 0.8}), file)
    return file


@pytest.fixture
def opened(shop: Shop, calibrated_model: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=calibrated_model) as retriever:
        yield retriever


def logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def odds(probability: float) -> float:
    return math.log(probability / (1 - probability))


def test_a_relevance_is_the_curve_at_the_cosine_of_the_match(opened: lookalike.Retriever, shop: Shop) -> None:
    answer = opened.search(shop.photo("red-0"), k=12, weights={"deep": 1, "color": 0.4})
    assert answer.labels is not None and answer.query.no_garment is not None
    kind, nothing = answer.labels["kind"][0][1], answer.query.no_garment
    assert len(answer.matches) == 12
    for match in answer.matches:
        expected = logistic(12 * match.scores["deep"] + 0.5 * odds(kind) - 2 * odds(nothing) - 12)
        assert match.relevance == pytest.approx(expected, abs=3e-4)
        assert match.to_json()["relevance"] == match.relevance
    assert len({match.relevance for match in answer.matches}) > 3


def test_a_photo_without_a_garment_has_low_relevances(opened: lookalike.Retriever, shop: Shop) -> None:
    grey, red = opened.search(GREY), opened.search(shop.photo("red-0"))
    least = max(match.relevance for match in grey.matches if match.relevance is not None) + 0.001
    assert least < 0.01
    assert red.matches[0].relevance is not None and red.matches[0].relevance > 0.05
    refused = opened.search(GREY, min_relevance=least)
    assert refused.matches == [] and refused.no_good_match
    assert refused.to_json()["no_good_match"] is True and refused.to_json()["query"]["min_relevance"] == least


def test_an_item_has_relevances_without_loading_the_model(opened: lookalike.Retriever) -> None:
    answer = opened.search(item="red-1", k=11)
    assert "embedder" not in vars(opened)
    for match in answer.matches:
        assert match.relevance == pytest.approx(logistic(9 * match.scores["deep"] - 6), abs=1e-4)
    good = opened.search(item="red-1", k=11, min_relevance=0.8)
    assert [match.item.id for match in good.matches] == [
        match.item.id for match in answer.matches if match.relevance is not None and match.relevance >= 0.8
    ]
    assert 0 < len(good.matches) < 11 and not good.no_good_match
    opened.search(GREY)  # loads it
    assert opened.search(item="red-1", k=11).matches == answer.matches


@pytest.mark.parametrize("refine", [{}, {"expand": 2, "rerank": 6}])
def test_pages_are_cut_from_the_matches_that_are_left(
    opened: lookalike.Retriever, shop: Shop, refine: dict[str, int]
) -> None:
    photo, weights = shop.photo("blue-1"), {"deep": 0.3, "color": 1.0}  # so that the order is not that of the relevance
    everything = opened.search(photo, k=12, offset=0, weights=weights, **refine).matches
    values = [match.relevance for match in everything if match.relevance is not None]
    assert values != sorted(values, reverse=True)
    least = sorted(values)[5]
    expected = [match.item.id for match in everything if match.relevance is not None and match.relevance >= least]
    assert len(expected) == 7
    options: dict[str, Any] = {"weights": weights, "min_relevance": least, **refine}
    whole = opened.search(photo, k=12, **options)
    assert [match.item.id for match in whole.matches] == expected
    assert [match.rank for match in whole.matches] == [*range(1, 8)]
    for k in (1, 3):
        first = opened.search(photo, k=k, **options)
        assert [match.item.id for match in first.matches] == expected[:k]
    pages = [opened.search(photo, k=3, offset=offset, **options) for offset in (0, 3, 6, 9)]
    assert [match.item.id for page in pages for match in page.matches] == expected
    assert [match.rank for page in pages for match in page.matches] == [*range(1, 8)]
    assert not any(page.no_good_match for page in pages)
    assert pages[-1].matches == []


def test_an_empty_filter_is_no_good_match_only_if_there_are_items(opened: lookalike.Retriever, shop: Shop) -> None:
    none = opened.search(shop.photo("red-0"), where="price < 0", min_relevance=0.1)
    assert (none.matches, none.no_good_match) == ([], False)
    alone = opened.search(item="red-1", where="price < 0", min_relevance=1.0)
    assert (alone.matches, alone.no_good_match) == ([], False)
    assert opened.search(item="red-1", min_relevance=1.0).no_good_match


def test_where_there_is_no_relevance(opened: lookalike.Retriever, shop: Shop) -> None:
    photo = shop.photo("red-0")
    for answer in (
        opened.search(photo, weights={"color": 1}),
        opened.search(photo, metrics={"deep": "cityblock"}),
        opened.search([photo, photo]),
        opened.search(photo, unlike_item="red-1"),
    ):
        assert all(match.relevance is None and "relevance" not in match.to_json() for match in answer.matches)
        assert "no_good_match" not in answer.to_json()
    with pytest.raises(UsageError, match="goes by the cosine of deep"):
        opened.search(photo, weights={"color": 1}, min_relevance=0.5)
    with pytest.raises(UsageError, match="goes by the cosine of deep"):
        opened.search(photo, metrics={"deep": "cityblock"}, min_relevance=0.5)
    for examples in ({"photo": [photo, photo]}, {"item": ["red-1", "red-2"]}):
        with pytest.raises(UsageError, match="a query of one photo or item"):
            opened.search(**examples, min_relevance=0.5)
    for wrong in (1.5, -0.1, float("nan"), "high", True):
        with pytest.raises(UsageError, match="min_relevance must be a number from 0 to 1"):
            opened.search(photo, min_relevance=wrong)  # type: ignore[arg-type]


def test_models_without_a_calibration_have_no_relevance(
    shop: Shop, labelled_model: Path, calibrated_model: Path, tmp_path: Path
) -> None:
    with lookalike.open(shop.gallery, model=labelled_model) as plain:
        for answer in (plain.search(shop.photo("red-0")), plain.search(item="red-0")):
            assert all(match.relevance is None for match in answer.matches)
        with pytest.raises(UsageError, match="needs a calibrated model"):
            plain.search(shop.photo("red-0"), min_relevance=0.5)
    with lookalike.open(shop.gallery, model=tmp_path / "gone.onnx") as gone:  # an item needs no model
        assert all(match.relevance is None for match in gone.search(item="red-0").matches)


def test_projected_vectors_have_other_cosines_and_so_no_relevance(
    shop: Shop, calibrated_model: Path, tmp_path: Path
) -> None:
    lookalike.reduce(shop.gallery, tmp_path / "small.gallery", dimensions={"deep": 4})
    with lookalike.open(tmp_path / "small.gallery", model=calibrated_model) as small:
        for answer in (small.search(item="red-0"), small.search(shop.photo("red-0"))):
            assert answer.matches and all(match.relevance is None for match in answer.matches)


@pytest.mark.parametrize("least", [None, "0.05", "0.9999"])
def test_every_door_gives_the_same_relevances(
    opened: lookalike.Retriever,
    shop: Shop,
    calibrated_model: Path,
    context: Any,
    capsys: pytest.CaptureFixture[str],
    least: str | None,
) -> None:
    photo = shop.photo("red-0")
    here = opened.search(photo, k=4, min_relevance=None if least is None else float(least)).to_json()
    options = ["-g", str(shop.gallery), "--model", str(calibrated_model), "-k", "4"]
    options += [] if least is None else ["--min-relevance", least]
    assert main(["search", str(photo), *options, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served_by = open_context(str(shop.gallery), settings=context.settings, model=str(calibrated_model))
    data = {"k": "4"} if least is None else {"k": "4", "min_relevance": least}
    with TestClient(create_app(served_by)) as client:
        served = client.post("/v1/search", files={"photo": ("q.png", photo.read_bytes())}, data=data).json()
        by_item = client.post("/v1/search", json={"id": "red-1", "min_relevance": 0.5}).json()
        wrong = client.post("/v1/search", json={"id": "red-1", "min_relevance": 1.5})
    for answer in (here, there, served):
        del answer["took_ms"], answer["query"]["photo"]
        answer["query"].pop("id", None)  # of HTTP, another each time
        for match in answer["matches"]:
            del match["photo"]
    here = json.loads(json.dumps(here))
    assert here == there == served
    assert here.get("no_good_match") == {None: None, "0.05": False, "0.9999": True}[least]
    assert [match["relevance"] for match in by_item["matches"]]
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (422, "invalid")


def test_the_command_says_calmly_that_nothing_is_good(
    shop: Shop, calibrated_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GREY.save(tmp_path / "grey.png")
    page = tmp_path / "page.html"
    options = ["-g", str(shop.gallery), "--model", str(calibrated_model), "--html", str(page)]
    assert main(["search", str(shop.photo("red-0")), *options]) == 0
    output = capsys.readouterr().out
    assert "relevance" in output.splitlines()[0]
    for photo, why in (
        (shop.photo("red-0"), "no item is of the same kind with a probability of 1 or more; try a lower"),
        (tmp_path / "grey.png", "the photo seems to show no garment; try another one"),
    ):
        assert main(["search", str(photo), *options, "--min-relevance", "1"]) == 0
        assert f"no good match: {why}" in capsys.readouterr().err
        assert f"No good match: {why}" in page.read_text(encoding="utf-8")
