"""Privacy of answers: no paths and hosts of the server; and host names that the server does not answer to."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from small_shop import TOKEN, Shop
from starlette.testclient import TestClient

import lookalike
from lookalike.errors import ConfigError
from lookalike.server.app import create_app
from lookalike.server.host_header import name_in
from lookalike.server.presentation import public_photo, redacted
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from lookalike.types import Item

PHOTOS = {
    "here/a.jpg": ("", "here/a.jpg"),
    "/srv/secret/a.jpg": ("", "a.jpg"),
    "/srv/shop/x/a.jpg": ("/srv/shop", "x/a.jpg"),
    "/srv/shop2/a.jpg": ("/srv/shop", "a.jpg"),
    "../../secret/a.jpg": ("/srv/shop", "secret/a.jpg"),
    "s3://bucket-of-ours/x/a.jpg": ("", "a.jpg"),
    "s3://bucket/p/x/a.jpg": ("s3://bucket/p", "x/a.jpg"),
    "http://minio.internal:9000/b/a.jpg?token=geheim#x": ("", "a.jpg"),
    "https://user:pass@cdn.example/a.jpg": ("https://user:pass@cdn.example/", "a.jpg"),
    "x/a.jpg": ("s3://bucket/p", "x/a.jpg"),
}


@pytest.mark.parametrize("photo", PHOTOS)
def test_a_photo_is_shown_from_the_root_on(photo: str) -> None:
    root, shown = PHOTOS[photo]
    assert public_photo(Item("1", photo, root)) == shown


def test_messages_name_no_place() -> None:
    places = ("/srv/shop.gallery", "shop.gallery")
    told = redacted("/srv/shop.gallery is empty; shop.gallery/x: http://minio:9000/b cannot be read", places)
    assert told == "... is empty; .../x: .../b cannot be read"
    assert redacted("workshop.gallery stays", places) == "workshop.gallery stays"


@pytest.fixture
def strange(shop: Shop, tmp_path: Path) -> TestClient:
    """The shop, indexed from a table that names photos by where they are."""
    table = tmp_path / "absolute.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "image"])
        writer.writerows([[name, str(shop.photo(name))] for name in ("red-0", "red-1", "blue-0")])
    gallery = tmp_path / "absolute.gallery"
    with lookalike.open(gallery, model=str(shop.model)) as opened:
        opened.index(table)
        far = Item("far", "http://minio.internal:9000/bucket/far.jpg?token=geheim")
        gone = Item("gone", str(tmp_path / "secret" / "gone.jpg"))
        rows = {space.name: np.ones((2, space.dimension), dtype=np.float32) for space in opened.gallery.spaces}
        opened.gallery.add([far, gone], rows, spaces=opened.gallery.spaces)
    context = open_context(str(gallery), settings=Settings(workers=1), token=TOKEN.encode(), model=str(shop.model))
    client = TestClient(create_app(context), raise_server_exceptions=False)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client


def test_no_answer_tells_a_path_or_a_host(strange: TestClient, shop: Shop, tmp_path: Path) -> None:
    photo = shop.photo("red-0").read_bytes()
    with strange as client:
        answers = {
            "search": client.post("/v1/search", files={"photo": ("q.png", photo)}),
            "by item": client.post("/v1/search", json={"id": "red-0", "k": 5}),
            "item": client.get("/v1/items/red-0"),
            "items": client.get("/v1/items"),
            "info": client.get("/v1/info"),
            "facets": client.get("/v1/facets"),
            "put": client.put("/v1/items/new", files={"photo": ("q.png", photo)}),
            "patch": client.patch("/v1/items/red-0", json={"attributes": {"a": 1}}),
            "gone": client.get("/v1/items/gone/photo"),
            "small gone": client.get("/v1/items/gone/photo", params={"size": 50}),
            "bulk": client.post(
                "/v1/items",
                content=b'{"id": "x", "photo": "none.jpg"}\n{"id": "y", "photo_base64": "AAAA"}\n',
                headers={"Content-Type": "application/x-ndjson"},
            ),
            "metrics": client.get("/metrics"),
        }
    assert [answers[name].status_code for name in ("search", "by item", "item", "put", "patch")] == [200] * 3 + [
        201,
        200,
    ]
    shown = {match["id"]: match["photo"] for match in answers["by item"].json()["matches"]}
    assert shown["red-1"] == "red-1.png"
    assert answers["gone"].json()["error"]["code"] == "photo_gone"
    for name, answer in answers.items():
        for secret in (str(tmp_path), str(shop.folder), "minio", "internal:9000", "geheim", "bucket/far"):
            assert secret not in answer.text, name


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("Shop.Example:80", "shop.example"),
        ("[::1]:80", "::1"),
        ("127.0.0.1", "127.0.0.1"),
        ("localhost:1", "localhost"),
        ("Localhost.:1", "localhost"),
        ("shop.example.", "shop.example"),
        ("[::FFFF:127.0.0.1]", "::ffff:127.0.0.1"),
        ("", ""),
        ("[127.0.0.1]evil.example", None),
        ("[localhost]", None),
        ("localhost:evil", None),
        ("localhost:80:80", None),
        ("::1", None),
        ("a@localhost", None),
        ("localhost, evil.example", None),
        ("localhost/x", None),
    ],
)
def test_the_name_in_a_host(host: str, name: str | None) -> None:
    assert name_in(host) == name


@pytest.mark.parametrize(
    ("hosts", "address", "host", "status"),
    [
        ((), "127.0.0.1", "127.0.0.1:8000", 200),
        ((), "127.0.0.1", "localhost", 200),
        ((), "::1", "[::1]:8000", 200),
        ((), "127.0.0.1", "localhost.", 200),
        ((), "127.0.0.1", "evil.example:8000", 421),
        ((), "127.0.0.1", "[127.0.0.1]evil.example", 400),
        ((), "127.0.0.1", "localhost:evil.example", 400),
        ((), "127.0.0.1", "0.0.0.0", 421),
        ((), "127.0.0.1", "", 421),
        ((), "127.0.0.1", "2130706433", 421),
        (("Shop.Example.",), "127.0.0.1", "shop.example", 200),
        (("[fd00::1]",), "127.0.0.1", "[fd00::1]:8000", 200),
        ((), "127.0.0.1", "localhost.evil.example", 421),
        ((), "127.0.0.1", "127.0.0.1.evil.example", 421),
        ((), "::ffff:127.0.0.1", "evil.example", 421),
        ((), "10.0.0.5", "anything.example", 200),
        (("shop.example",), "127.0.0.1", "SHOP.example", 200),
        (("shop.example",), "127.0.0.1", "evil.example", 421),
        (("shop.example",), "10.0.0.5", "evil.example", 421),
        (("shop.example",), "10.0.0.5", "shop.example:443", 200),
    ],
)
def test_only_known_names_are_answered(
    shop: Shop, hosts: tuple[str, ...], address: str, host: str, status: int
) -> None:
    context = open_context(str(shop.gallery), settings=Settings(workers=1, hosts=hosts), model=str(shop.model))
    with TestClient(
        create_app(context), base_url=f"http://[{address}]" if ":" in address else f"http://{address}"
    ) as to:
        answer = to.get("/v1/info", headers={"Host": host})
        assert answer.status_code == status, answer.text
        if status == 421:
            assert answer.json()["error"]["code"] == "unknown_host"
            assert answer.headers["x-request-id"]


@pytest.mark.parametrize("host", ["https://shop.example", "shop.example:80", "shop.example/x", "a b", ""])
def test_hosts_are_names(host: str) -> None:
    with pytest.raises(ConfigError, match="expected a host name"):
        Settings(hosts=(host,))


def test_pages_of_other_sites_may_send_nothing(client: TestClient) -> None:
    asked = {"id": "red-0"}
    assert client.post("/v1/search", json=asked, headers={"Origin": "http://testserver"}).status_code == 200
    for origin in ("http://evil.example", "null", "http://testserver.evil.example", "http://["):
        answer = client.post("/v1/search", json=asked, headers={"Origin": origin})
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_origin"), origin
    assert client.get("/v1/info", headers={"Origin": "http://evil.example"}).status_code == 200


def test_pages_of_origins_that_are_named_may(shop: Shop) -> None:
    settings = Settings(workers=1, origins=("https://shop.example",))
    context = open_context(str(shop.gallery), settings=settings, model=str(shop.model))
    with TestClient(create_app(context)) as client:
        answer = client.post("/v1/search", json={"id": "red-0"}, headers={"Origin": "https://shop.example"})
        assert answer.headers["access-control-allow-origin"] == "https://shop.example"
