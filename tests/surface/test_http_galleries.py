"""Several galleries in one server: paths with a name, one model for all, and what a name must not be taken for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.errors import UsageError
from lookalike.server.app import MODULES, create_app
from lookalike.server.context import AppContext
from lookalike.server.gallery_names import RESERVED, check_gallery_name, named_galleries
from lookalike.server.gallery_paths import split_path
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context


@pytest.fixture
def galleries(shop: Shop, tmp_path: Path) -> dict[str, str]:
    """The shop twice: in `bags`, what was red is gone."""
    bags = tmp_path / "bags.gallery"
    shutil.copytree(shop.gallery, bags)
    with lookalike.open(bags, model=str(shop.model)) as opened:
        opened.gallery.remove(["red-0", "red-1", "red-2"])
    return {"shoes": str(shop.gallery), "bags": str(bags)}


@pytest.fixture
def served(galleries: dict[str, str], shop: Shop) -> AppContext:
    return open_context(galleries, settings=Settings(workers=2), token=TOKEN.encode(), model=str(shop.model))


@pytest.fixture
def both(served: AppContext) -> Iterator[TestClient]:
    with TestClient(create_app(served), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def ids(client: TestClient, path: str) -> set[str]:
    return {item["id"] for item in client.get(path).json()["items"]}


def test_paths_without_a_name_mean_the_first_gallery(both: TestClient) -> None:
    assert (
        ids(both, "/v1/items")
        == ids(both, "/v1/shoes/items")
        == ids(both, "/v1/bags/items")
        | {
            "red-0",
            "red-1",
            "red-2",
        }
    )


def test_every_route_works_with_the_name_of_a_gallery(both: TestClient, shop: Shop) -> None:
    with shop.photo("red-1").open("rb") as photo:
        answer = both.post("/v1/bags/search", files={"photo": photo}, data={"k": "20"}).json()
    assert {match["id"] for match in answer["matches"]} == ids(both, "/v1/bags/items")
    assert both.get("/v1/bags/info").json()["items"] == 9
    assert both.get("/v1/bags/facets", params={"where": "colour = 'Red'"}).json()["total"] == 0
    assert both.get("/v1/bags/items/red-0").status_code == 404
    assert both.get("/v1/bags/items/blue-0/photo", params={"size": 16}).headers["Content-Type"] == "image/jpeg"
    name = "a/b c"  # an id is any text, in a gallery with a name as well
    with shop.photo("red-1").open("rb") as photo:
        assert both.put("/v1/bags/items/a%2Fb%20c", files={"photo": photo}).json()["id"] == name
    assert name in ids(both, "/v1/bags/items")
    assert name not in ids(both, "/v1/items")
    assert both.get("/v1/bags/items/a%2Fb%20c/photo").status_code == 200
    patched = both.patch("/v1/bags/items/a%2Fb%20c", json={"attributes": {"price": 3}})
    assert patched.json()["attributes"] == {"price": 3}
    line = '{"id": "a/b c", "attributes": {"price": 4}}\n'
    kind = {"Content-Type": "application/x-ndjson"}
    assert both.post("/v1/bags/items", content=line, headers=kind).json()["updated"] == 1
    assert both.delete("/v1/bags/items/a%2Fb%20c").status_code == 204
    assert both.get("/v1/bags/items/a%2Fb%20c").status_code == 404


def test_lists_the_galleries(both: TestClient) -> None:
    shoes, bags = both.get("/v1/galleries").json()["galleries"]
    assert shoes == {
        "name": "shoes",
        "items": 12,
        "spaces": ["deep", "color"],
        "model": both.get("/v1/info").json()["model"],
        "photos": True,
        "words": False,
    }
    assert (bags["name"], bags["items"]) == ("bags", 9)


def test_galleries_of_one_model_share_it(served: AppContext, galleries: dict[str, str], shop: Shop) -> None:
    one, other = served.galleries.values()
    assert one.opened.embedder is other.opened.embedder
    assert one.searches is other.searches is served.searches
    assert one.decoding is served.decoding
    assert one.facets is not other.facets
    with TestClient(create_app(served)):
        pass


def test_a_copy_of_a_model_is_the_same_model(galleries: dict[str, str], shop: Shop, tmp_path: Path) -> None:
    copied, third = tmp_path / "copy.onnx", tmp_path / "third.gallery"
    shutil.copyfile(shop.model, copied)
    with lookalike.open(third, model=str(copied)) as opened:
        opened.index(shop.table)
    context = open_context({**galleries, "third": str(third)}, settings=Settings(workers=1))
    try:
        assert len({each.opened.embedder for each in context.galleries.values()}) == 1
    finally:
        context.stop()


def test_galleries_of_two_models(galleries: dict[str, str], shop: Shop, tmp_path: Path) -> None:
    other = tmp_path / "other.gallery"
    with lookalike.open(other, model=str(shop.other_model)) as opened:
        opened.index(shop.table)
    context = open_context({**galleries, "other": str(other)}, settings=Settings(workers=1))
    with TestClient(create_app(context)) as client:
        for name in ("shoes", "bags", "other"):
            with shop.photo("blue-1").open("rb") as photo:
                answer = client.post(f"/v1/{name}/search", files={"photo": photo}, data={"k": "1"}).json()
            assert answer["matches"][0]["id"] == "blue-1"
        models = [each["model"] for each in client.get("/v1/galleries").json()["galleries"]]
        assert models[0] == models[1] != models[2]
        assert client.get("/readyz").status_code == 200
        shutil.rmtree(other)
        assert client.get("/readyz").status_code == 503
        assert client.get("/v1/items").status_code == 200


@pytest.mark.parametrize("path", ["/v1/hats/search", "/v1/hats/info", "/v1/hats/items/red-0", "/v1/Bags/info"])
def test_an_unknown_name_tells_nothing_of_the_others(both: TestClient, path: str) -> None:
    answer = both.post(path, json={"id": "red-0"}) if path.endswith("search") else both.get(path)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_gallery")
    assert "shoes" not in answer.text
    assert "bags" not in answer.text


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (b"/v1/bags/search", ("bags", b"/v1/search")),
        (b"/v1/b%61gs/items/a%2Fb", ("bags", b"/v1/items/a%2Fb")),
        (b"/v1/bags%2Fsearch", (None, b"/v1/bags%2Fsearch")),
        (b"/v1/bags", (None, b"/v1/bags")),
        (b"/v1/items/bags", (None, b"/v1/items/bags")),
        (b"/v1/%69tems/bags", (None, b"/v1/%69tems/bags")),
        (b"/v1/../bags/search", (None, b"/v1/../bags/search")),
        (b"/v1//bags/search", (None, b"/v1//bags/search")),
        (b"/v1/-bags/search", (None, b"/v1/-bags/search")),
        (b"/v1/bags\xc2\xaa/search", (None, b"/v1/bags\xc2\xaa/search")),
        (b"/v1/bags/bags/search", ("bags", b"/v1/bags/search")),
        (b"/bags/v1/search", (None, b"/bags/v1/search")),
    ],
)
def test_a_name_is_one_segment_as_it_was_sent(path: bytes, expected: tuple[str | None, bytes]) -> None:
    assert split_path(path) == expected


def test_a_name_counts_once(both: TestClient) -> None:
    assert both.get("/v1/bags/bags/info").json()["error"]["code"] == "not_found"
    assert both.get("/v1/shoes/bags/info").json()["error"]["message"].startswith("no route at /v1/shoes/bags/info")
    assert both.get("/v1/bags/galleries").json()["error"]["code"] == "not_found"


def test_no_gallery_can_take_the_name_of_a_route() -> None:
    routes = [route for module in MODULES for route in module.router.routes if isinstance(route, APIRoute)]
    assert {route.path_format.split("/")[2] for route in routes} <= RESERVED
    for name in (*sorted(RESERVED), "", "-", "a/b", "ä", "a" * 65, "a.b", "{gallery}"):
        with pytest.raises(UsageError):
            check_gallery_name(name)
    for name in ("bags", "7", "winter_2026-27", "a" * 64):
        check_gallery_name(name)


def test_names_on_the_command_line() -> None:
    assert named_galleries(["shop.gallery"], {}) == {"default": "shop.gallery"}
    assert named_galleries(["a=x=y", "milvus://h:1/c?shards=4"], {"b": "z"}) == {
        "a": "x=y",
        "default": "milvus://h:1/c?shards=4",
        "b": "z",
    }
    for given, configured in (
        ([], {}),
        (["x", "y"], {}),
        (["a=x", "a=y"], {}),
        (["a=x"], {"a": "y"}),
        (["items=x"], {}),
    ):
        with pytest.raises(UsageError):
            named_galleries(given, configured)


def test_metrics_name_the_gallery(both: TestClient) -> None:
    both.get("/v1/bags/info")
    both.get("/v1/info")
    both.get("/v1/hats/info")
    both.get("/healthz")
    text = both.get("/metrics").text
    for line in (
        'lookalike_requests_total{gallery="bags",method="GET",route="/v1/info",status="200"} 1.0',
        'lookalike_requests_total{gallery="shoes",method="GET",route="/v1/info",status="200"} 1.0',
        'lookalike_requests_total{gallery="",method="GET",route="/v1/info",status="404"} 1.0',
        'lookalike_requests_total{gallery="",method="GET",route="/healthz",status="200"} 1.0',
        'lookalike_gallery_items{gallery="bags"} 9.0',
        'lookalike_gallery_items{gallery="shoes"} 12.0',
    ):
        assert line in text, text


def test_the_document_has_each_route_with_a_name_once(served: AppContext) -> None:
    paths = create_app(served).openapi()["paths"]
    served.stop()
    plain = {path for path in paths if path.startswith("/v1/") and not path.startswith("/v1/{gallery}/")}
    named = {path.replace("/{gallery}", "") for path in paths if path.startswith("/v1/{gallery}/")}
    assert named == plain - {"/v1/galleries", "/v1/admin/reload"}
    operations = [operation for path in paths.values() for operation in path.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
