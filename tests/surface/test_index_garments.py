"""Catalogues of photos of people: each garment is searchable, and the answer is the outfit."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.answers import Answer, Match
from lookalike.cli import main
from lookalike.finding import catalogue_finder
from lookalike.finding import finder as finder_module
from lookalike.finding.prominence import prominence
from lookalike.render.html import html_page
from lookalike.render.montage import montage
from lookalike.render.notebook import notebook_html
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.types import Box
from tiny_finder import FOUND, write_tiny_finder

INK = {"top": (220, 10, 10), "skirt": (10, 220, 10), "trousers": (10, 10, 220)}
OUTFITS = {
    "red on blue": ("top", "trousers"),
    "red on green": ("top", "skirt"),
    "green on blue": ("skirt", "trousers"),
    "blue": ("trousers",),
    "nothing": (),
}


def dressed(*kinds: str, seed: int = 0) -> Image.Image:
    """A photo of somebody in garments, one below the other, on white."""
    pixels = np.full((300, 200, 3), 255, dtype=np.uint8)
    noise = np.random.default_rng(seed).integers(0, 8, size=(80, 120, 3), dtype=np.uint8)
    for top, kind in zip((10, 210), kinds, strict=False):
        pixels[top : top + 80, 20:140] = np.array(INK[kind], dtype=np.uint8) ^ noise
    return Image.fromarray(pixels)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    photos = tmp_path / "outfits"
    photos.mkdir()
    for number, (name, kinds) in enumerate(OUTFITS.items()):
        dressed(*kinds, seed=number).save(photos / f"{name}.png")
    return photos


@pytest.fixture
def opened(tmp_path: Path, shop: Shop, tiny_finder: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(tmp_path / "outfits.gallery", model=str(shop.model), finder=tiny_finder) as retriever:
        yield retriever


def counts(report: Any) -> dict[str, int]:
    told = report if isinstance(report, dict) else report.to_json()
    names = ("added", "updated", "unchanged", "removed", "embedded", "reused", "garments")
    return {name: told[name] for name in names if told.get(name)}


def described(match: Match) -> tuple[str, str | None]:
    return match.item.id, None if match.garment is None else match.garment.kind


def test_a_garment_finds_the_outfit_once_with_its_box_and_kind(
    opened: lookalike.Retriever, folder: Path, tiny_finder: Path
) -> None:
    assert counts(opened.index(folder, garments=True)) == {"added": 5, "embedded": 5, "garments": 7}
    skirt = dressed("skirt", seed=9)
    answer = opened.search(skirt, garment="skirt")
    assert len(answer.matches) == len(OUTFITS) == len({match.item.id for match in answer.matches})
    assert {described(match) for match in answer.matches[:2]} == {
        ("red on green.png", "skirt"),
        ("green on blue.png", "skirt"),
    }
    for match in answer.matches:
        found = lookalike.find_garments(folder / match.item.id, finder=tiny_finder)
        assert set(match.item.garments) == set(found)
        assert match.garment in found if found else match.garment is None
        if match.garment:
            again = opened.search(folder / match.item.id, box=match.garment.box, k=1)  # embedded as a query's box is
            assert again.matches[0].score == pytest.approx(1, abs=1e-5) and again.matches[0].garment == match.garment
        else:
            assert opened.search(folder / match.item.id, k=1).matches[0].score == pytest.approx(1, abs=1e-5)
    by_prominence = opened.gallery.get("red on blue.png").garments
    assert [*by_prominence] == sorted(by_prominence, key=prominence, reverse=True) and len(by_prominence) == 2


def test_the_catalogues_own_facts_stay(opened: lookalike.Retriever, folder: Path) -> None:
    table = folder / "outfits.csv"
    rows = [["id", "image", "product", "box", "season"], ["a", "red on blue.png", "p1", "", "Winter"]]
    rows += [["b", "red on blue.png", "p2", "4,4,90,90", "Summer"], ["c", "nothing.png", "", "", "Summer"]]
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert counts(opened.index(table, garments=True)) == {"added": 3, "embedded": 3, "garments": 2}
    items = {item.id: item for item in opened.gallery.list()[1]}
    assert [(items[name].product, items[name].attributes, items[name].box) for name in "abc"] == [
        ("p1", {"season": "Winter"}, None),
        ("p2", {"season": "Summer"}, Box(4, 4, 90, 90)),  # its box is its garment already
        (None, {"season": "Summer"}, None),
    ]
    assert [len(items[name].garments) for name in "abc"] == [2, 0, 0]
    assert [items[name].finder is None for name in "abc"] == [False, True, False]
    assert counts(opened.index(table, garments=True)) == {"unchanged": 3}
    assert counts(opened.index(table, garments=True, boxes=False)) == {
        "updated": 1,
        "unchanged": 2,
        "reused": 1,  # the garments of the same photo, as of `a`
    }
    assert len(opened.gallery.get("b").garments) == 2
    assert opened.gallery.get("b").box is None and len(opened.gallery.get("b").garments) == 2
    rows[1][4] = "Autumn"
    with table.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    assert counts(opened.index(table, garments=True, boxes=False)) == {"updated": 1, "unchanged": 2}
    assert len(opened.gallery.get("a").garments) == 2 and opened.gallery.get("a").attributes == {"season": "Autumn"}


def test_only_what_has_changed_is_read_again(
    opened: lookalike.Retriever, folder: Path, tmp_path: Path, shop: Shop
) -> None:
    opened.index(folder, garments=True)
    assert counts(opened.index(folder, garments=True)) == {"unchanged": 5}
    dressed("skirt", seed=20).save(folder / "red on blue.png")
    (folder / "blue.png").touch()
    told = counts(opened.index(folder, garments=True))
    assert told == {"updated": 1, "unchanged": 4, "embedded": 1, "garments": 1}
    assert [garment.kind for garment in opened.gallery.get("red on blue.png").garments] == ["skirt"]
    answer = opened.search(dressed("trousers", seed=3), garment="trousers")
    assert {described(match) for match in answer.matches if match.score > 0.9} == {
        ("blue.png", "trousers"),
        ("green on blue.png", "trousers"),
    }
    (folder / "green on blue.png").unlink()
    assert counts(opened.index(folder, garments=True, prune=True)) == {"unchanged": 4, "removed": 1}
    assert (len(opened.gallery), opened.gallery.garment_count) == (4, 4)
    other = write_tiny_finder(tmp_path / "other.onnx", fingerprint="fedcba9876543210")
    with lookalike.open(tmp_path / "outfits.gallery", model=str(shop.model), finder=other) as later:
        assert counts(later.index(folder, garments=True)) == {"updated": 4, "embedded": 4, "garments": 4}
        assert later.gallery.get("nothing.png").finder == "tiny@fedcba98"
        assert counts(later.index(folder)) == {"updated": 4, "embedded": 4}
        assert later.gallery.garment_count == 0 and later.gallery.verify().problems == ()
        assert [match.garment for match in later.search(dressed("skirt")).matches] == [None] * 4


def test_pages_count_outfits(opened: lookalike.Retriever, folder: Path) -> None:
    for number in range(30):
        kinds = [(kind, other) for kind in FOUND for other in FOUND][number % 9]
        dressed(*kinds, seed=100 + number).save(folder / f"{number}.png")
    opened.index(folder, garments=True)
    photo = dressed("skirt", seed=3)
    ids = [match.item.id for match in opened.search(photo, k=35, offset=0).matches]
    assert len(ids) == len(set(ids)) == 35 == len(opened.gallery)
    pages = [opened.search(photo, k=10, offset=offset).matches for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 10, 5]
    assert [match.item.id for page in pages for match in page] == ids
    assert [match.rank for page in pages for match in page] == [*range(1, 36)]


def test_an_outfit_asks_with_its_most_prominent_garment(opened: lookalike.Retriever, folder: Path) -> None:
    opened.index(folder, garments=True)
    first = opened.gallery.get("green on blue.png").garments[0]
    answer = opened.search(item="green on blue.png")
    others = opened.search(folder / "green on blue.png", box=first.box)
    assert [described(match) for match in answer.matches] == [
        described(match) for match in others.matches if match.item.id != "green on blue.png"
    ]
    for options in ({"expand": 2}, {"rerank": 4}, {"expand": 1, "rerank": 5}):
        refined = opened.search(item="green on blue.png", **options)  # type: ignore[arg-type]
        assert {match.item.id for match in refined.matches} == {match.item.id for match in answer.matches}
    several = opened.search(item=["green on blue.png", "blue.png"], unlike_item="nothing.png")
    assert {match.item.id for match in several.matches} == {"red on blue.png", "red on green.png"}


def pictures(answer: Answer, photo: Image.Image) -> list[str]:
    pixels = np.asarray(montage(photo, answer))
    assert (pixels == (196, 64, 42)).all(axis=2).sum() > 1000  # frames in the accent colour
    return [html_page(photo, answer), notebook_html(answer)]


def test_the_same_kind_goes_by_garments(opened: lookalike.Retriever, folder: Path) -> None:
    opened.index(folder, garments=True)
    answer = opened.search(dressed("skirt", "top"), garment="skirt", same_kind=True)
    assert {described(match) for match in answer.matches} == {
        ("red on green.png", "skirt"),
        ("green on blue.png", "skirt"),
    }
    by_item = opened.search(item="blue.png", same_kind=True)
    assert {described(match) for match in by_item.matches} == {
        ("red on blue.png", "trousers"),
        ("green on blue.png", "trousers"),
    }
    opened.gallery.override("nothing.png", {"kind": "Skirts"})  # which has no garments, so that its own word counts
    opened.gallery.override("blue.png", {"kind": "Skirts"})
    answer = opened.search(dressed("skirt", "top"), garment="skirt", same_kind=True, where="id != 'red on green.png'")
    assert {described(match) for match in answer.matches} == {("green on blue.png", "skirt"), ("nothing.png", None)}


def test_pictures_and_pages_show_the_garment(opened: lookalike.Retriever, folder: Path) -> None:
    opened.index(folder, garments=True)
    photo = dressed("skirt", seed=4)
    page, notebook = pictures(opened.search(photo, k=2, garment="skirt"), photo)
    assert page.count('<span class="box"') == 3 and page.count("skirt · id ") == 2
    assert notebook.count("<br>skirt<br>") == 2
    item = opened.gallery.get("green on blue.png")
    by_item = opened.search(item=item.id, k=1)
    assert html_page(item, by_item).count('<span class="box"') == 2  # of the query, and of the match


def test_every_door_gives_the_same_answer(
    opened: lookalike.Retriever,
    shop: Shop,
    folder: Path,
    tmp_path: Path,
    tiny_finder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gallery, photo = tmp_path / "by-command.gallery", tmp_path / "q.png"
    dressed("skirt", seed=4).save(photo)
    models = ["-g", str(gallery), "--model", str(shop.model)]
    assert main(["index", str(folder), *models, "--garments", "--finder", str(tiny_finder), "--json"]) == 0
    by_command = json.loads(capsys.readouterr().out)
    assert counts(by_command) == counts(opened.index(folder, garments=True))
    here = json.loads(json.dumps(opened.search(photo, where="garment = 'skirt'").to_json()))
    finder = ["--finder", str(tiny_finder)]
    assert main(["search", str(photo), *models, *finder, "--where", "garment = 'skirt'", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    context = open_context(str(gallery), settings=Settings(), model=str(shop.model), finder=str(tiny_finder))
    with TestClient(create_app(context)) as client:
        sent = {"photo": ("q.png", photo.read_bytes())}
        served = client.post("/v1/search", files=sent, data={"where": "garment = 'skirt'"}).json()
        del served["query"]["id"]  # which only a server gives
        item = client.get("/v1/items/blue.png").json()
        facets = client.get("/v1/facets").json()["facets"]
        info = client.get("/v1/info").json()
    for answer in (here, there, served):
        answer["took_ms"] = sorted(answer["took_ms"])
        answer["query"]["photo"] = "q.png"
        for match in answer["matches"]:
            del match["photo"]
    assert here == there == served
    assert [match["garment"]["kind"] for match in here["matches"]] == ["skirt"] * 2
    assert {"box", "kind", "score"} == here["matches"][0]["garment"].keys()
    assert [garment["kind"] for garment in item["garments"]] == ["trousers"]
    assert facets[0]["name"] == "garment" and facets[0]["kinds"] == ["text"]
    assert {value["value"]: value["count"] for value in facets[0]["values"]} == {"top": 2, "skirt": 2, "trousers": 3}
    assert info["items"] == 5 and info["attributes"] == {"garment": ["text"]}


def test_commands_see_outfits(
    shop: Shop, folder: Path, tmp_path: Path, tiny_finder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gallery = ["-g", str(tmp_path / "outfits.gallery")]
    index = ["index", str(folder), *gallery, "--model", str(shop.model), "--garments", "--finder", str(tiny_finder)]
    assert main(index) == 0
    told = capsys.readouterr().out
    assert "5 added, 0 updated" in told and "5 photos with 7 garments in" in told
    assert main(["search", str(folder / "blue.png"), *gallery, "--model", str(shop.model)]) == 0
    assert "garment" in capsys.readouterr().out.splitlines()[0]
    assert main(["gallery", "list", *gallery, "--where", "garment = 'top'", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert (listed["total"], [len(item["garments"]) for item in listed["items"]]) == (2, [2, 2])
    assert main(["gallery", "set", *gallery, "red on blue.png", "price=9"]) == 0
    capsys.readouterr()
    assert main(["gallery", "get", *gallery, "red on blue.png", "--json"]) == 0
    item = json.loads(capsys.readouterr().out)
    assert item["attributes"] == {"price": 9} and {one["kind"] for one in item["garments"]} == {"top", "trousers"}
    assert main(index) == 0
    assert "0 added, 0 updated, 5 unchanged" in capsys.readouterr().out
    assert main(["gallery", "remove", *gallery, "red on blue.png"]) == 0
    assert main(["gallery", "info", *gallery, "--json"]) == 0
    info = json.loads(capsys.readouterr().out.partition("\n")[2])
    assert (info["items"], info["garments"], info["sources"]) == (4, 5, {str(folder): 4})
    assert main(["gallery", "verify", *gallery]) == 0
    assert capsys.readouterr().out == "4 items, no problems\n"


def test_an_upload_may_ask_for_its_garments(
    opened: lookalike.Retriever, shop: Shop, folder: Path, tmp_path: Path, tiny_finder: Path
) -> None:
    opened.index(folder, garments=True)
    settings, address = Settings(), str(tmp_path / "outfits.gallery")
    photo = (folder / "green on blue.png").read_bytes()

    def sent(**fields: str) -> dict[str, Any]:
        return {"files": {"photo": ("q.png", photo)}, "data": fields}

    context = open_context(
        address, settings=settings, token=TOKEN.encode(), model=str(shop.model), finder=str(tiny_finder)
    )
    with TestClient(create_app(context), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        made = client.put("/v1/items/new", **sent(garments="true", product="p", attributes='{"price": 9}'))
        assert (made.status_code, made.json()["product"], made.json()["attributes"]) == (201, "p", {"price": 9})
        assert made.json()["garments"] == client.get("/v1/items/green%20on%20blue.png").json()["garments"]
        stored = opened.gallery.vectors("green on blue.png")
        for name, rows in opened.gallery.vectors("new").items():
            np.testing.assert_allclose(rows, stored[name], atol=1e-5)
        for where, count in (("garment = 'skirt'", 3), ("garment = 'top'", 2), ("garment = 'trousers'", 4)):
            assert client.get("/v1/items", params={"where": where}).json()["total"] == count
        assert client.patch("/v1/items/new", json={"attributes": {"price": 8}}).json()["garments"]
        assert client.put("/v1/items/new", json={"attributes": {"price": 7}}).json()["garments"]
        assert client.put("/v1/items/new", **sent(box="20,10,140,90", garments="true")).json().get("garments") is None
        assert client.put("/v1/items/new", **sent(garments="yes")).json()["error"]["code"] == "invalid"
        lines = [{"id": "new", "garments": True, "photo": "q.png"}, {"id": "other", "photo": "q.png"}]
        lines.append({"id": "blue.png", "garments": True})
        bulk = {"items": "\n".join(map(json.dumps, lines))}
        told = client.post("/v1/items", files={"photo": ("q.png", photo)}, data=bulk).json()
        assert [(line["status"], line["error"] and line["error"]["code"]) for line in told["lines"]] == [
            ("updated", None),
            ("added", None),
            ("unchanged", None),  # its garments are embedded already
        ]
        assert len(client.get("/v1/items/new").json()["garments"]) == 2
        assert client.delete("/v1/items/new").status_code == 204
    assert opened.gallery.garment_count == 7 and opened.gallery.verify().problems == ()


def test_an_upload_needs_a_finder_for_garments(shop: Shop, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder_module, "SHIPPED_FINDER", folder / "none.onnx")
    context = open_context(str(shop.gallery), settings=Settings(), token=TOKEN.encode(), model=str(shop.model))
    with TestClient(create_app(context), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        sent = {"photo": ("q.png", (folder / "blue.png").read_bytes())}
        refused = client.put("/v1/items/new", files=sent, data={"garments": "true"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "no_finder")
        assert client.put("/v1/items/new", files=sent, data={"garments": "false"}).status_code == 201


def test_mistakes_leave_no_gallery(
    shop: Shop,
    folder: Path,
    tmp_path: Path,
    tiny_finder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(finder_module, "SHIPPED_FINDER", tmp_path / "none.onnx")
    index = ["index", str(folder), "-g", str(tmp_path / "outfits.gallery"), "--model", str(shop.model), "--garments"]
    for options, words in (
        ([], "no finder of garments is installed"),
        (["--finder", str(shop.model)], "expected a finder"),
    ):
        assert main([*index, *options]) != 0
        told = capsys.readouterr().err
        assert words in told and told.count("\n") == 1
        assert not (tmp_path / "outfits.gallery").exists()


def test_a_photo_of_one_garment_is_embedded_whole(opened: lookalike.Retriever, folder: Path, tiny_finder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    pixels = np.full((128, 128, 3), 255, dtype=np.uint8)
    pixels[32:64, 32:64] = INK["skirt"]  # the finder's boxes have sides of 80 pixels in a photo of this size
    Image.fromarray(pixels).save(folder / "large.png")
    dressed("skirt").save(folder / "small.png")
    opened.index(folder, garments=True)
    [large] = lookalike.find_garments(folder / "large.png", finder=tiny_finder)
    [small] = lookalike.find_garments(folder / "small.png", finder=tiny_finder)
    assert opened.gallery.get("large.png").garments == (replace(large, box=Box(0, 0, 128, 128)),)
    assert opened.gallery.get("small.png").garments == (small,)
    answer = opened.search(folder / "large.png", garment="auto")  # which looks at the whole photo too
    assert answer.matches[0].score == pytest.approx(1, abs=1e-5) and answer.matches[0].item.id == "large.png"


def test_only_sure_garments_are_indexed(
    opened: lookalike.Retriever, folder: Path, street_photo: Path, tiny_finder: Path
) -> None:
    shutil.copy(street_photo, folder / "street.png")
    opened.index(folder, garments=True)
    listed = lookalike.find_garments(street_photo, finder=tiny_finder)
    indexed = opened.gallery.get("street.png").garments
    assert {*indexed} == {garment for garment in listed if garment.score >= 0.3} < {*listed}


def test_a_photo_that_cannot_be_read_is_named(opened: lookalike.Retriever, folder: Path) -> None:
    (folder / "broken.png").write_bytes((folder / "blue.png").read_bytes()[:100])
    report = opened.index(folder, garments=True)
    assert [(skip.id, skip.reason) for skip in report.skipped] == [("broken.png", "the file is cut short")]
    with pytest.raises(lookalike.PhotoError, match=r"broken\.png: the file is cut short"):
        opened.index(folder, garments=True, strict=True)


def test_of_a_crowd_the_most_prominent_garments_are_kept(
    opened: lookalike.Retriever, folder: Path, monkeypatch: pytest.MonkeyPatch, tiny_finder: Path
) -> None:
    monkeypatch.setattr(catalogue_finder, "MOST", 1)
    assert counts(opened.index(folder, garments=True))["garments"] == 4
    found = lookalike.find_garments(folder / "red on blue.png", finder=tiny_finder)
    [kept] = opened.gallery.get("red on blue.png").garments
    assert kept == max(found, key=prominence)
