"""Searches among items of the kind that is asked for, through every door."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_shop import Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.cli import main
from lookalike.errors import UsageError
from lookalike.retrieval.same_kind import words_for
from lookalike.server.app import create_app
from lookalike.server.startup import open_context
from lookalike.types import Box

KINDS = {"red": "Dresses", "green": "skirt", "blue": "T-Shirt", "white": None}
RED, GREY = (Image.new("RGB", (60, 48), color) for color in ((200, 30, 40), (128, 128, 128)))


@pytest.fixture
def kinds(shop: Shop) -> Shop:
    """The shop with an attribute `kind`, in the words of a catalogue; white items have none."""
    with lookalike.open(shop.gallery) as opened:
        for item in opened.gallery.list(limit=None)[1]:
            opened.gallery.override(item.id, {"kind": KINDS[item.id.partition("-")[0]]})
    return shop


@pytest.fixture
def opened(kinds: Shop, labelled_model: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(kinds.gallery, model=labelled_model) as retriever:
        yield retriever


def colors(answer: lookalike.Answer) -> set[str]:
    return {match.item.id.partition("-")[0] for match in answer.matches}


def test_only_items_of_the_photos_kind_are_found(opened: lookalike.Retriever) -> None:
    answer = opened.search(RED, k=12, same_kind=True)
    assert colors(answer) == {"red"} and len(answer.matches) == 3
    assert (answer.query.kind, answer.query.where) == ("dress", None)
    assert answer.to_json()["query"]["kind"] == "dress"
    everything = opened.search(RED, k=12)
    assert [match.item.id for match in everything.matches if match.item.id.startswith("red")] == [
        match.item.id for match in answer.matches
    ]
    assert "same_kind" not in everything.to_json()["query"]


def test_a_filter_stays_beside_the_kind(opened: lookalike.Retriever) -> None:
    where = "price < 3 or price > 100"
    answer = opened.search(RED, k=12, same_kind=True, where=where)
    both = opened.search(RED, k=12, where=f"({where}) and kind = 'Dresses'")
    assert [match.item.id for match in answer.matches] == [match.item.id for match in both.matches] != []
    assert answer.query.where == where


def test_an_item_asks_for_its_own_kind(opened: lookalike.Retriever) -> None:
    answer = opened.search(item="blue-1", k=12, same_kind=True)
    assert (colors(answer), len(answer.matches), answer.query.kind) == ({"blue"}, 2, "top")
    unknown = opened.search(item="white-1", k=12, same_kind=True)
    assert (len(unknown.matches), unknown.query.kind) == (11, None)
    assert unknown.to_json()["query"]["kind"] is None


def test_a_photo_of_no_garment_asks_for_all_kinds(opened: lookalike.Retriever) -> None:
    answer = opened.search(GREY, k=12, same_kind=True)
    assert (len(answer.matches), answer.query.kind) == (12, None)


def test_the_garment_that_was_found_decides(
    kinds: Shop, tiny_model: Path, labelled_model: Path, street_photo: Path, tiny_finder: Path
) -> None:
    # The finder takes red for a top and blue for trousers, the model takes red for a dress and blue for a top.
    with lookalike.open(kinds.gallery, model=labelled_model, finder=tiny_finder) as both:
        assert both.search(street_photo, garment="top", same_kind=True).query.kind == "top"
        assert both.search(street_photo, garment="2", same_kind=True).query.kind == "top"
        [red, *_] = [each for each in both.search(street_photo).query.garment.found if each.kind == "top"]
        assert both.search(street_photo, box=red.box, same_kind=True).query.kind == "top"
        weak = min(lookalike.find_garments(street_photo, finder=tiny_finder, least=0.05), key=lambda each: each.score)
        assert weak.score < 0.3
        assert both.search(street_photo, box=weak.box, same_kind=True).query.kind == "dress"  # by the model
        corner = Box(0, 0, 2, 2)  # no garment that was found
        assert both.search(street_photo, box=corner, same_kind=True).query.kind is None
    with lookalike.open(kinds.gallery, model=tiny_model, finder=tiny_finder) as finder_alone:
        answer = finder_alone.search(street_photo, garment="2", same_kind=True)
        assert (answer.query.kind, colors(answer)) == ("top", {"blue"})
        assert finder_alone.search(GREY, garment="auto", same_kind=True).query.kind is None
        with pytest.raises(UsageError, match="needs a model with labels"):
            finder_alone.search(street_photo, garment="whole", same_kind=True)
        assert finder_alone.search(street_photo, box=corner, same_kind=True).query.kind is None


def test_auto_leaves_out_items_of_another_kind(opened: lookalike.Retriever) -> None:
    answer = opened.search(RED, k=12, same_kind="auto")
    assert (colors(answer), answer.query.kind) == ({"red", "white"}, "dress")
    assert answer.to_json()["query"]["same_kind"] is True
    everything = [match.item.id for match in opened.search(RED, k=12).matches]
    assert [match.item.id for match in answer.matches] == [
        name for name in everything if name.partition("-")[0] in ("red", "white")
    ]
    both = opened.search(RED, k=12, same_kind="auto", where="price > 100 or price < 3")
    assert [match.item.id for match in both.matches] == [
        match.item.id for match in answer.matches if not 3 <= match.item.attributes["price"] <= 100
    ]


def test_auto_searches_all_where_kinds_cannot_be_told(
    opened: lookalike.Retriever,
    kinds: Shop,
    tiny_model: Path,
    labelled_model: Path,
    street_photo: Path,
    tiny_finder: Path,
) -> None:
    for asked in ({"photo": GREY}, {"item": "red-1"}, {"photo": [RED, RED]}, {"photo": RED, "text": "red"}):
        with_words = {"text_search": "full_text"} if "text" in asked else {}
        answer = opened.search(**asked, **with_words, k=12, same_kind="auto")
        assert answer.query.kind is None and "same_kind" not in answer.to_json()["query"], asked
    with lookalike.open(kinds.gallery, model=tiny_model) as without_labels:
        assert len(without_labels.search(RED, k=12, same_kind="auto").matches) == 12
    with lookalike.open(kinds.gallery, model=tiny_model, finder=tiny_finder) as finder_alone:
        assert finder_alone.search(street_photo, garment="2", same_kind="auto").query.kind == "top"
    with lookalike.open(kinds.gallery, model=labelled_model, finder=tiny_finder) as both:
        assert both.search(street_photo, garment="top", same_kind="auto").query.kind == "top"
    for item in opened.gallery.list(limit=None)[1]:
        opened.gallery.unset(item.id, ["kind"])
    assert len(opened.search(RED, k=12, same_kind="auto").matches) == 12


def test_auto_leaves_filters_as_they_are(opened: lookalike.Retriever) -> None:
    for where in ("kind = 'skirt'", "kind in ('skirt', 'Dresses')"):
        alone, auto = (opened.search(RED, k=12, where=where, same_kind=each) for each in (False, "auto"))
        assert [match.item.id for match in auto.matches] == [match.item.id for match in alone.matches] != []
        assert auto.query.kind is None
    longest = " or ".join(["price > 0"] * 300)[:3990].rpartition(" or ")[0]
    for where in (longest, "(" * 16 + "price > 0" + ")" * 16):
        assert opened.search(RED, k=12, where=where, same_kind="auto").query.kind is None
    assert opened.search(RED, k=12, where="((price > 0))", same_kind="auto").query.kind == "dress"


@pytest.mark.parametrize("kind", ["true", "dress", 1, None])
def test_other_values_are_refused(opened: lookalike.Retriever, kind: Any) -> None:
    with pytest.raises(UsageError, match="same_kind must be true, false or 'auto'"):
        opened.search(RED, same_kind=kind)


def test_what_cannot_be_restricted_says_why(shop: Shop, labelled_model: Path) -> None:
    with lookalike.open(shop.gallery, model=labelled_model) as unknown:
        with pytest.raises(UsageError, match="belongs to one photo or item"):
            unknown.search([RED, RED], same_kind=True)
        with pytest.raises(UsageError, match="none has it; `lookalike tag"):
            unknown.search(RED, same_kind=True)


def test_words_are_spelled_as_catalogues_do() -> None:
    assert {"dress", "Dress", "DRESSES", "Dresses", "jumpsuit"} <= {*words_for("dress")}
    assert {"t-shirt", "T-Shirt", "Tshirts", "T-shirt"} <= {*words_for("top")}
    assert words_for("o'clock")[0] == "o'clock"
    assert not {*words_for("dress")} & {*words_for("skirt")}


def test_every_door_restricts_alike(
    opened: lookalike.Retriever,
    kinds: Shop,
    labelled_model: Path,
    context: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    RED.save(tmp_path / "q.png")
    here = json.loads(json.dumps(opened.search(tmp_path / "q.png", same_kind=True).to_json()))
    options = ["-g", str(kinds.gallery), "--model", str(labelled_model), "--same-kind"]
    assert main(["search", str(tmp_path / "q.png"), *options, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served_by = open_context(str(kinds.gallery), settings=context.settings, model=str(labelled_model))
    with TestClient(create_app(served_by)) as client:
        photo = {"photo": ("q.png", (tmp_path / "q.png").read_bytes())}
        served = client.post("/v1/search", files=photo, data={"same_kind": "true"}).json()
        by_item = client.post("/v1/search", json={"id": "red-1", "same_kind": True}).json()
        probable = client.post("/v1/search", files=photo, data={"same_kind": "auto", "k": "12"}).json()
        assert client.post("/v1/search", files=photo, data={"same_kind": "dress"}).status_code == 422
        assert client.post("/v1/search", json={"id": "red-1", "same_kind": "true"}).status_code == 422
        assert client.post("/v1/search", json={"id": "red-1", "same_kind": "auto"}).status_code == 200
    for answer in (here, there, served):
        del answer["took_ms"], answer["query"]["photo"]
        answer["query"].pop("id", None)  # of HTTP, another each time
        for match in answer["matches"]:
            del match["photo"]
    assert here == there == served
    assert (probable["query"]["kind"], len(probable["matches"])) == ("dress", 6)
    assert by_item["query"]["kind"] == "dress" and len(by_item["matches"]) == 2
    for photo_, says in ((RED, "dress"), (GREY, "it is unknown, so all kinds were searched")):
        photo_.save(tmp_path / "q.png")
        assert main(["search", str(tmp_path / "q.png"), *options]) == 0
        assert f"of the same kind: {says}" in capsys.readouterr().err
