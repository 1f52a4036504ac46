"""Bulk writes over HTTP: what a line does not name stays, and what changes nothing writes nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_shop import Shop
from starlette.testclient import TestClient
from test_http_answers import png, refused

import lookalike
from lookalike.server.context import AppContext

RED = {"colour": "Red", "price": 0, "season": "Winter"}
"""Attributes of `red-0` in the catalogue."""


def sent(writer: TestClient, *items: Mapping[str, Any]) -> dict[str, Any]:
    """The report on a bulk request."""
    body = "\n".join(json.dumps(item) for item in items)
    answer = writer.post("/v1/items", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    counted = {
        name: sum(line["status"] == name for line in report["lines"]) for name in report if name not in ("lines", "job")
    }
    assert counted == {name: report[name] for name in counted}
    return report


def statuses(report: Mapping[str, Any]) -> list[str]:
    return [line["error"]["code"] if line["error"] else line["status"] for line in report["lines"]]


def base64_of(photo: bytes) -> str:
    return base64.b64encode(photo).decode()


def item(writer: TestClient, item_id: str) -> dict[str, Any]:
    answer = writer.get(f"/v1/items/{item_id}", headers={"Authorization": ""})  # without overrides
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def indexed_again(shop: Shop) -> None:
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        opened.index(shop.table)


def vectors(context: AppContext, item_id: str) -> list[bytes]:
    return [row.tobytes() for row in context.default.retriever.gallery.vectors(item_id).values()]


def test_a_line_changes_only_what_it_names(writer: TestClient) -> None:
    before = item(writer, "red-0")
    report = sent(
        writer,
        {"id": "red-0", "attributes": {"price": 5}},
        {"id": "red-1"},
        {"id": "red-2", "product": None, "attributes": {"season": None, "brand": "Acme"}},
    )
    assert statuses(report) == ["updated", "unchanged", "updated"]
    assert item(writer, "red-0") == {**before, "attributes": {**RED, "price": 5}}
    red_2 = item(writer, "red-2")
    assert (red_2["product"], red_2["attributes"]) == (None, {"colour": "Red", "price": 2, "brand": "Acme"})


def test_replacing_is_said_and_keeps_the_photo(writer: TestClient) -> None:
    before = item(writer, "red-0")
    photo = writer.get("/v1/items/red-0/photo").content
    report = sent(writer, {"id": "red-0", "attributes": {"price": 5, "gone": None}, "replace": True})
    assert statuses(report) == ["updated"]
    assert item(writer, "red-0") == {**before, "product": None, "attributes": {"price": 5}}
    assert writer.get("/v1/items/red-0/photo").content == photo
    put = writer.put("/v1/items/red-1", json={"attributes": {"price": 5}})
    assert (put.json()["product"], put.json()["attributes"]) == (None, {"price": 5})
    assert writer.get("/v1/items/red-1/photo").status_code == 200


def test_what_changes_nothing_is_not_written(
    shop: Shop, context: AppContext, writer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = base64_of(png())
    lines = [
        {"id": "new", "photo_base64": photo, "product": "p", "attributes": {"price": 3, "tags": ["a", {"b": 1}]}},
        {"id": "red-0", "attributes": {"price": 5}},
        {"id": "blue-0", "delete": True},
        {"id": "red-1", "photo_base64": base64_of(shop.photo("red-1").read_bytes())},
    ]
    assert statuses(sent(writer, *lines)) == ["added", "updated", "deleted", "unchanged"]
    version = context.default.retriever.gallery.version

    def refuse(*_: object) -> None:
        raise AssertionError("embedded again")

    monkeypatch.setattr(context.default.retriever.embedder, "embed_prepared", refuse)
    assert statuses(sent(writer, *lines)) == ["unchanged"] * 4
    answer = writer.put(
        "/v1/items/new",
        files={"photo": ("x", png())},
        data={"product": "p", "attributes": '{"price": 3, "tags": ["a", {"b": 1}]}'},
    )
    assert answer.status_code == 200
    assert writer.patch("/v1/items/new", json={"attributes": {"price": 3}}).status_code == 200
    assert context.default.retriever.gallery.version == version
    assert statuses(sent(writer, {"id": "new", "attributes": {"tags": ["a", {"b": True}]}})) == ["updated"]  # not 1
    assert item(writer, "new")["attributes"]["tags"] == ["a", {"b": True}]


def test_a_new_photo_is_embedded_and_the_rest_stays(shop: Shop, context: AppContext, writer: TestClient) -> None:
    before, old = item(writer, "red-0"), vectors(context, "red-0")
    report = sent(writer, {"id": "red-0", "photo_base64": base64_of(png((10, 10, 250), 1))})
    assert statuses(report) == ["updated"]
    after = item(writer, "red-0")
    assert {**after, "photo": before["photo"]} == before
    assert writer.get("/v1/items/red-0/photo").content == png((10, 10, 250), 1)
    assert vectors(context, "red-0") != old
    boxed = {"id": "boxed", "photo_base64": base64_of(png()), "box": [8, 10, 40, 50]}
    assert statuses(sent(writer, boxed, {"id": "boxed", "photo_base64": base64_of(png())})) == ["added", "unchanged"]
    assert item(writer, "boxed")["box"] == [8, 10, 40, 50]
    whole = {**boxed, "box": None}
    assert statuses(sent(writer, whole, whole)) == ["updated", "unchanged"]
    assert item(writer, "boxed")["box"] is None
    with_other = {"id": "boxed", "photo_base64": base64_of(png((1, 2, 3)))}
    assert statuses(sent(writer, boxed, with_other)) == ["updated", "updated"]
    assert item(writer, "boxed")["box"] is None  # a box belongs to its photo
    assert statuses(sent(writer, {"id": "boxed", "box": [1, 2, 3, 4]})) == ["photo_needed"]


def test_lines_take_effect_in_their_order(writer: TestClient) -> None:
    photo = base64_of(png())
    report = sent(
        writer,
        {"id": "a", "photo_base64": photo, "attributes": {"at": 1}},
        {"id": "a", "attributes": {"at": 2, "more": True}},
        {"id": "a", "delete": True},
        {"id": "a", "attributes": {"at": 3}},
        {"id": "a", "photo_base64": photo, "attributes": {"at": 4}},
        {"id": "a", "attributes": {"at": 5}},
        {"id": "red-0", "delete": True},
        {"id": "red-0", "photo_base64": photo},
        {"id": "never", "delete": True},
    )
    assert statuses(report) == [
        *("added", "updated", "deleted", "photo_needed", "added", "updated", "deleted", "added", "unchanged")
    ]
    assert item(writer, "a")["attributes"] == {"at": 5}
    assert item(writer, "red-0")["attributes"] == {}


def test_deleted_items_take_their_photos_along(shop: Shop, writer: TestClient) -> None:
    sent(writer, {"id": "a", "photo_base64": base64_of(png())}, {"id": "b", "photo_base64": base64_of(png())})
    assert statuses(sent(writer, {"id": "a", "delete": True}, {"id": "red-0", "delete": True})) == ["deleted"] * 2
    refused(writer.get("/v1/items/a"), "unknown_item")
    assert len([path for path in (shop.gallery / "photos").rglob("*") if path.is_file()]) == 1
    assert shop.photo("red-0").is_file()  # of the catalogue


@pytest.mark.parametrize(
    "line",
    [
        {"id": "red-0", "delete": True, "attributes": {}},
        {"id": "red-0", "delete": "yes"},
        {"id": "red-0", "replace": True, "unset": ["price"]},
        {"id": "red-0", "attributes": {"price": 1}, "unset": ["price"]},
        {"id": "red-0", "remove": True},
        {"id": "red-0", "product": 3},
        {"id": "red-0", "photo": "a.png", "photo_base64": ""},
    ],
)
def test_contradictions_change_nothing(shop: Shop, writer: TestClient, line: dict[str, Any]) -> None:
    before = shop.contents()
    assert statuses(sent(writer, line)) == ["invalid"]
    assert shop.contents() == before


def test_a_line_that_cannot_be_stored_does_not_stop_the_others(writer: TestClient) -> None:
    report = sent(
        writer,
        {"id": "red-0", "attributes": {"price": 5}},
        {"id": "red-1", "attributes": {"price": 2**70}},
        {"id": "red-2", "attributes": {"price": "\ud800"}},
        {"id": "blue-0", "attributes": {"price": 6}},
    )
    assert statuses(report) == ["updated", "bad_request", "bad_request", "updated"]
    assert item(writer, "blue-0")["attributes"]["price"] == 6


def test_what_is_set_on_an_item_of_a_catalogue_stays(shop: Shop, writer: TestClient) -> None:
    """By a line, by PATCH, by PUT, and with a new photo: all is set by hand until it is unset."""
    sent(writer, {"id": "red-0", "attributes": {"price": 5}, "product": "mine"})
    writer.patch("/v1/items/red-1", json={"attributes": {"price": 5}})
    writer.put("/v1/items/red-2", json={"product": "mine", "attributes": {"price": 5}})
    sent(writer, {"id": "blue-0", "photo_base64": base64_of(png()), "attributes": {"price": 5}})
    indexed_again(shop)
    assert item(writer, "red-0")["attributes"] == {**RED, "price": 5}
    assert [item(writer, name)["product"] for name in ("red-0", "red-1", "red-2")] == ["mine", "red", "mine"]
    assert item(writer, "red-1")["attributes"]["price"] == 5
    assert item(writer, "red-2")["attributes"] == {"price": 5}
    assert item(writer, "blue-0")["attributes"]["price"] == 5
    assert writer.get("/v1/items/blue-0/photo").content == shop.photo("blue-0").read_bytes()

    assert statuses(sent(writer, {"id": "red-0", "unset": ["price"]})) == ["updated"]
    assert statuses(sent(writer, {"id": "red-0", "unset": ["price"]})) == ["unchanged"]
    assert writer.patch("/v1/items/red-1", json={"unset": ["price"]}).json()["attributes"]["price"] == 1
    back = writer.patch(
        "/v1/items/red-2", json={"unset": ["colour", "season", "product"], "attributes": {"price": 6}}
    ).json()
    assert back["product"] == "red"
    assert statuses(sent(writer, {"id": "red-0", "unset": ["product"]})) == ["updated"]
    assert item(writer, "red-0")["product"] == "red"
    assert back["attributes"] == {"colour": "Red", "season": "Summer", "price": 6}
    refused(writer.patch("/v1/items/red-0", json={"unset": ["prize"]}), "unknown_name")


def test_what_is_set_on_an_item_without_a_catalogue_is_its_own(context: AppContext, writer: TestClient) -> None:
    sent(writer, {"id": "a", "photo_base64": base64_of(png()), "attributes": {"price": 1, "size": "M"}})
    sent(writer, {"id": "a", "attributes": {"price": 2, "size": None}})
    assert writer.patch("/v1/items/a", json={"unset": ["price"]}).json()["attributes"] == {"price": 2}
    assert context.default.retriever.gallery.stored_items(["a"])["a"].overrides == {}


def test_a_photo_that_was_lost_is_stored_again(shop: Shop, writer: TestClient) -> None:
    line = {"id": "a", "photo_base64": base64_of(png())}
    sent(writer, line)
    [photo] = [path for path in (shop.gallery / "photos").rglob("*") if path.is_file()]
    photo.unlink()
    assert statuses(sent(writer, line, line)) == ["updated", "unchanged"]
    assert writer.get("/v1/items/a/photo").content == png()


def test_garments_stay_with_the_item(writer: TestClient, street_photo: Path) -> None:
    photo = base64_of(street_photo.read_bytes())
    line = {"id": "look", "photo_base64": photo, "garments": True}
    assert statuses(sent(writer, line, line, {"id": "look", "attributes": {"a": 1}})) == [
        *("added", "unchanged", "updated")
    ]
    found = item(writer, "look")["garments"]
    assert len(found) > 0
    assert statuses(sent(writer, {"id": "look", "photo_base64": photo}, {"id": "look", "garments": True})) == [
        *("unchanged", "unchanged")
    ]
    assert statuses(sent(writer, {"id": "look", "garments": False})) == ["photo_needed"]
    assert statuses(sent(writer, {**line, "garments": False})) == ["updated"]
    assert "garments" not in item(writer, "look")
    assert item(writer, "look")["attributes"] == {"a": 1}


def test_many_lines_give_what_one_after_the_other_gives(writer: TestClient, context: AppContext) -> None:
    """Random lines in one request, and the same lines in a request each, on items of other ids."""
    random = np.random.default_rng(15)

    def line() -> dict[str, Any]:
        made: dict[str, Any] = {"id": str(random.integers(4))}
        if random.random() < 0.15:
            return {**made, "delete": True}
        if random.random() < 0.5:
            made["photo_base64"] = base64_of(png((int(random.integers(3)), 60, 90)))
        made["attributes"] = {
            name: [None, 1, "x"][random.integers(3)] for name in ("a", "b", "c") if random.random() < 0.5
        }
        if random.random() < 0.2:
            made["replace"] = True
        return made

    lines = [line() for _ in range(80)]
    together = sent(writer, *({**each, "id": f"one {each['id']}"} for each in lines))
    each = [statuses(sent(writer, {**one, "id": f"two {one['id']}"}))[0] for one in lines]
    assert statuses(together) == each
    for number in range(4):
        one, two = (writer.get(f"/v1/items/{name} {number}").json() for name in ("one", "two"))
        assert one.get("attributes") == two.get("attributes")
        if "attributes" in one:
            assert vectors(context, f"one {number}") == vectors(context, f"two {number}")
