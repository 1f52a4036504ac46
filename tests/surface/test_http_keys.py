"""Keys over HTTP: who gets which gallery, from which web page, how often; and what an attacker tries."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

from lookalike.server.app import MODULES, create_app
from lookalike.server.context import AppContext, caller_of, context_of, photo_context_of
from lookalike.server.keys import KeyFile, add_key
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context

SHOP, EVIL = "https://shop.example", "https://evil.example"


@pytest.fixture
def texts(tmp_path: Path) -> dict[str, str]:
    """Keys by name."""
    file = tmp_path / "keys.toml"
    return {
        "reader": add_key(file, "reader"),
        "page": add_key(file, "page", galleries=["bags"], origins=[SHOP]),
        "bags": add_key(file, "bags", galleries=["bags"]),
        "slow": add_key(file, "slow", rate="3/h"),
        "nightly": add_key(file, "nightly", write=True, galleries=["bags"]),
        "admin": add_key(file, "admin", write=True),
    }


@pytest.fixture
def served(shop: Shop, texts: dict[str, str], tmp_path: Path) -> AppContext:
    """Two galleries that are searched with keys only."""
    bags = tmp_path / "bags.gallery"
    shutil.copytree(shop.gallery, bags)
    return open_context(
        {"shoes": str(shop.gallery), "bags": str(bags)},
        settings=Settings(workers=2, open=False),
        token=TOKEN.encode(),
        keys=KeyFile.read(tmp_path / "keys.toml"),
        model=str(shop.model),
    )


@pytest.fixture
def client(served: AppContext) -> Iterator[TestClient]:
    with TestClient(create_app(served), raise_server_exceptions=False) as client:
        yield client


def bearer(text: str, **headers: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}", **headers}


def code(answer: object) -> tuple[int, str]:
    assert hasattr(answer, "status_code")
    return answer.status_code, "" if answer.status_code < 400 else answer.json()["error"]["code"]  # type: ignore[attr-defined]


def test_every_route_of_the_api_asks_who_calls() -> None:
    """None gets at a gallery, or at the list of them, without one of these."""
    for module in MODULES:
        for route in module.router.routes:
            asked = {each.call for each in route.dependant.dependencies}  # type: ignore[attr-defined]
            assert asked & {context_of, photo_context_of, caller_of}, route


@pytest.mark.parametrize("name", ["/v1", "/v1/shoes", "/v1/none"])
def test_a_closed_server_needs_a_key_whatever_is_asked(client: TestClient, name: str) -> None:
    for method, path in (
        ("POST", "/search"),
        ("POST", "/garments"),
        ("GET", "/items"),
        ("POST", "/items"),
        ("GET", "/items/red-0"),
        ("PUT", "/items/red-0"),
        ("PATCH", "/items/red-0"),
        ("DELETE", "/items/red-0"),
        ("GET", "/items/red-0/photo"),
        ("HEAD", "/items/red-0/photo"),
        ("GET", "/facets"),
        ("GET", "/info"),
        ("GET", "/photo-ticket"),
    ):
        for headers in ({}, bearer("lk_nonsense"), bearer(""), {"Authorization": "Basic abc"}, {"X-API-Key": "lk_x"}):
            answer = client.request(method, name + path, headers=headers)
            assert answer.status_code == 401, (method, path, headers)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
            assert "shoes" not in answer.text.replace("/v1/shoes", "")
    assert code(client.get("/v1/galleries")) == (401, "unauthorized")
    for path in ("/healthz", "/readyz", "/", "/openapi.json", "/docs"):
        assert client.get(path).status_code == 200


def test_a_key_in_a_url_is_none(client: TestClient, texts: dict[str, str]) -> None:
    for name in ("key", "token", "api_key", "access_token", "authorization", "ticket"):
        assert client.get("/v1/info", params={name: texts["reader"]}).status_code in (400, 401)
    assert code(client.get("/v1/items/red-0/photo", params={"ticket": texts["reader"]})) == (401, "unauthorized")


def test_a_key_gets_its_galleries(client: TestClient, texts: dict[str, str]) -> None:
    names = {
        name: [each["name"] for each in client.get("/v1/galleries", headers=bearer(texts[name])).json()["galleries"]]
        for name in ("reader", "bags", "nightly", "admin")
    }
    assert names == {
        "reader": ["shoes", "bags"],
        "bags": ["bags"],
        "nightly": ["bags"],
        "admin": ["shoes", "bags"],
    }
    ask = {"id": "red-0", "k": 1}
    assert code(client.post("/v1/bags/search", json=ask, headers=bearer(texts["bags"]))) == (200, "")
    hidden = client.post("/v1/shoes/search", json=ask, headers=bearer(texts["bags"]))
    missing = client.post("/v1/hats/search", json=ask, headers=bearer(texts["bags"]))
    assert code(hidden) == code(missing) == (404, "unknown_gallery")
    assert hidden.text.replace("shoes", "hats") == missing.text  # that there is one shows nowhere


def test_a_path_without_a_name_is_the_first_gallery_of_the_key(client: TestClient, texts: dict[str, str]) -> None:
    admin, bags = bearer(texts["admin"]), bearer(texts["bags"])
    assert client.patch("/v1/bags/items/red-0", json={"attributes": {"price": 77}}, headers=admin).status_code == 200
    assert client.get("/v1/items/red-0", headers=bags).json()["attributes"]["price"] == 77
    assert client.get("/v1/items/red-0", headers=bearer(texts["reader"])).json()["attributes"]["price"] == 0


def test_reading_keys_write_nothing_and_writing_keys_where_they_may(client: TestClient, texts: dict[str, str]) -> None:
    change = {"attributes": {"price": 5}}
    expected = {
        ("reader", "shoes"): (403, "forbidden"),
        ("reader", "bags"): (403, "forbidden"),
        ("bags", "bags"): (403, "forbidden"),
        ("bags", "shoes"): (404, "unknown_gallery"),
        ("nightly", "bags"): (200, ""),
        ("nightly", "shoes"): (404, "unknown_gallery"),
        ("admin", "shoes"): (200, ""),
        ("admin", "bags"): (200, ""),
    }
    for (name, gallery), status in expected.items():
        answer = client.patch(f"/v1/{gallery}/items/red-0", json=change, headers=bearer(texts[name]))
        assert code(answer) == status, (name, gallery)
    assert code(client.patch("/v1/items/red-0", json=change, headers=bearer(TOKEN))) == (200, "")
    # What costs much is for those who may write.
    slow = {"id": "red-0", "metrics": {"deep": "braycurtis"}}
    assert code(client.post("/v1/bags/search", json=slow, headers=bearer(texts["reader"]))) == (403, "owner_only")
    assert code(client.post("/v1/bags/search", json=slow, headers=bearer(texts["nightly"]))) == (200, "")


def test_a_rate_is_kept(client: TestClient, texts: dict[str, str]) -> None:
    slow = bearer(texts["slow"])
    # whatever is asked counts, also names of galleries that there are not
    assert [client.get(path, headers=slow).status_code for path in ("/v1/info", "/v1/hats/info", "/v1/galleries")] == [
        200,
        404,
        200,
    ]
    answer = client.get("/v1/info", headers=slow)
    assert code(answer) == (429, "rate_limited")
    assert answer.json()["error"]["limit"] == "3/h"
    assert 1 <= int(answer.headers["Retry-After"]) == answer.json()["error"]["retry_after"] <= 1200
    assert client.get("/v1/info", headers=bearer(texts["reader"])).status_code == 200


def test_a_key_for_web_pages_is_for_these_pages(client: TestClient, texts: dict[str, str]) -> None:
    ask = {"id": "red-0", "k": 1}
    good = client.post("/v1/search", json=ask, headers=bearer(texts["page"], Origin=SHOP))
    assert code(good) == (200, "")
    assert good.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Origin" in good.headers["Vary"]
    assert good.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    for headers in (
        bearer(texts["page"], Origin=EVIL),
        bearer(texts["page"], Origin="null"),
        bearer(texts["page"], Origin=SHOP.upper()),
        bearer(texts["page"], Origin=SHOP + ".evil.example"),
        bearer(texts["page"]),
        bearer(texts["reader"], Origin=SHOP),
        bearer(texts["reader"], Origin=EVIL),
    ):
        refused = client.post("/v1/search", json=ask, headers=headers)
        assert code(refused) == (403, "foreign_origin"), headers
        assert refused.headers.get("Access-Control-Allow-Origin") in (None, SHOP)
        assert EVIL not in refused.headers.get("Access-Control-Allow-Origin", "")
    twice = [("Authorization", f"Bearer {texts['page']}"), ("Origin", SHOP), ("Origin", EVIL)]
    assert code(client.post("/v1/search", json=ask, headers=twice)) == (400, "bad_request")
    revoked = client.post("/v1/search", json=ask, headers=bearer("lk_gone", Origin=SHOP))
    assert code(revoked) == (401, "unauthorized")
    assert revoked.headers["Access-Control-Allow-Origin"] == SHOP  # so that the page learns why


def test_a_preflight_lets_a_page_send_its_key(client: TestClient) -> None:
    ask = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,content-type"}
    good = client.options("/v1/search", headers={"Origin": SHOP, **ask})
    assert good.status_code == 200
    assert good.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Authorization" in good.headers["Access-Control-Allow-Headers"]
    bad = client.options("/v1/search", headers={"Origin": EVIL, **ask})
    assert bad.status_code == 400
    assert "Access-Control-Allow-Origin" not in bad.headers


def test_several_authorization_headers_are_none(client: TestClient, texts: dict[str, str]) -> None:
    for one, other in (("reader", "admin"), ("admin", "reader"), ("admin", "admin")):
        headers = [("Authorization", f"Bearer {texts[one]}"), ("Authorization", f"Bearer {texts[other]}")]
        assert code(client.get("/v1/info", headers=headers)) == (401, "unauthorized")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/bags%2Finfo",
            "/v1/%62ags%2finfo",
            "/v1//info",
            "/v1/./info",
            "/v1/shoes/../bags/info",
            "/v1/bags/../info",
        ),
        *("/v1/bags/./info", "/v1/bags//info", "//v1/info", "/v1/bags/shoes/info", "/v1/info/", "/V1/info"),
        *(
            "/v1/bags/info%00",
            "/v1/bags%00/info",
            "/v1/bags;x/info",
            "/v1/shoes%20/info",
            "/v1%2Finfo",
            "/v1/bags/info/",
        ),
    ],
)
def test_no_spelling_of_a_path_gets_around_the_key(client: TestClient, texts: dict[str, str], path: str) -> None:
    url = f"http://testserver{path}"
    assert client.get(url).status_code in (401, 404)
    answer = client.get(url, headers=bearer(texts["bags"]))
    assert answer.status_code in (200, 404)
    if answer.status_code == 200:  # of its own gallery only
        assert answer.json()["items"] == 12


def test_items_may_be_named_like_galleries_and_routes(client: TestClient, shop: Shop, texts: dict[str, str]) -> None:
    admin, reader = bearer(texts["admin"]), bearer(texts["reader"])
    for name in ("bags", "search", "items", "bags%2Fitems%2Fred-0", "..%2F..%2Fbags%2Finfo", "photo"):
        with shop.photo("red-1").open("rb") as photo:
            assert client.put(f"/v1/shoes/items/{name}", files={"photo": photo}, headers=admin).status_code == 201
        assert client.get(f"/v1/shoes/items/{name}", headers=reader).status_code == 200
        assert code(client.get(f"/v1/shoes/items/{name}", headers=bearer(texts["bags"]))) == (404, "unknown_gallery")
        assert code(client.get(f"/v1/items/{name}", headers=bearer(texts["bags"]))) == (404, "unknown_item")


def test_an_image_gets_its_photo_with_a_ticket(client: TestClient, texts: dict[str, str]) -> None:
    page = bearer(texts["page"], Origin=SHOP)
    given = client.get("/v1/bags/photo-ticket", headers=page).json()
    ticket = {"ticket": given["ticket"]}
    assert client.get("/v1/bags/photo-ticket", headers=page).json() == given
    for path in ("/v1/bags/items/red-0/photo", "/v1/bags/items/red-0/photo?size=32"):
        answer = client.get(path, params={**ticket, **({"size": "32"} if "size" in path else {})})
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("image/")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert code(client.get("/v1/shoes/items/red-0/photo", params=ticket)) == (401, "unauthorized")
    assert client.get("/v1/items/red-0/photo", params=ticket).status_code == 200  # the key means bags by it
    assert code(client.get("/v1/hats/items/red-0/photo", params=ticket)) == (401, "unauthorized")
    for path in ("/v1/bags/items/red-0", "/v1/bags/info", "/v1/bags/items"):
        assert client.get(path, params=ticket).status_code in (400, 401)
    assert code(client.get("/v1/bags/photo-ticket", headers=bearer(texts["page"]))) == (403, "foreign_origin")


def test_nothing_of_a_key_is_logged(
    client: TestClient, texts: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        ticket = client.get("/v1/photo-ticket", headers=bearer(texts["reader"])).json()["ticket"]
        client.get("/v1/items/red-0/photo", params={"ticket": ticket})
        client.get("/v1/info", params={"key": texts["reader"]})
        client.get(f"/v1/{texts['reader']}/info")
        client.get("/v1/info", headers=bearer("lk_" + "x" * 43))
        client.patch("/v1/items/red-0", json={"attributes": {}}, headers=bearer(texts["reader"]))
    logged = json.dumps(
        [{**record.__dict__, "args": ""} for record in caplog.records if "lookalike" in record.name], default=str
    )
    assert '"key": "reader"' in logged
    assert "lk_" not in logged
    assert ticket not in logged
    assert TOKEN not in client.get("/metrics").text


def test_an_open_server_with_keys_answers_as_before_and_checks_keys(
    shop: Shop, texts: dict[str, str], tmp_path: Path
) -> None:
    keys = KeyFile.read(tmp_path / "keys.toml")
    context = open_context(str(shop.gallery), settings=Settings(workers=1), keys=keys, model=str(shop.model))
    with TestClient(create_app(context)) as client:
        assert client.get("/v1/info").status_code == 200
        assert client.get("/v1/items/red-0/photo").status_code == 200
        assert client.get("/v1/info", headers={"Origin": EVIL}).status_code == 200
        assert "Access-Control-Allow-Origin" not in client.get("/v1/info", headers={"Origin": EVIL}).headers
        # A page of a key's origin could read what is answered, and has to use its key.
        assert code(client.get("/v1/info", headers={"Origin": SHOP})) == (403, "foreign_origin")
        assert client.get("/component/lookalike.js", headers={"Origin": SHOP}).status_code == 200
        assert code(client.get("/v1/info", headers=bearer("lk_nonsense"))) == (401, "unauthorized")
        assert client.get("/v1/info", headers=bearer(texts["reader"])).json()["writable"] is True
        assert code(client.get("/v1/info", headers=bearer(texts["bags"]))) == (404, "unknown_gallery")
        assert code(client.delete("/v1/items/red-0", headers=bearer(texts["admin"]))) == (204, "")
