"""Photos of indexed items that lie in a bucket, over HTTP; and addresses in requests, which are not followed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from small_shop import TOKEN, paint
from starlette.testclient import TestClient

pytest.importorskip("s3fs")
pytest.importorskip("moto")

import lookalike
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from store_servers import BUCKET, WebServer, client, environment, forget_stores, put, s3_server


def png(number: int) -> bytes:
    file = BytesIO()
    paint((200, 30, 40), number).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def served(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    with s3_server() as endpoint:
        for name, value in environment(endpoint).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("LOOKALIKE_CACHE", str(tmp_path / "cache"))
        forget_stores()
        client().create_bucket(Bucket=BUCKET)
        for number in range(2):
            put(f"{number}.png", png(number))
        with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
            shop.index(f"s3://{BUCKET}")
        context = open_context(str(tmp_path / "g"), settings=Settings(), token=TOKEN.encode(), model=str(tiny_model))
        with TestClient(create_app(context), raise_server_exceptions=False) as opened:
            yield opened
        forget_stores()


def test_a_photo_in_a_bucket_is_shown_and_asked_for_again_only_when_it_has_changed(served: TestClient) -> None:
    whole = served.get("/v1/items/0.png/photo")
    assert (whole.status_code, whole.headers["content-type"], whole.content) == (200, "image/png", png(0))
    again = served.get("/v1/items/0.png/photo", headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    small = served.get("/v1/items/0.png/photo?size=32")
    assert max(Image.open(BytesIO(small.content)).size) == 32
    put("0.png", png(1) + b" ")
    changed = served.get("/v1/items/0.png/photo", headers={"If-None-Match": whole.headers["etag"]})
    assert (changed.status_code, changed.content) == (200, png(1) + b" ")
    client().delete_object(Bucket=BUCKET, Key="0.png")
    gone = served.get("/v1/items/0.png/photo")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "photo_gone")
    assert gone.json()["error"]["reason"] == "no such file"


def test_an_address_in_a_request_is_never_followed(served: TestClient) -> None:
    with WebServer(lambda path, times: (200, png(0))) as elsewhere:
        url, held = f"{elsewhere.address}/0.png", {"Authorization": f"Bearer {TOKEN}"}
        lines = {**held, "Content-Type": "application/x-ndjson"}
        answers = [
            served.get(f"/v1/items/{url}/photo"),
            served.get("/v1/items/0.png/photo", params={"photo": url}),
            served.post("/v1/search", json={"photo": url}),
            served.post("/v1/search", data={"photo": url}),
            served.post("/v1/search", data={"id": url}),
            served.put("/v1/items/new", json={"photo": url}, headers=held),
            served.put("/v1/items/new", data={"photo": url}, headers=held),
            served.patch("/v1/items/0.png", json={"photo": url}, headers=held),
            served.post("/v1/items", content=json.dumps({"id": "bulk", "photo": url}), headers=lines),
            served.get("/v1/items/new/photo"),
            served.get("/v1/items/bulk/photo"),
        ]
        served.get("/v1/items/0.png/photo")
    assert [answer.status_code for answer in answers if answer.status_code >= 500] == []
    assert not elsewhere.asked
