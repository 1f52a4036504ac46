"""What the query photo shows, through every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.models.preprocessing import Preprocessing
from lookalike.server.app import create_app
from lookalike.server.startup import open_context
from lookalike.types import Box
from tiny_model import LABEL_BIAS, LABEL_WEIGHTS, TINY_LABELS

GREY = Image.new("RGB", (60, 48), (128, 128, 128))


@pytest.fixture
def opened(shop: Shop, labelled_model: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=labelled_model) as retriever:
        yield retriever


def expected(photo: Image.Image) -> dict[str, list[tuple[str, float]]]:
    """Softmax of each head, sorted, without `nothing`, the first three."""
    logits = Preprocessing(32, 32)(photo).mean(axis=(1, 2)) @ LABEL_WEIGHTS + LABEL_BIAS
    shown = {}
    for head, part in {"kind": logits[:4], "gender": logits[4:]}.items():
        powers = np.exp(part) / np.exp(part).sum()
        named = {name: float(power) for name, power in zip(TINY_LABELS[head], powers, strict=True) if name != "nothing"}
        shown[head] = sorted(named.items(), key=lambda each: -each[1])[:3]
    return shown


def test_the_labels_are_the_most_probable_classes(opened: lookalike.Retriever, shop: Shop) -> None:
    photo = Image.open(shop.photo("red-0"))
    answer = opened.search(photo)
    assert answer.labels is not None and answer.query.no_garment is not None
    assert [name for name, _ in answer.labels["kind"]] == ["dress", "top", "skirt"]
    for head, shown in expected(photo).items():
        assert [name for name, _ in answer.labels[head]] == [name for name, _ in shown]
        for (_, ours), (_, theirs) in zip(answer.labels[head], shown, strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
    kinds = sum(probability for _, probability in answer.labels["kind"])
    assert kinds + answer.query.no_garment == pytest.approx(1.0, abs=4e-4)


def test_labels_are_those_of_the_part_that_is_looked_at(opened: lookalike.Retriever, shop: Shop) -> None:
    photo = Image.new("RGB", (60, 48), (200, 30, 40))
    photo.paste((40, 60, 190), (30, 0, 60, 48))
    assert opened.search(photo, box=Box(0, 0, 30, 48)).to_json()["query"]["labels"]["kind"][0][0] == "dress"
    assert opened.search(photo, box=Box(30, 0, 60, 48)).to_json()["query"]["labels"]["kind"][0][0] == "top"


def test_a_photo_without_a_garment_has_no_labels(opened: lookalike.Retriever) -> None:
    answer = opened.search(GREY).to_json()
    assert answer["query"]["labels"] == {"kind": [], "gender": []}
    assert answer["query"]["no_garment"] == pytest.approx(0.71, abs=0.03)
    assert len(answer["matches"]) == 10


def test_without_heads_or_a_single_photo_there_are_no_labels(opened: lookalike.Retriever, shop: Shop) -> None:
    photo = shop.photo("red-0")
    with lookalike.open(shop.gallery, model=str(shop.model)) as plain:
        bare = plain.search(photo)
    for answer in (
        bare,
        opened.search(item="red-0"),
        opened.search([photo, photo]),
        opened.search(photo, item="red-1"),
    ):
        assert answer.labels is None and not {"labels", "no_garment"} & answer.to_json()["query"].keys()
    assert bare.matches == opened.search(photo).matches


@pytest.mark.parametrize("name", ["red-0", "blue-1", "grey"])
def test_every_door_gives_the_same_labels(
    opened: lookalike.Retriever,
    shop: Shop,
    labelled_model: Path,
    context: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    GREY.save(tmp_path / "grey.png")
    photo = tmp_path / "grey.png" if name == "grey" else shop.photo(name)
    here = json.loads(json.dumps(opened.search(photo).to_json()))["query"]
    assert main(["search", str(photo), "-g", str(shop.gallery), "--model", str(labelled_model), "--json"]) == 0
    there = json.loads(capsys.readouterr().out)["query"]
    labelled = open_context(str(shop.gallery), settings=context.settings, model=str(labelled_model))
    with TestClient(create_app(labelled)) as client:
        served = client.post("/v1/search", files={"photo": (str(photo), photo.read_bytes())}).json()["query"]
    del served["id"]  # which only a server gives
    here["photo"] = there["photo"] = served["photo"]
    assert here == there == served
    assert {"labels", "no_garment"} <= here.keys()


def test_the_command_says_what_the_photo_shows(
    shop: Shop, labelled_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    GREY.save(tmp_path / "grey.png")
    page = tmp_path / "page.html"
    options = ["-g", str(shop.gallery), "--model", str(labelled_model), "--html", str(page)]
    for photo, shows in ((shop.photo("red-0"), "dress ."), (tmp_path / "grey.png", "no garment .69")):
        assert main(["search", str(photo), *options]) == 0
        assert f"\nshows: {shows}" in capsys.readouterr().err
        assert f"<dt>Shows</dt><dd>{shows}" in page.read_text(encoding="utf-8")


def test_a_notebook_shows_the_labels(opened: lookalike.Retriever, shop: Shop) -> None:
    assert "(shows dress ." in opened.search(shop.photo("red-0"))._repr_html_()
    assert "shows" not in opened.search(item="red-0")._repr_html_()
