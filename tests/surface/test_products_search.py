"""Answers of products through every door: the command line, HTTP and Python answer alike."""

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
from lookalike.errors import UnknownNameError, UsageError
from lookalike.render.html import html_page
from lookalike.render.montage import montage
from lookalike.render.notebook import notebook_html

RED = Image.new("RGB", (60, 48), (200, 30, 40))


@pytest.fixture
def opened(shop: Shop) -> Iterator[lookalike.Retriever]:
    with lookalike.open(shop.gallery, model=shop.model) as retriever:
        yield retriever


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as all doors give it: photos of HTTP are relative, it alone has an id, and times differ."""
    del answer["took_ms"], answer["query"]["photo"]
    answer["query"].pop("id", None)
    for match in answer["matches"]:
        for each in (match, *match.get("variants", ())):
            each["photo"] = each["photo"].rpartition("/")[2]
    return answer


def test_photos_of_a_product_are_one_match(opened: lookalike.Retriever) -> None:
    photos = opened.search(RED, k=12)
    products = opened.search(RED, group="product")
    assert [match.item.product for match in products.matches] == [
        *dict.fromkeys(match.item.product for match in photos.matches)
    ]
    scores = {match.item.id: match.score for match in photos.matches}
    for match in products.matches:
        same = [each.item.id for each in photos.matches if each.item.product == match.item.product]
        assert [match.item.id, *(each.item.id for each in match.variants)] == same
        assert match.variant_count == len(same) - 1 == 2
        assert all(each.score == scores[each.item.id] for each in match.variants)
    assert products.to_json()["query"]["group"] == "product"
    assert "group" not in photos.to_json()["query"] and "variants" not in photos.to_json()["matches"][0]


def test_a_query_item_leaves_its_product_out(opened: lookalike.Retriever) -> None:
    answer = opened.search(item="red-1", group="product", k=10)
    assert [match.item.product for match in answer.matches if match.item.product == "red"] == []
    assert len(answer.matches) == 3
    unlike = opened.search(item="red-1", unlike_item="blue-1", group="product", k=10)
    assert {match.item.product for match in unlike.matches} == {"green", "white"}
    by_photo = opened.search([RED, RED], group="product", k=10)
    assert len(by_photo.matches) == 4


def test_every_door_groups_alike(
    opened: lookalike.Retriever, shop: Shop, client: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    RED.save(tmp_path / "q.png")
    options = ["-g", str(shop.gallery), "--model", str(shop.model)]
    for more, names in (
        (["--group", "product", "-k", "3"], {"group": "product", "k": "3"}),
        (["--group", "product", "-k", "2", "--offset", "1"], {"group": "product", "k": "2", "offset": "1"}),
        (["--group", "product", "--where", "price < 12"], {"group": "product", "where": "price < 12"}),
    ):
        python = {name: int(value) if value.isdecimal() else value for name, value in names.items()}
        here = opened.search(tmp_path / "q.png", garment="whole", **python).to_json()  # type: ignore[arg-type]
        assert main(["search", str(tmp_path / "q.png"), *options, "--garment", "whole", *more, "--json"]) == 0
        there = json.loads(capsys.readouterr().out)
        photo = {"photo": ("q.png", (tmp_path / "q.png").read_bytes())}
        served = client.post("/v1/search", files=photo, data={**names, "garment": "whole"}).json()
        assert without_times(json.loads(json.dumps(here))) == without_times(there) == without_times(served)
        by_item = client.post("/v1/search", json={"id": "red-1", **python}).json()
        assert by_item["matches"] and {match["product"] for match in by_item["matches"]} <= {"green", "blue", "white"}
        again = opened.search(item="red-1", **python).to_json()  # type: ignore[arg-type]
        del by_item["query"]["item"], again["query"]["item"]
        assert without_times(json.loads(json.dumps(again))) == without_times(by_item)


@pytest.mark.parametrize(
    ("options", "fields"),
    [
        (["--sort", "-price"], {"sort": "-price"}),
        (["--sort", "season,-price"], {"sort": "season,-price"}),
        (["--boost", "price=-0.5", "--boost", "season:Summer=1"], {"boost": {"price": -0.5, "season:Summer": 1.0}}),
        (["--diversity", "0.5", "--boost", "price=2"], {"diversity": 0.5, "boost": {"price": 2.0}}),
        (["--facets", "--group", "product"], {"facets": True, "group": "product"}),
        (
            ["--facets", "--sort", "price", "-k", "3", "--offset", "2"],
            {"facets": True, "sort": "price", "k": 3, "offset": 2},
        ),
    ],
)
def test_every_door_arranges_alike(
    options: list[str],
    fields: dict[str, Any],
    opened: lookalike.Retriever,
    shop: Shop,
    client: TestClient,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = opened.search(item="red-1", **fields).to_json()
    command = ["search", "--item", "red-1", "-g", str(shop.gallery), "--model", str(shop.model), *options]
    assert main([*command, "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    as_json = client.post("/v1/search", json={"id": "red-1", **fields}).json()
    form = {name: json.dumps(value) if isinstance(value, dict | bool) else value for name, value in fields.items()}
    as_form = client.post("/v1/search", files={"id": (None, "red-1")}, data=form).json()
    answers = [without_times(answer) for answer in (json.loads(json.dumps(here)), there, as_json, as_form)]
    assert answers[0] == answers[1] == answers[2] == answers[3]
    query = answers[0]["query"]
    assert query["relevant"] == (3 if "group" in fields else 11)
    assert {name: query.get(name) for name in fields if name not in ("facets", "k")} == {
        name: value for name, value in fields.items() if name not in ("facets", "k")
    }
    assert ("facets" in answers[0]) is ("facets" in fields)
    if fields.keys() & {"sort", "boost", "diversity"}:
        ranks = [match["similarity_rank"] for match in answers[0]["matches"]]
        assert len({*ranks}) == len(ranks) and ranks != sorted(ranks)
    assert main(command) == 0
    told = capsys.readouterr()
    assert f"{query['relevant']} relevant {'products' if 'group' in fields else 'matches'}" in told.err
    assert ("season: Summer" in told.out) is ("facets" in fields)


def test_an_order_is_explained(opened: lookalike.Retriever) -> None:
    plain = [match.item.id for match in opened.search(item="red-1", k=11).matches]
    dear = opened.search(item="red-1", k=11, sort="-price").matches
    prices = [match.item.attributes["price"] for match in dear]
    assert prices == sorted(prices, reverse=True)  # type: ignore[type-var]
    assert [plain[(match.similarity_rank or 0) - 1] for match in dear] == [match.item.id for match in dear]
    summer = opened.search(item="red-1", k=11, boost={"season:Summer": 5}).matches
    gains = [match.boost["season:Summer"] for match in summer]
    assert gains == sorted(gains, reverse=True) and {*gains} == {5.0, 0.0}
    assert [match.item.attributes["season"] == "Summer" for match in summer] == [gain > 0 for gain in gains]


def test_what_is_no_attribute_is_refused(
    opened: lookalike.Retriever, shop: Shop, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    for fields, options, message in (
        ({"sort": "prize"}, ["--sort", "prize"], "unknown attribute 'prize'; did you mean 'price'?"),
        ({"boost": {"prize": 1}}, ["--boost", "prize=1"], "unknown attribute 'prize'; did you mean 'price'?"),
        ({"boost": {"season": 1}}, ["--boost", "season=1"], "the attribute 'season' has no numbers or booleans"),
        ({"sort": "price", "boost": {"price": 1}}, ["--sort", "price", "--boost", "price=1"], "sort alone decides"),
    ):
        with pytest.raises(UsageError, match=message[:30]):
            opened.search(item="red-1", **fields)  # type: ignore[arg-type]
        assert main(["search", "--item", "red-1", "-g", str(shop.gallery), *options]) == 2
        assert message in capsys.readouterr().err
        refused = client.post("/v1/search", json={"id": "red-1", **fields})
        assert refused.status_code in (400, 422) and message in refused.json()["error"]["message"], refused.text
    for fields in ({"boost": {}}, {"boost": {"price": 11}}, {"diversity": 2}, {"sort": ""}, {"facets": "perhaps"}):
        assert client.post("/v1/search", json={"id": "red-1", **fields}).status_code == 422


def test_an_unknown_group_is_refused(
    opened: lookalike.Retriever, shop: Shop, client: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UnknownNameError, match="unknown group 'brand'; known: product"):
        opened.search(RED, group="brand")
    assert main(["search", "--item", "red-1", "-g", str(shop.gallery), "--group", "brand"]) == 2
    assert "unknown group 'brand'" in capsys.readouterr().err
    refused = client.post("/v1/search", json={"id": "red-1", "group": "brand"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid")


def test_variants_are_shown(opened: lookalike.Retriever, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "--item", "red-1", "-g", str(shop.gallery), "--group", "product"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "variants" in lines[0] and all(" +2 " in line for line in lines[1:])
    answer = opened.search(item="red-1", group="product")
    page = html_page(opened.gallery.get("red-1"), answer)
    assert "<h1>3 products</h1>" in page and page.count("+2 variants") == 3
    assert notebook_html(answer).count("+2 variants") == 3
    assert montage(None, answer).size[0] > 400


def test_lists_and_facets_count_products(shop: Shop, client: TestClient, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gallery", "list", "-g", str(shop.gallery), "--group", "product", "--limit", "3", "--json"]) == 0
    there = json.loads(capsys.readouterr().out)
    served = client.get("/v1/items", params={"group": "product", "limit": 3}).json()
    assert there["total"] == served["total"] == 4
    assert [item["id"] for item in there["items"]] == [item["id"] for item in served["items"]]
    assert len({item["product"] for item in served["items"]}) == 3
    assert main(["gallery", "list", "-g", str(shop.gallery), "--group", "product", "--limit", "3"]) == 0
    assert "3 of 4 products" in capsys.readouterr().err
    counted = client.get("/v1/facets", params={"group": "product"}).json()
    colors = next(facet for facet in counted["facets"] if facet["name"] == "colour")
    assert counted["total"] == 4 and [value["count"] for value in colors["values"]] == [1, 1, 1, 1]
    items = client.get("/v1/facets").json()
    assert items["total"] == 12 and items != counted
    assert client.get("/v1/facets", params={"group": "brand"}).status_code == 422
    assert main(["gallery", "list", "-g", str(shop.gallery), "--group", "brand"]) == 2
