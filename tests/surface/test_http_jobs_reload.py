"""Reload while photos are fetched: hosts come and go, galleries are replaced, and one worker goes on."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")

from small_shop import TOKEN, Shop
from starlette.testclient import TestClient
from test_http_answers import refused
from test_http_jobs import Cdn, done, finished

from lookalike.cli.serve import Options
from lookalike.remote.allowed_hosts import VARIABLE
from lookalike.server import photo_queues
from lookalike.server.app import create_app
from lookalike.server.photo_fetching import PhotoFetcher
from lookalike.server.startup import open_server
from raw_server import RawServer


@pytest.fixture
def cdn() -> Cdn:
    return Cdn()


@pytest.fixture
def web(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    monkeypatch.setattr(photo_queues, "PhotoFetcher", partial(PhotoFetcher, pause_s=0.02))
    with RawServer(cdn.answer) as server:
        yield server
        cdn.gate.set()


@pytest.fixture
def config(tmp_path: Path, shop: Shop) -> Path:
    (tmp_path / "token").write_text(TOKEN)
    write(tmp_path / "server.toml", shop)
    return tmp_path / "server.toml"


@pytest.fixture
def client(config: Path, shop: Shop) -> Iterator[TestClient]:
    served = open_server(Options((), config, None, config.with_name("token")).read, model=str(shop.model))
    with TestClient(create_app(served), headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        yield client


def write(config: Path, shop: Shop, *hosts: str, names: tuple[str, ...] = ("shop",)) -> None:
    galleries = "".join(f"{name} = {json.dumps(str(shop.gallery))}\n" for name in names)
    config.write_text(f"photo_hosts = {json.dumps(hosts)}\n[galleries]\n{galleries}")


def reload(client: TestClient) -> None:
    answer = client.post("/v1/admin/reload")
    assert (answer.status_code, answer.json().get("restart")) == (200, []), answer.text


def test_hosts_come_and_go(client: TestClient, config: Path, shop: Shop, cdn: Cdn, web: RawServer) -> None:
    host, body = web.address.removeprefix("http://"), {"photo_url": f"{web.address}/1.png"}
    refused(client.put("/v1/items/a", json=body), "foreign_photo_host")
    write(config, shop, host)
    reload(client)
    assert done(finished(client, client.put("/v1/items/a", json=body).json()["id"])) == {"added": 1}
    cdn.gate.clear()
    slow = client.put("/v1/items/b", json=body).json()["id"]
    write(config, shop, host, names=("shop", "also"))
    reload(client)  # the photo that is being fetched is fetched again by the next worker
    cdn.gate.set()
    assert done(finished(client, slow)) == {"added": 1}
    assert client.get(f"/v1/also/jobs/{slow}").json()["state"] == "finished"
    assert 'lookalike_photos_queued{gallery="also"} 0.0' in client.get("/metrics").text
    cdn.gate.clear()
    late = client.put("/v1/items/c", json=body).json()["id"]
    write(config, shop)
    reload(client)
    cdn.gate.set()
    [failure] = finished(client, late)["failures"]
    assert failure["error"]["code"] == "foreign_photo_host"
    assert 'lookalike_photos_queued{gallery="also"}' not in client.get("/metrics").text
    refused(client.put("/v1/items/d", json=body), "foreign_photo_host")
    deadline = time.monotonic() + 10
    while working() > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert working() == 1  # the workers of before have ended


def working() -> int:
    return sum(thread.name == "lookalike-jobs" for thread in threading.enumerate())
