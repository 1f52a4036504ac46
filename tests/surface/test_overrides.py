"""Attributes and products set by hand: the same from the command line, over HTTP and in Python."""

from __future__ import annotations

import json
from typing import Any

import pytest
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient
from test_http_answers import png, refused

import lookalike
from lookalike.cli import main

NDJSON = "application/x-ndjson"
RED = {"colour": "Red", "price": 0, "season": "Winter"}


def in_terminal(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["gallery", *arguments, "--json"]) == 0
    shown: dict[str, Any] = json.loads(capsys.readouterr().out)
    return shown


def test_all_doors_set_and_unset_alike(shop: Shop, writer: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    path, place = "/v1/items/red-0", ("-g", str(shop.gallery))
    by_hand = {"price": 5, "season": None}
    first = in_terminal(capsys, "set", "red-0", "price=5", "season=null", *place)
    assert (first["attributes"], first["overrides"]) == ({"colour": "Red", "price": 5}, by_hand)
    assert first == in_terminal(capsys, "get", "red-0", *place)
    over_http = writer.patch(path, json={"attributes": by_hand}).json()
    assert (over_http["attributes"], over_http["overrides"]) == (first["attributes"], by_hand)
    assert writer.get(path).json() == over_http
    with lookalike.open(shop.gallery) as opened:
        assert opened.gallery.override("red-0", by_hand).attributes == first["attributes"]

    less = in_terminal(capsys, "unset", "red-0", "season", *place)
    assert (less["attributes"], less["overrides"]) == ({**RED, "price": 5}, {"price": 5})
    none = writer.patch(path, json={"unset": ["price"]}).json()
    assert (none["attributes"], none.get("overrides")) == (RED, None)
    with lookalike.open(shop.gallery) as opened:
        opened.gallery.override("red-0", by_hand)
        assert opened.gallery.unset("red-0").attributes == RED
        opened.gallery.override("red-0", by_hand)
    assert "overrides" not in in_terminal(capsys, "unset", "red-0", "--all", *place)


def test_all_doors_set_the_product_alike(shop: Shop, writer: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    path, place = "/v1/items/red-0", ("-g", str(shop.gallery))
    first = in_terminal(capsys, "set", "red-0", "product=mine", *place)
    assert (first["product"], first["overrides"]) == ("mine", {"product": "mine"})
    assert first == in_terminal(capsys, "get", "red-0", *place)
    assert in_terminal(capsys, "unset", "red-0", "product", *place)["product"] == "red"
    told = {"product": "mine"}
    assert writer.patch(path, json=told).json()["overrides"] == told
    writer.patch(path, json={"unset": ["product"]})
    writer.post("/v1/items", content=json.dumps({"id": "red-0", **told}), headers={"Content-Type": NDJSON})
    assert writer.get(path).json()["overrides"] == told
    with lookalike.open(shop.gallery) as opened:
        assert opened.gallery.get("red-0").product == "mine"
        assert opened.gallery.unset("red-0", ["product"]).product == "red"
        assert opened.gallery.override("red-0", {"product": None}).product is None
        opened.index(shop.table)
        assert opened.gallery.get("red-0").product is None
    assert writer.get(path).json()["overrides"] == {"product": None}


def test_a_product_that_is_a_number_is_text(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for text, product in (("10234", "10234"), ("true", "true"), ("null", None)):
        assert main(["gallery", "set", "-g", str(shop.gallery), "red-0", f"product={text}"]) == 0
        with lookalike.open(shop.gallery) as opened:
            assert opened.gallery.get("red-0").product == product
    capsys.readouterr()


def test_overrides_are_shown_to_those_who_may_write(writer: TestClient) -> None:
    writer.patch("/v1/items/red-0", json={"attributes": {"price": 5}})
    shown = writer.get("/v1/items/red-0", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    hidden = writer.get("/v1/items/red-0", headers={"Authorization": ""}).json()
    assert shown == {**hidden, "overrides": {"price": 5}}


def test_an_uploaded_item_has_nothing_to_unset(
    shop: Shop, writer: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    writer.put("/v1/items/own", files={"photo": ("q.png", png())}, data={"attributes": '{"price": 1}'})
    changed = in_terminal(capsys, "set", "own", "price=2", "-g", str(shop.gallery))
    assert (changed["attributes"], changed.get("overrides")) == ({"price": 2}, None)
    assert in_terminal(capsys, "unset", "own", "price", "-g", str(shop.gallery)) == changed


def test_the_terminal_shows_what_is_set_by_hand(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "set", "red-0", "price=5", "season=null", "-g", str(shop.gallery)]) == 0
    assert capsys.readouterr().out.endswith("overrides\n  price   5\n  season  -\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["red-0"], "give either names of attributes or --all"),
        (["red-0", "price", "--all"], "give either names of attributes or --all"),
        (["red-0", "prize"], "unknown attribute 'prize'"),
        (["red-0", "Product"], "unknown attribute 'Product'"),
        (["nobody", "--all"], "unknown item 'nobody'"),
    ],
)
def test_mistakes_are_said(shop: Shop, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert main(["gallery", "unset", *arguments, "-g", str(shop.gallery)]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"product": ""}, "product"),
        ({"product": 7}, "product"),
        ({"attributes": {"product": "mine"}}, "the product is a field beside the attributes"),
        ({"product": "mine", "unset": ["product"]}, "'product' is among the values to set, too"),
    ],
)
def test_what_is_no_product_is_refused_over_http(writer: TestClient, change: dict[str, Any], message: str) -> None:
    assert message in refused(writer.patch("/v1/items/red-0", json=change), "invalid")["message"]


def test_what_is_no_product_is_refused_in_the_terminal(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "set", "red-0", "product=", "-g", str(shop.gallery)]) == 2
    assert "set expects NAME=VALUE, got 'product='" in capsys.readouterr().err


def test_an_unknown_attribute_is_refused_over_http(writer: TestClient) -> None:
    told = refused(writer.patch("/v1/items/red-0", json={"unset": ["prize"]}), "unknown_name")
    assert (told["kind"], told["name"]) == ("attribute", "prize")
