"""Writing over HTTP: permission, durability, and immediate searchability."""

from __future__ import annotations

import base64
import io
import json
import logging
from typing import Any

import numpy as np
import pytest
from small_shop import COLORS, TOKEN, Shop, paint
from starlette.testclient import TestClient
from test_http_answers import ids, png, refused

import lookalike
from lookalike.server.access import Access
from lookalike.server.app import create_app
from lookalike.server.context import AppContext
from lookalike.server.logs import JsonLines
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context

WRITES = [("PUT", "/v1/items/x"), ("PATCH", "/v1/items/red-0"), ("DELETE", "/v1/items/red-0"), ("POST", "/v1/items")]


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize(
    "shown", [None, "", "Bearer", "Bearer ", f"Basic {TOKEN}", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", TOKEN]
)
def test_nobody_writes_without_the_token(
    shop: Shop, client: TestClient, method: str, path: str, shown: str | None
) -> None:
    before = shop.contents()
    headers = {} if shown is None else {"Authorization": shown}
    answer = client.request(method, path, json={"attributes": {"price": 1}}, headers=headers)
    refused(answer, "unauthorized")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert shop.contents() == before


def test_a_server_without_a_token_takes_no_writes(context: AppContext, writer: TestClient) -> None:
    context.access = Access(None)
    assert "takes no writes" in refused(writer.delete("/v1/items/red-0"), "unauthorized")["message"]


def test_the_log_has_no_token_no_photo_and_no_query(writer: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="lookalike.server")
    writer.put("/v1/items/new", files={"photo": ("secret-name.png", png())}, data={"attributes": '{"a": "hidden"}'})
    writer.get("/v1/items", params={"where": "colour = 'hidden'"})
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "lookalike.server"]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("PUT", "/v1/items/{id}", 201),
        ("GET", "/v1/items", 200),
    ]
    assert not any("path" in line for line in lines)
    assert {"time", "level", "event", "request", "ms", "received", "sent"} <= set(lines[0])
    text = json.dumps(lines)
    for secret in (TOKEN, "hidden", "secret-name", "PNG", "items/new"):
        assert secret not in text


def test_the_log_has_paths_where_the_settings_say_so_and_still_no_key(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="lookalike.server")
    context = open_context(str(shop.gallery), settings=Settings(workers=1, log_paths=True), model=str(shop.model))
    with TestClient(create_app(context)) as client:
        client.get("/v1/items/red-0", params={"x": "hidden"})
        client.get(f"/v1/items/lk_{'k' * 43}/photo")
    lines = [json.loads(JsonLines().format(record)) for record in caplog.records if record.name == "lookalike.server"]
    assert [line["path"] for line in lines] == ["/v1/items/red-0", "/v1/items/lk_.../photo"]
    assert "hidden" not in json.dumps(lines)


def test_an_item_over_http_is_as_one_from_a_catalogue(shop: Shop, writer: TestClient) -> None:
    photo = shop.photo("red-2")
    made = writer.put(
        "/v1/items/twin", files={"photo": ("x", photo.read_bytes())}, data={"product": "p", "box": "8,10,40,50"}
    )
    assert made.status_code == 201
    assert (made.json()["product"], made.json()["box"]) == ("p", [8, 10, 40, 50])
    table = shop.folder / "boxed.csv"
    table.write_text(f'id,image,box\nboxed,{photo},"8,10,40,50"\n')
    with lookalike.open(shop.gallery, model=str(shop.model)) as opened:
        opened.index(table)
        over_http, by_catalogue = (opened.gallery.vectors(name) for name in ("twin", "boxed"))
    for name in over_http:
        np.testing.assert_array_equal(over_http[name], by_catalogue[name])


def test_what_is_written_is_found_at_once_and_what_is_removed_no_more(writer: TestClient) -> None:
    odd = png((250, 120, 10), 1)
    ask = {"files": {"photo": ("q.png", odd)}, "data": {"k": "1"}}
    assert "orange" not in ids(writer.post("/v1/search", **ask))
    assert writer.put("/v1/items/orange", files={"photo": ("q.png", odd)}).status_code == 201
    assert ids(writer.post("/v1/search", **ask)) == ["orange"]
    assert writer.delete("/v1/items/orange").status_code == 204
    assert "orange" not in ids(writer.post("/v1/search", **ask))
    refused(writer.delete("/v1/items/orange"), "unknown_item")


def test_put_replaces_and_patch_changes(writer: TestClient) -> None:
    path = "/v1/items/mine"
    writer.put(path, files={"photo": ("q.png", png())}, data={"attributes": '{"a": 1, "b": "x"}'})
    assert writer.patch(path, json={"attributes": {"a": 2, "c": [True]}}).json()["attributes"] == {
        "a": 2,
        "b": "x",
        "c": [True],
    }
    assert writer.patch(path, json={"attributes": {"b": None}}).json()["attributes"] == {"a": 2, "c": [True]}
    put = writer.put(path, json={"product": "p", "attributes": {"d": 1}})
    assert (put.status_code, put.json()["product"], put.json()["attributes"]) == (200, "p", {"d": 1})
    again = writer.put(path, files={"photo": ("q.png", png(number=0))}, data={"attributes": '{"a": 1}'})
    assert (again.status_code, again.json()["attributes"]) == (200, {"a": 1})
    assert writer.get(f"{path}/photo").content == png(number=0)
    refused(writer.put("/v1/items/other", json={"product": "p"}), "photo_needed")
    refused(writer.patch("/v1/items/other", json={"attributes": {"a": 1}}), "unknown_item")


def test_photos_that_were_sent_go_with_their_items(shop: Shop, writer: TestClient) -> None:
    def kept() -> int:
        return len([path for path in (shop.gallery / "photos").rglob("*") if path.is_file()])

    for name in ("a", "b"):
        writer.put(f"/v1/items/{name}", files={"photo": ("q.png", png())})
    assert kept() == 2  # the same photo twice, but each belongs to its item
    writer.put("/v1/items/a", files={"photo": ("q.png", png())})
    assert kept() == 2
    writer.put("/v1/items/a", files={"photo": ("q.png", png(number=0))})
    assert kept() == 2
    writer.delete("/v1/items/a")
    assert kept() == 1
    assert writer.get("/v1/items/b/photo").content == png()
    writer.delete("/v1/items/red-0")
    assert shop.photo("red-0").is_file()  # photos of the catalogue are never deleted


def test_a_path_or_url_of_a_request_is_never_opened(shop: Shop, writer: TestClient) -> None:
    for item in ({"photo": str(shop.photo("red-0"))}, {"photo": "https://example.com/x.jpg"}, {"root": "/"}):
        refused(writer.put("/v1/items/evil", json=item), "invalid")
        line = json.dumps({"id": "evil", **item})
        report = writer.post("/v1/items", content=line, headers={"Content-Type": "application/x-ndjson"}).json()
        assert report["failed"] == 1
    answer = writer.post("/v1/search", data={"k": "1"}, files={"photo": ("/etc/hostname", b"/etc/hostname")})
    assert refused(answer, "unreadable_photo")["message"].startswith("hostname: not a photo")
    for field in ({"photo": "/etc/hostname"}, {"photo": "http://127.0.0.1:1/"}):
        refused(writer.post("/v1/search", files={name: (None, text) for name, text in field.items()}), "bad_request")
    refused(writer.get("/v1/items/evil"), "unknown_item")


# Many at once.


def lines(*items: dict[str, Any] | str) -> bytes:
    return "\n".join(item if isinstance(item, str) else json.dumps(item) for item in items).encode()


def test_every_line_is_reported(writer: TestClient) -> None:
    photo = base64.b64encode(png()).decode()
    body = lines(
        {"id": "n1", "photo_base64": photo, "product": "p", "attributes": {"price": 3}},
        "{broken",
        {"id": "n2"},
        "",
        {"id": "red-0", "attributes": {"colour": "Rust"}},
        {"id": "n1", "photo_base64": photo},
        {"id": "n3", "photo_base64": "????"},
        {"id": "n4", "photo_base64": base64.b64encode(b"no photo").decode()},
        {"id": "n5", "photo_base64": photo, "box": [90, 90, 99, 99]},
        {"id": "n6", "photo_base64": photo, "colour": "Red"},
    )
    answer = writer.post("/v1/items", content=body, headers={"Content-Type": "application/x-ndjson"})
    report = answer.json()
    told = [
        (line["line"], line["id"], line["status"], line["error"] and line["error"]["code"]) for line in report["lines"]
    ]
    assert told == [
        (1, "n1", "added", None),
        (2, None, "failed", "bad_request"),
        (3, "n2", "failed", "photo_needed"),
        (5, "red-0", "updated", None),
        (6, "n1", "unchanged", None),
        (7, "n3", "failed", "invalid"),
        (8, "n4", "failed", "unreadable_photo"),
        (9, "n5", "failed", "unreadable_photo"),
        (10, None, "failed", "invalid"),
    ]
    assert (report["added"], report["updated"], report["unchanged"], report["failed"]) == (1, 1, 1, 6)
    assert writer.get("/v1/items/n1").json()["product"] == "p"  # the last line says nothing of it
    assert writer.get("/v1/items/red-0").json()["attributes"] == {"colour": "Rust", "price": 0, "season": "Winter"}


def test_a_form_has_the_photos_beside_the_lines(writer: TestClient) -> None:
    files = []
    for name, color in COLORS.items():
        file = io.BytesIO()
        paint(color, 1).save(file, "PNG")
        files.append(("photo", (f"{name}.png", file.getvalue())))
    body = lines(*({"id": f"form-{name}", "photo": f"{name}.png"} for name in COLORS), {"id": "x", "photo": "none.png"})
    report = writer.post("/v1/items", files=[("items", ("items.ndjson", body)), *files]).json()
    assert (report["added"], report["failed"]) == (4, 1)
    for name, (_, (_, photo)) in zip(COLORS, files, strict=True):
        assert writer.get(f"/v1/items/form-{name}/photo").content == photo


def test_too_many_lines_are_refused_before_any_is_written(shop: Shop, context: AppContext, writer: TestClient) -> None:
    before = shop.contents()
    body = lines(*({"id": "red-0", "attributes": {"at": at}} for at in range(context.settings.bulk_items + 1)))
    answer = writer.post("/v1/items", content=body, headers={"Content-Type": "application/x-ndjson"})
    assert refused(answer, "too_large")["limit"] == context.settings.bulk_items
    assert shop.contents() == before
