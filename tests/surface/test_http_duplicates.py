"""`POST /v1/duplicates`: what was decided of duplicates, as `lookalike gallery merge` applies it."""

from __future__ import annotations

import shutil
from typing import Any

import pytest
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient
from test_http_answers import png, refused

import lookalike
from lookalike.gallery.local.gallery import LocalGallery

PATH = "/v1/duplicates"


def items(*ids: str) -> list[dict[str, str]]:
    return [{"id": item_id} for item_id in ids]


def test_decisions_are_applied_as_in_python(shop: Shop, writer: TestClient) -> None:
    other = shop.gallery.with_name("other.gallery")
    shutil.copytree(shop.gallery, other)
    decisions = [
        {
            "decision": "merge",
            "items": [{"id": "red-0", "product": "red"}, {"id": "blue-0", "content": None}, {"id": "no"}],
        },
        {"decision": "remove", "items": items("red-1", "red-2"), "keep": "red-2"},
        {"decision": "apart", "items": items("red-0", "red-2")},
    ]
    before = shop.contents()
    told = writer.post(PATH, json={"decisions": decisions, "dry_run": True}).json()
    assert (told["dry_run"], shop.contents()) == (True, before)
    done = writer.post(PATH, json={"decisions": decisions}).json()
    assert done == {**told, "dry_run": False}
    asked = [
        lookalike.Decision("merge", ("red-0", "blue-0", "no"), reviewed={"red-0": {"product": "red"}}),
        lookalike.Decision("remove", ("red-1", "red-2"), keep="red-2"),
        lookalike.Decision("apart", ("red-0", "red-2")),
    ]
    wanted = lookalike.apply_decisions(str(other), asked).to_json()
    assert done["left_out"][1] == {"decision": 1, "id": "no", "reason": "is not in the gallery"}
    assert [each["id"] for each in done["left_out"]] == ["blue-0", "no"]  # blue-0 has a photo that is known
    assert {name: done[name] for name in ("removed", "returning", "reviewed")} == {
        "removed": ["red-1"], "returning": ["red-1"], "reviewed": 1,
    }  # fmt: skip
    assert wanted["removed"] == ["red-1"]


def test_merged_products_stay_and_are_brought_apart(shop: Shop, writer: TestClient) -> None:
    decision = {"decision": "merge", "items": items("red-0", "blue-0"), "product": "both"}
    moved = writer.post(PATH, json={"decisions": [decision]}).json()["moved"]
    with lookalike.open(shop.gallery) as opened:
        opened.index(shop.table)
        products = {item.id: item.product for item in opened.gallery.list(limit=None)[1]}
    assert {each["id"]: each["product"] for each in moved} == {
        name: "both" for name in products if products[name] == "both"
    }
    assert {each["before"] for each in moved} == {"red", "blue"}
    assert writer.post(PATH, json={"decisions": [decision]}).json()["moved"] == []
    for each in moved:
        back = writer.patch(f"/v1/items/{each['id']}", json={"unset": ["product"]}).json()
        assert (back["product"], back.get("overrides")) == (each["before"], None)


def test_an_uploaded_copy_is_removed_with_its_photo(shop: Shop, writer: TestClient) -> None:
    writer.put("/v1/items/own", files={"photo": ("q.png", png())})
    decision = {"decision": "remove", "items": items("red-0", "own"), "keep": "red-0"}
    done = writer.post(PATH, json={"decisions": [decision]}).json()
    assert (done["removed"], done["returning"]) == (["own"], [])
    assert [path for path in (shop.gallery / "photos").rglob("*") if path.is_file()] == []


def test_what_changes_nothing_is_taken(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    for decision in (
        {"decision": "merge", "items": items("red-0", "red-0")},
        {"decision": "apart", "items": items("red-0")},
        {"decision": "remove", "items": items("red-0"), "keep": "red-0"},
    ):
        done = writer.post(PATH, json={"decisions": [decision]}).json()
        assert (done["moved"], done["removed"], done["reviewed"], done["left_out"]) == ([], [], 0, [])
    assert shop.contents() == before


def test_only_those_who_may_write_decide(shop: Shop, writer: TestClient) -> None:
    before = shop.contents()
    body = {"decisions": [{"decision": "apart", "items": items("red-0", "blue-0")}]}
    refused(writer.post(PATH, json=body, headers={"Authorization": ""}), "unauthorized")
    refused(writer.post(PATH, json=body, headers={"Authorization": f"Bearer {TOKEN}x"}), "unauthorized")
    with LocalGallery(shop.gallery) as gallery:
        assert gallery.reviews() == []
    assert shop.contents() == before


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"decisions": []},
        {"decisions": [{"decision": "merge", "items": []}]},
        {"decisions": [{"decision": "merge", "items": items("red-0", "red-1"), "keep": "red-0"}]},
        {"decisions": [{"decision": "burn", "items": items("red-0", "red-1")}]},
        {"decisions": [{"decision": "remove", "items": items("red-0", "red-1")}]},
        {"decisions": [{"decision": "apart", "items": items("red-0", "red-1")}] * 101},
        {"decisions": [{"decision": "apart", "items": items("red-0", "red-1"), "product": "p"}]},
        {"decisions": [{"decision": "merge", "items": items("red-0", "red-1"), "product": ""}]},
        {"decisions": [{"decision": "apart", "items": items(*(str(number) for number in range(101)))}]},
        {"decisions": [{"decision": "apart", "items": items("red-0", "red-1")}], "more": 1},
    ],
)
def test_what_is_no_decision_is_refused(shop: Shop, writer: TestClient, body: dict[str, Any]) -> None:
    before = shop.contents()
    refused(writer.post(PATH, json=body), "invalid")
    assert shop.contents() == before
