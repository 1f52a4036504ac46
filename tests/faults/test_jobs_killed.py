"""A server that is killed while it fetches photos: the next one goes on, and no photo is lost or half written."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("aiohttp")

from served import Server, picture
from starlette.testclient import TestClient

import lookalike
from fault_tries import Tries
from lookalike.errors import StorageFailedError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.jobs.job import State
from lookalike.jobs.queue import Done, JobQueue
from lookalike.remote.allowed_hosts import VARIABLE
from lookalike.server.app import create_app
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from raw_server import RawServer, whole

pytestmark = pytest.mark.skipif(os.name == "nt", reason="there is no SIGKILL")

PHOTOS = 120
NDJSON = {"Content-Type": "application/x-ndjson"}


def number_of(path: str) -> int:
    return int(path.rpartition("/")[2].removesuffix(".png"))


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    """Every photo takes a while, so that a kill falls amid a job."""

    def answer(path: str, _: int) -> Iterator[bytes]:
        time.sleep(0.02)
        yield from whole(picture(number_of(path)))

    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    with RawServer(answer) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0.png").write_bytes(picture(1_000))
    with lookalike.open(tmp_path / "shop.gallery", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "photos")
    return tmp_path


def lines(web: RawServer, numbers: range) -> str:
    return "\n".join(
        json.dumps({"id": f"n{n}", "photo_url": f"{web.address}/{n}.png", "attributes": {"n": n}}) for n in numbers
    )


def test_every_photo_arrives_however_often_the_server_is_killed(
    folder: Path, web: RawServer, tiny_model: Path, tries: Tries, luck: Random
) -> None:
    settings = f'photo_hosts = ["{web.address.removeprefix("http://")}"]\n'
    sent, jobs = 0, list[str]()
    kills = tries("jobs killed", short=3, long=100)
    for _ in range(kills):
        server = Server(folder, tiny_model, settings)
        try:
            count = max(1, PHOTOS // kills)
            answer = server.client.post("/v1/items", content=lines(web, range(sent, sent + count)), headers=NDJSON)
            assert answer.status_code == 202, answer.text
            jobs.append(answer.json()["job"])
            sent += count
            time.sleep(luck.uniform(0.0, 0.4))
        finally:
            server.process.kill()
            server.stop()
        with LocalGallery(folder / "shop.gallery") as gallery:
            assert gallery.verify(photos=True).problems == ()
    server = Server(folder, tiny_model, settings)
    try:
        deadline = time.monotonic() + 120
        told = [server.client.get(f"/v1/jobs/{job}").json() for job in jobs]
        while any(job["state"] == "running" for job in told):
            assert time.monotonic() < deadline, told
            time.sleep(0.1)
            told = [server.client.get(f"/v1/jobs/{job}").json() for job in jobs]
        assert sum(job["added"] + job["unchanged"] for job in told) == sent
        for number in range(sent):
            item = server.client.get(f"/v1/items/n{number}").json()
            assert item["attributes"] == {"n": number}
            assert server.client.get(f"/v1/items/n{number}/photo").content == picture(number)
    finally:
        assert server.stop() == 0
    with LocalGallery(folder / "shop.gallery") as gallery:
        assert gallery.verify(photos=True).problems == ()
        assert len(gallery) == sent + 1
    kept = [path for path in (folder / "shop.gallery" / "photos").rglob("*") if path.is_file()]
    assert len(kept) == sent


def test_an_item_that_was_written_but_not_marked_is_written_once(
    folder: Path, web: RawServer, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the two commits; what was sent meanwhile stays."""
    monkeypatch.setattr("lookalike.server.photo_jobs.IDLE_S", 0.1)
    plain, failed = JobQueue.finish, list[Done]()

    def finish(queue: JobQueue, photos: list[Done]) -> None:
        if not failed:
            failed.extend(photos)
            raise StorageFailedError("the disk fails")
        plain(queue, photos)

    monkeypatch.setattr(JobQueue, "finish", finish)
    settings = Settings(photo_hosts=(web.address.removeprefix("http://"),))
    token = "a-token-that-nobody-guesses"
    context = open_context(str(folder / "shop.gallery"), settings=settings, token=token.encode(), model=str(tiny_model))
    with TestClient(create_app(context), headers={"Authorization": f"Bearer {token}"}) as client:
        job_id = client.post("/v1/items", content=lines(web, range(1, 2)), headers=NDJSON).json()["job"]
        deadline = time.monotonic() + 20
        while not failed and time.monotonic() < deadline:
            time.sleep(0.01)
        client.patch("/v1/items/n1", json={"attributes": {"n": "later"}})
        while client.get(f"/v1/jobs/{job_id}").json()["state"] == "running" and time.monotonic() < deadline:
            time.sleep(0.02)
        ends: list[State] = ["unchanged", "updated"]
        assert client.get(f"/v1/jobs/{job_id}").json()["failed"] == 0
        assert sum(client.get(f"/v1/jobs/{job_id}").json()[end] for end in ends) == 1
        assert client.get("/v1/items/n1").json()["attributes"] == {"n": "later"}
        assert client.get("/v1/items/n1/photo").content == picture(1)
