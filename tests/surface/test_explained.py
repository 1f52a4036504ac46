"""Explained answers: the regions in which query and matches agree, through every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import COLORS, Shop, paint
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.errors import ModelError, PhotoError, UsageError
from lookalike.render.regions import DARKEST, marked, match_regions
from lookalike.render.thumbnails import item_thumbnail
from lookalike.retrieval import explanation
from lookalike.retrieval.explanation import Explainer, agreement
from lookalike.server.app import create_app
from lookalike.server.startup import open_context
from lookalike.types import Float32, Item

RED = paint(COLORS["Red"], 0)


@pytest.fixture
def opened(shop: Shop, mapped_model: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=mapped_model) as retriever:
        yield retriever


def cells(photo: Image.Image) -> Float32:
    """What the mapped model sees: the mean colour of each of 4 x 4 cells, from -2 to 2."""
    pixels = np.asarray(photo.resize((32, 32), Image.Resampling.BILINEAR), dtype=np.float32) / 255
    seen = (pixels - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)
    return seen.reshape(4, 8, 4, 8, 3).mean(axis=(1, 3)).astype(np.float32)


def test_each_match_says_where_it_and_the_query_agree(opened: lookalike.Retriever) -> None:
    answer = opened.search(RED, k=12, explain=True)
    assert len(answer.matches) == 12 and answer.took_ms["explain"] > 0
    for match in answer.matches:
        assert match.explanation is not None
        with Image.open(match.item.location) as photo:
            theirs = cells(photo.convert("RGB"))
        np.testing.assert_allclose(match.explanation.query.agreement, agreement(cells(RED), theirs), atol=1e-4)
        np.testing.assert_allclose(match.explanation.match.agreement, agreement(theirs, cells(RED)), atol=1e-4)
        assert match.explanation.match.area == (0, 0, 1, 1)
    plain = opened.search(RED, k=12)
    assert plain.matches == answer.matches and "explain" not in plain.took_ms
    assert all(match.explanation is None for match in plain.matches)


def test_the_part_that_was_looked_at_is_explained(
    shop: Shop, mapped_model: Path, street_photo: Path, tiny_finder: Path
) -> None:
    with lookalike.open(shop.gallery, model=mapped_model, finder=tiny_finder) as shop_:
        by_garment = shop_.search(street_photo, garment="top", k=3, explain=True)
        box = by_garment.query.part
        assert box is not None
        by_box = shop_.search(street_photo, box=box, k=3, explain=True)
        with Image.open(street_photo) as photo:
            cut = photo.crop((round(box.x1), round(box.y1), round(box.x2), round(box.y2)))
        alone = shop_.search(cut, garment="whole", k=3, explain=True)
    told = [[match.to_json()["explanation"] for match in answer.matches] for answer in (by_garment, by_box, alone)]
    assert told[0] == told[1] == told[2]


def test_photos_that_can_be_read_once_only_are_explained_too(opened: lookalike.Retriever) -> None:
    file = BytesIO()
    RED.save(file, "PNG")
    here = opened.search(RED, k=2, explain=True)
    for photo in (file.getvalue(), BytesIO(file.getvalue())):
        there = opened.search(photo, k=2, explain=True, garment="whole")
        assert [match.to_json() for match in there.matches] == [match.to_json() for match in here.matches]


def test_only_the_first_matches_and_readable_photos_are_explained(
    mapped_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(explanation, "MOST", 3)
    folder = tmp_path / "photos"
    folder.mkdir()
    for color, rgb in COLORS.items():
        paint(rgb, 0).save(folder / f"{color}.png")
    with lookalike.open(tmp_path / "new.gallery", model=mapped_model) as new:
        new.index(folder)
        (folder / "Red.png").unlink()
        answer = new.search(RED, k=4, explain=True)
        told = {match.item.id: match.explanation is not None for match in answer.matches}
        assert [*told.values()] == [False, True, True, False]
        assert "explanation" not in answer.matches[0].to_json()
        RED.save(tmp_path / "q.png")
        command = ["search", str(tmp_path / "q.png"), "-g", str(tmp_path / "new.gallery"), "-k", "4", "--json"]
        assert main([*command, "--explain", "--model", str(mapped_model)]) == 0
        assert "not explained, since their photos cannot be read: 1 of the matches" in capsys.readouterr().err
        with pytest.raises(PhotoError, match=r"Red\.png"):
            new.search(item="Red.png", explain=True)


def test_what_cannot_be_explained_says_why(shop: Shop, opened: lookalike.Retriever) -> None:
    for several in ({"photo": [RED, RED]}, {"photo": RED, "item": "red-0"}, {"item": "red-0", "unlike_item": "blue-0"}):
        with pytest.raises(UsageError, match="with one photo or item"):
            opened.search(**several, explain=True)
    with lookalike.open(shop.gallery) as without, pytest.raises(ModelError, match="gives no feature map"):
        without.search(RED, explain=True)


def test_photos_elsewhere_are_not_read_where_that_is_forbidden(opened: lookalike.Retriever) -> None:
    item = Item("far", "https://cdn.example/1.jpg")
    read: list[Item] = []
    near = Explainer(opened.embedder, lambda item: read.append(item) or RED, limits=None, remote=False)
    far = Explainer(opened.embedder, lambda item: read.append(item) or RED, limits=None, remote=True)
    match = lookalike.Match(1, item, 0.9, {})
    query = opened.embedder.map_of(RED)
    assert near.explained([match], query)[0].explanation is None and not read
    assert far.explained([match], query)[0].explanation is not None and read == [item]


def test_every_door_explains_alike(
    opened: lookalike.Retriever,
    shop: Shop,
    mapped_model: Path,
    context: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    RED.save(tmp_path / "q.png")
    here = json.loads(json.dumps(opened.search(tmp_path / "q.png", k=4, explain=True).to_json()))
    options = ["-g", str(shop.gallery), "--model", str(mapped_model), "--explain", "-k", "4"]
    assert main(["search", str(tmp_path / "q.png"), *options, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served_by = open_context(str(shop.gallery), settings=context.settings, model=str(mapped_model))
    with TestClient(create_app(served_by)) as client:
        photo = {"photo": ("q.png", (tmp_path / "q.png").read_bytes())}
        served = client.post("/v1/search", files=photo, data={"explain": "true", "k": "4"}).json()
        by_item = client.post("/v1/search", json={"id": "red-0", "explain": True, "k": 4}).json()
        refused = client.post("/v1/search", json={"id": ["red-0", "red-1"], "explain": True})
    told = [[match["explanation"] for match in answer["matches"]] for answer in (here, there, served)]
    assert told[0] == told[1] == told[2] and len(told[0]) == 4
    assert np.shape(told[0][0]["query"]["agreement"]) == (4, 4)
    item_here = json.loads(json.dumps(opened.search(item="red-0", k=4, explain=True).to_json()))
    assert [match["explanation"] for match in by_item["matches"]] == [
        match["explanation"] for match in item_here["matches"]
    ]
    assert refused.status_code == 400 and "with one photo or item" in refused.json()["error"]["message"]


def test_pictures_are_marked_and_without_one_the_command_asks_for_one(
    shop: Shop, mapped_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RED.save(tmp_path / "q.png")
    search = ["search", str(tmp_path / "q.png"), "-g", str(shop.gallery), "--model", str(mapped_model), "-k", "2"]
    assert main([*search, "--explain"]) == 2
    assert "add --montage FILE.png, --html FILE.html or --json" in capsys.readouterr().err
    assert main([*search, "--montage", str(tmp_path / "plain.png"), "--html", str(tmp_path / "plain.html")]) == 0
    marks = ["--explain", "--montage", str(tmp_path / "marked.png"), "--html", str(tmp_path / "marked.html")]
    assert main([*search, *marks]) == 0
    plain, marked = (np.asarray(Image.open(tmp_path / f"{name}.png"), dtype=int) for name in ("plain", "marked"))
    assert plain.shape == marked.shape
    darker = (plain - marked).max(axis=2)
    assert darker[28:, 28:244].max() > 60 and darker[28:, 284:500].max() > 60  # query and first match
    pages = [(tmp_path / f"{name}.html").read_text() for name in ("plain", "marked")]
    assert ["brighter: agrees more" in page for page in pages] == [False, True]


def test_the_box_of_an_item_is_explained_and_marked(mapped_model: Path, tmp_path: Path) -> None:
    wide = Image.new("RGB", (144, 60), "white")
    wide.paste(RED, (96, 0))
    wide.save(tmp_path / "wide.png")
    (tmp_path / "boxed.csv").write_text('id,image,box\nboxed,wide.png,"96,0,144,60"\n')
    with lookalike.open(tmp_path / "boxed.gallery", model=mapped_model) as boxed:
        boxed.index(tmp_path / "boxed.csv")
        answer = boxed.search(RED, explain=True, garment="whole")
    (match,) = answer.matches
    assert match.explanation is not None and match.part == lookalike.Box(96, 0, 144, 60)
    np.testing.assert_array_equal(match.explanation.match.agreement, match.explanation.query.agreement)
    np.testing.assert_allclose(match.explanation.match.agreement, agreement(cells(RED), cells(RED)), atol=1e-4)
    shown = marked(item_thumbnail(match.item, match.part, size=(144, 60)), match_regions(match)).image
    assert shown is not None
    bright = np.asarray(shown, dtype=int).max(axis=2)
    assert bright[:, :94].max() <= 255 * DARKEST + 2 < bright[:, 98:].max() - 60  # the white beside the box is dark
