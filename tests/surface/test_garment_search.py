"""Searches with a garment of a photo: the choice, the answer, and the same through every door."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.answers import GarmentChoice
from lookalike.cli import main
from lookalike.errors import NoFinderError, NoGarmentError, UnknownNameError, UsageError
from lookalike.finding import finder as finder_module
from lookalike.finding.prominence import most_prominent, most_prominent_of_several
from lookalike.gallery.garment_option import AUTO, WHOLE
from lookalike.kinds import KINDS
from lookalike.render.captions import garment_line
from lookalike.retrieval.garment_choice import choose_garment
from lookalike.server.app import create_app
from lookalike.server.startup import open_context
from lookalike.types import Box, Garment


@pytest.fixture
def opened(shop: Shop, tiny_finder: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=str(shop.model), finder=tiny_finder) as retriever:
        yield retriever


def sent(client: TestClient, photo: Path | bytes, **fields: str) -> Any:
    data = photo.read_bytes() if isinstance(photo, Path) else photo
    return client.post("/v1/search", files={"photo": ("q.png", data)}, data=fields)


@pytest.mark.parametrize(("asked", "number"), [("auto", 1), ("top", 2), ("trousers", 1), ("2", 2), ("3", 3)])
def test_a_garment_is_searched_as_its_box_is(
    opened: lookalike.Retriever, street_photo: Path, tiny_finder: Path, asked: str, number: int
) -> None:
    found = lookalike.find_garments(street_photo, finder=tiny_finder)
    answer = opened.search(street_photo, garment=asked)
    by_box = opened.search(street_photo, box=found[number - 1].box)
    assert answer.matches == by_box.matches != opened.search(street_photo, garment="whole").matches
    choice = answer.query.garment
    assert choice is not None and (choice.asked, choice.number, choice.found) == (asked, number, found)
    query = answer.to_json()["query"]
    assert query["garment"] == {"number": number, **found[number - 1].to_json(), "asked": asked}
    assert [each["number"] for each in query["garments"]] == [
        place for place in range(1, len(found) + 1) if place != number
    ]
    assert (query["box"], answer.query.part) == (None, found[number - 1].box)
    assert set(answer.took_ms) == {"find", "decode", "embed", "search"}


def test_the_whole_photo_is_searched_as_ever(opened: lookalike.Retriever, street_photo: Path) -> None:
    whole, box = opened.search(street_photo, garment="whole"), Box(0, 0, 96, 192)
    assert whole.matches == opened.search(street_photo, box=box).matches
    assert "garment" not in whole.to_json()["query"] and "find" not in whole.took_ms


def test_without_a_garment_auto_takes_the_whole_photo(opened: lookalike.Retriever, shop: Shop) -> None:
    grey = Image.new("RGB", (60, 48), (128, 128, 128))
    answer = opened.search(grey, garment="auto")
    assert answer.matches == opened.search(grey).matches
    assert answer.to_json()["query"]["garment"] is None and answer.to_json()["query"]["garments"] == []
    with pytest.raises(NoGarmentError, match="photo: garment dress was not found; found: none"):
        opened.search(grey, garment="dress")


def test_of_one_garment_alone_auto_takes_the_whole_photo(opened: lookalike.Retriever) -> None:
    red = Image.new("RGB", (128, 128), (128, 128, 128))
    red.paste((255, 0, 0), (32, 32, 64, 64))
    answer = opened.search(red, garment="auto")
    assert answer.matches == opened.search(red).matches != opened.search(red, garment="1").matches
    query = answer.to_json()["query"]
    assert query["garment"] is None and query["garments"][0] == {"number": 1, **answer.query.garment.found[0].to_json()}
    assert garment_line(answer.query.garment).startswith("garment: 1 top ")
    assert garment_line(answer.query.garment).endswith(" alone; the whole photo was looked at")


@pytest.mark.parametrize("asked", ["auto", "top", "3", "whole"])
def test_every_door_gives_the_same_answer(
    opened: lookalike.Retriever,
    shop: Shop,
    street_photo: Path,
    tiny_finder: Path,
    client: TestClient,
    capsys: pytest.CaptureFixture[str],
    asked: str,
) -> None:
    here = json.loads(json.dumps(opened.search(street_photo, garment=asked).to_json()))
    options = ["-g", str(shop.gallery), "--model", str(shop.model), "--finder", str(tiny_finder), "--garment", asked]
    assert main(["search", str(street_photo), *options, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served = sent(client, street_photo, garment=asked).json()
    for answer in (here, there, served):
        answer["took_ms"] = sorted(answer["took_ms"])
        answer["query"]["photo"] = "q.png"
        answer["query"].pop("id", None)  # of HTTP, another each time
        for match in answer["matches"]:
            del match["photo"]  # relative to its folder over HTTP
    assert here == there == served
    assert len(here["matches"]) == 10


def test_the_command_names_the_garment(
    shop: Shop, street_photo: Path, tiny_finder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["-g", str(shop.gallery), "--model", str(shop.model), "--finder", str(tiny_finder)]
    page = tmp_path / "out.html"
    assert main(["search", str(street_photo), *options, "--garment", "top", "--html", str(page)]) == 0
    said = capsys.readouterr().err
    assert "garment: 2 top 0.62; others: 1 trousers 0.83, 3 trousers 0.44" in said and "find" in said
    assert "8,8,88,88" in page.read_text(encoding="utf-8")
    assert main(["search", str(shop.photo("white-0")), *options, "--garment", "auto"]) == 0
    assert "garment: none was found; the whole photo was looked at" in capsys.readouterr().err
    for wrong in ("drees", "9", "dress"):
        assert main(["search", str(street_photo), *options, "--garment", wrong]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_kind_that_is_asked_for_may_be_a_weak_one() -> None:
    top, bag = Garment(Box(0, 0, 90, 90), "top", 0.9), Garment(Box(0, 0, 20, 20), "bag", 0.2)
    found = [top, bag, Garment(Box(0, 0, 80, 80), "bag", 0.1), Garment(Box(0, 0, 9, 9), "hat", 0.06)]
    choice = choose_garment(found, "bag", photo="q.jpg")
    assert (choice.garment, choice.number, choice.found) == (bag, 2, [top, bag])
    assert garment_line(choice) == "garment: bag 0.20, not listed; others: 1 top 0.90"
    sure = replace(bag, score=0.3)
    assert choose_garment([top, sure, *found[2:]], "bag", photo="q.jpg").garment == sure
    assert choose_garment(found, "auto", photo="q.jpg").found == [top]
    for asked in ("2", "dress"):
        with pytest.raises(NoGarmentError, match=f"q.jpg: garment {asked} was not found; found: 1 top$"):
            choose_garment(found, asked, photo="q.jpg")


def test_a_weak_garment_is_searched_by_its_kind_through_every_door(
    opened: lookalike.Retriever, client: TestClient, tiny_finder: Path, shop: Shop, tmp_path: Path
) -> None:
    drawn = Image.new("RGB", (128, 128), (128, 128, 128))
    drawn.paste((255, 0, 0), (40, 40, 64, 64))
    drawn.paste((0, 0, 255), (8, 80, 72, 120))
    photo = tmp_path / "q.png"
    drawn.save(photo)
    found = lookalike.find_garments(photo, finder=tiny_finder, least=0.05)
    top = next(garment for garment in found if garment.kind == "top")
    assert top.score < 0.22 and top not in lookalike.find_garments(photo, finder=tiny_finder)
    answer = opened.search(photo, garment="top", k=3)
    assert answer.query.garment is not None and answer.query.garment.garment == top
    assert answer.matches == opened.search(photo, box=top.box, k=3).matches
    served = sent(client, photo, garment="top").json()["query"]["garment"]
    assert (served["kind"], served["score"], served["asked"]) == ("top", top.score, "top")
    options = ["-g", str(shop.gallery), "--model", str(shop.model), "--finder", str(tiny_finder)]
    assert main(["search", str(photo), *options, "--garment", "top"]) == 0
    assert main(["search", str(photo), *options, "--garment", "hat"]) == 2


def test_a_photo_may_be_bytes_open_or_pixels(opened: lookalike.Retriever, street_photo: Path) -> None:
    with street_photo.open("rb") as file, Image.open(street_photo) as image:
        content = street_photo.read_bytes()
        for photo in (content, file, io.BytesIO(content), image, np.asarray(image.convert("RGB")), str(street_photo)):
            answer = opened.search(photo, garment="top", k=3)
            assert answer.matches == opened.search(street_photo, garment="top", k=3).matches
    assert answer.query.photo == str(street_photo)


def test_a_garment_goes_with_one_photo(opened: lookalike.Retriever, street_photo: Path) -> None:
    with pytest.raises(UsageError, match="a garment belongs to a photo"):
        opened.search(item="red-1", garment="top")
    with pytest.raises(UsageError, match="a garment belongs to one photo"):
        opened.search([street_photo, street_photo], garment="top")
    with pytest.raises(UsageError, match="a box and a garment"):
        opened.search(street_photo, garment="top", box=Box(0, 0, 9, 9))
    with pytest.raises(UnknownNameError, match="unknown garment 'trouser'; did you mean 'trousers'"):
        opened.search(street_photo, garment="trouser")
    with pytest.raises(UsageError, match=r"garment must be auto, whole, a kind or a number, got 1\.5"):
        opened.search(street_photo, garment=1.5)  # type: ignore[arg-type]
    assert opened.search(street_photo, garment=2).matches == opened.search(street_photo, garment="2").matches
    with pytest.raises(NoGarmentError) as caught:
        opened.search(street_photo, garment="7")
    assert (caught.value.asked, caught.value.found) == ("7", ("trousers", "top", "trousers", "trousers", "trousers"))


def test_auto_is_the_default_for_one_photo_without_a_box(opened: lookalike.Retriever, street_photo: Path) -> None:
    assert opened.search(street_photo).matches == opened.search(street_photo, garment="auto").matches
    for options in ({"box": Box(0, 0, 90, 90)}, {"garment": "whole"}, {"unlike": [street_photo]}):
        assert opened.search(street_photo, **options).query.garment is None
    assert opened.search([street_photo, street_photo]).query.garment is None
    assert opened.search(item="red-1").query.garment is None


def test_the_most_prominent_garment_is_large_and_sure() -> None:
    found = [
        Garment(Box(0, 0, 10, 10), "bag", 0.9),
        Garment(Box(0, 0, 50, 40), "top", 0.8),
        Garment(Box(0, 0, 60, 40), "top", 0.4),
    ]
    assert most_prominent(found, kind=None) == 2
    assert most_prominent(found, kind="bag") == 1
    assert most_prominent(found, kind="dress") is None


def test_auto_chooses_among_several_garments_only() -> None:
    shirt, part = Garment(Box(10, 10, 90, 90), "top", 0.9), Garment(Box(10, 10, 60, 60), "dress", 0.5)
    assert most_prominent_of_several([]) is None
    assert most_prominent_of_several([shirt]) is None
    assert most_prominent_of_several([shirt, part]) is None
    skirt, large = Garment(Box(20, 80, 80, 140), "skirt", 0.4), Garment(Box(0, 0, 900, 900), "dress", 0.29)
    assert most_prominent_of_several([shirt, part, skirt, large]) == 1
    assert most_prominent_of_several([shirt, replace(skirt, score=0.29)]) is None
    line = garment_line(GarmentChoice("auto", [shirt, replace(skirt, score=0.29)], None))
    assert line == "garment: 1 top 0.90, 2 skirt 0.29; the whole photo was looked at"


def test_garments_over_http(client: TestClient, street_photo: Path, tiny_finder: Path) -> None:
    ours = [garment.to_json() for garment in lookalike.find_garments(street_photo, finder=tiny_finder)]
    photo = ("q.png", street_photo.read_bytes())
    one = {"photo": "q.png", "garments": ours}
    for count in (1, 2):
        answer = client.post("/v1/garments", files=[("photo", photo)] * count)
        assert (answer.status_code, answer.json()) == (200, {"photos": [one] * count})
    assert client.get("/v1/info").json()["garments"] is True
    refused = {
        "invalid": {"files": [("photo", photo)] * 17},
        "bad_request": {"files": {"photo": photo}, "data": {"least": "0.5"}},
        "unreadable_photo": {"files": {"photo": ("q.png", b"no photo")}},
        "unsupported_media_type": {"json": {"photo": "q.png"}},
    }
    for code, sending in refused.items():
        assert client.post("/v1/garments", **sending).json()["error"]["code"] == code  # type: ignore[arg-type]


def test_http_says_what_is_wrong_with_a_garment(client: TestClient, street_photo: Path) -> None:
    unknown = sent(client, street_photo, garment="drees")
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, "unknown_name")
    assert {*KINDS, AUTO, WHOLE} <= {*unknown.json()["error"]["known"]}
    missing = sent(client, street_photo, garment="dress")
    assert (missing.status_code, missing.json()["error"]["code"]) == (422, "no_garment")
    assert missing.json()["error"]["found"] == ["trousers", "top", "trousers", "trousers", "trousers"]
    for data in ({"garment": "top", "box": "0,0,9,9"}, {"garment": "top", "id": "red-1"}):
        answer = sent(client, street_photo, **data)
        assert answer.status_code == (400 if "box" in data else 200)
    by_item = client.post("/v1/search", json={"id": "red-1", "garment": "top"})
    assert by_item.json()["error"]["code"] == "invalid"


def test_a_server_without_a_finder_says_so(
    shop: Shop, street_photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, context: Any
) -> None:
    monkeypatch.setattr(finder_module, "SHIPPED_FINDER", tmp_path / "none.onnx")
    bare = open_context(str(shop.gallery), settings=context.settings, model=str(shop.model))
    with TestClient(create_app(bare)) as client:
        assert client.get("/v1/info").json()["garments"] is False
        photo = {"photo": ("q.png", street_photo.read_bytes())}
        for answer in (client.post("/v1/garments", files=photo), sent(client, street_photo, garment="auto")):
            assert (answer.status_code, answer.json()["error"]["code"]) == (422, "no_finder")
        assert sent(client, street_photo).status_code == 200
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened, pytest.raises(NoFinderError):
        opened.search(street_photo, garment="auto")
    assert main(["serve", "-g", str(shop.gallery), "--finder", str(street_photo), "--port", "0"]) == 2
