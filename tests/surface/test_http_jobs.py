"""Photos by their addresses: fetched in the background, with retries, from hosts that a setting names."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("aiohttp")

from small_shop import TOKEN, Shop
from starlette.testclient import TestClient
from test_http_answers import png, refused
from test_http_bulk import item, sent, statuses

import lookalike
from lookalike.cli import main
from lookalike.errors import ConfigError
from lookalike.jobs.job import WaitingPhoto
from lookalike.jobs.queue import JobQueue
from lookalike.remote.allowed_hosts import VARIABLE
from lookalike.server import ordered_writes, photo_queues
from lookalike.server.app import create_app
from lookalike.server.context import AppContext
from lookalike.server.photo_fetching import PhotoFetcher, Retry
from lookalike.server.settings import Settings
from lookalike.server.siblings import Siblings
from lookalike.server.startup import open_context
from raw_server import Answer, RawServer, head, whole

LIMIT = 200_000
NDJSON = {"Content-Type": "application/x-ndjson"}


class Cdn:
    """Photos by path; the answer of a path can be replaced."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.now = self.most = 0
        self.gate = threading.Event()
        self.gate.set()

    def answer(self, path: str, times: int) -> Iterator[bytes]:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            self.gate.wait(20)
            yield from self.answers.get(path, lambda *_: whole(png((len(path), 60, 90))))(path, times)
        finally:
            self.now -= 1


@pytest.fixture
def cdn() -> Cdn:
    return Cdn()


@pytest.fixture
def web(cdn: Cdn, monkeypatch: pytest.MonkeyPatch) -> Iterator[RawServer]:
    monkeypatch.setenv(VARIABLE, "127.0.0.1")
    monkeypatch.setattr(photo_queues, "PhotoFetcher", partial(PhotoFetcher, pause_s=0.002))
    with RawServer(cdn.answer) as server:
        yield server
        cdn.gate.set()


@pytest.fixture
def settings(web: RawServer) -> Settings:
    host = web.address.removeprefix("http://")
    return Settings(upload_bytes=LIMIT, photo_hosts=(host,), queued_photos=50, workers=2, waiting=4)


@pytest.fixture
def context(shop: Shop, settings: Settings, tiny_finder: Path) -> AppContext:
    model, finder = str(shop.model), str(tiny_finder)
    return open_context(str(shop.gallery), settings=settings, token=TOKEN.encode(), model=model, finder=finder)


def finished(writer: TestClient, job_id: str, *, seconds: float = 20.0) -> dict[str, Any]:
    """The job, once no photo waits any more."""
    deadline = time.monotonic() + seconds
    while True:
        answer = writer.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        if job["state"] != "running":
            return job
        assert time.monotonic() < deadline, job
        time.sleep(0.02)


def done(job: Mapping[str, Any]) -> dict[str, int]:
    names = ("waiting", "added", "updated", "unchanged", "failed", "cancelled", "superseded")
    counts = {name: job[name] for name in names if job[name]}
    assert sum(counts.values()) == job["total"]
    return counts


def test_photos_are_fetched_and_written_with_their_lines(web: RawServer, writer: TestClient) -> None:
    url = f"{web.address}/photo.png"
    body = [
        {"id": "a", "photo_url": url, "product": "p", "attributes": {"price": 3}},
        {"id": "red-0", "photo_url": url, "attributes": {"price": 5}},
        {"id": "red-1", "attributes": {"price": 6}},
    ]
    answer = writer.post("/v1/items", content="\n".join(map(json.dumps, body)), headers=NDJSON)
    report = answer.json()
    assert (answer.status_code, report["queued"], report["updated"]) == (202, 2, 1)
    assert statuses(report) == ["queued", "queued", "updated"]
    job = finished(writer, report["job"])
    assert (job["state"], done(job), job["failures"]) == ("finished", {"added": 1, "updated": 1}, [])
    assert (item(writer, "a")["product"], item(writer, "a")["attributes"]) == ("p", {"price": 3})
    assert item(writer, "red-0")["attributes"] == {"colour": "Red", "price": 5, "season": "Winter"}
    for item_id in ("a", "red-0"):
        assert writer.get(f"/v1/items/{item_id}/photo").content == png((10, 60, 90))
    again = sent_for(writer, *body[:2])
    assert done(finished(writer, again["job"])) == {"unchanged": 2}
    assert writer.get("/v1/jobs").json()["total"] == 2


def sent_for(writer: TestClient, *lines: Mapping[str, Any]) -> dict[str, Any]:
    """The report on lines of which some have addresses."""
    answer = writer.post("/v1/items", content="\n".join(map(json.dumps, lines)), headers=NDJSON)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


def test_put_with_an_address_replaces_the_whole_item(web: RawServer, writer: TestClient) -> None:
    body = {"photo_url": f"{web.address}/photo.png", "attributes": {"price": 5}, "box": [8, 10, 40, 50]}
    answer = writer.put("/v1/items/red-0", json=body)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert done(finished(writer, job["id"])) == {"updated": 1}
    after = item(writer, "red-0")
    assert (after["product"], after["attributes"], after["box"]) == (None, {"price": 5}, [8, 10, 40, 50])
    refused(writer.put("/v1/items/red-0", json={"box": [1, 2, 3, 4]}), "photo_needed")
    named = writer.put("/v1/default/items/b", json=body)
    assert named.headers["location"] == f"/v1/default/jobs/{named.json()['id']}"
    assert done(finished(writer, named.json()["id"])) == {"added": 1}


FOREIGN = [
    ("https://cdn.example/1.jpg", "foreign_photo_host"),
    ("http://127.0.0.1:1/1.jpg", "foreign_photo_host"),
    ("http://169.254.169.254/latest", "foreign_photo_host"),
    ("file:///etc/passwd", "invalid"),
    ("s3://bucket/1.jpg", "invalid"),
    ("/etc/passwd", "invalid"),
    ("https://user:secret@{host}/1.jpg", "invalid"),
    ("http://{host}/../1.jpg", "invalid"),
    ("http://{host}/" + "x" * 2_048, "invalid"),
    ("http://{host}@cdn.example/1.jpg", "invalid"),
    ("http://cdn.example#@{host}/1.jpg", "foreign_photo_host"),
    ("", "invalid"),
]


@pytest.mark.parametrize(("url", "code"), FOREIGN)
def test_other_addresses_are_refused(shop: Shop, web: RawServer, writer: TestClient, url: str, code: str) -> None:
    url = url.replace("{host}", web.address.removeprefix("http://"))
    before = shop.contents()
    told = refused(writer.put("/v1/items/a", json={"photo_url": url}), code)
    if code == "foreign_photo_host":
        assert (told["setting"], "photo_hosts" in told["message"]) == ("photo_hosts", True)
    assert statuses(sent(writer, {"id": "a", "photo_url": url})) == [code]
    assert shop.contents() == before
    assert web.heads == []


def test_without_the_setting_no_address_is_fetched(shop: Shop, web: RawServer) -> None:
    context = open_context(str(shop.gallery), settings=Settings(), token=TOKEN.encode(), model=str(shop.model))
    with TestClient(create_app(context), headers={"Authorization": f"Bearer {TOKEN}"}) as writer:
        told = refused(writer.put("/v1/items/a", json={"photo_url": f"{web.address}/1.png"}), "foreign_photo_host")
        assert told["setting"] == "photo_hosts"
        assert writer.get("/v1/jobs").json() == {"total": 0, "jobs": []}
        for method in ("GET", "DELETE"):
            refused(writer.request(method, "/v1/jobs/none"), "unknown_job")
    assert not (shop.gallery / "jobs.db").exists()
    assert web.heads == []


def test_a_private_host_must_be_allowed_too(
    web: RawServer, writer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    job = finished(writer, sent_for(writer, {"id": "a", "photo_url": f"{web.address}/1.png"})["job"])
    [failure] = job["failures"]
    assert "private network" in failure["error"]["message"]
    assert web.heads == []


def test_redirects_stay_on_named_hosts(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    with RawServer(lambda *_: whole(png())) as other:
        places = {"/away": f"{other.address}/1.png", "/near": "/photo.png", "/secret": "file:///etc/passwd"}
        for path, place in places.items():
            cdn.answers[path] = lambda *_, place=place: iter([head("302 Found", Location=place, Content_Length=0)])
        lines = [{"id": path, "photo_url": web.address + path} for path in places]
        job = finished(writer, sent_for(writer, *lines)["job"])
        assert done(job) == {"added": 1, "failed": 2}
        told = {failure["id"]: failure["error"]["message"] for failure in job["failures"]}
        assert "redirects to" in told["/away"]
        assert "is not read" in told["/secret"]
        assert other.heads == []


def test_what_fails_says_why(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    cdn.answers = {
        "/gone": lambda *_: iter([head("404 Not Found", Content_Length=0)]),
        "/text": lambda *_: whole(b"<html>no photo</html>"),
        "/large": lambda *_: whole(b"x" * (LIMIT + 1)),
        "/busy": lambda *_: iter([head("503 Busy", Content_Length=0)]),
        "/cut": lambda *_: iter([head(Content_Length=5_000), png()[:50]]),
    }
    lines = [{"id": path, "photo_url": f"{web.address}{path}?key=secret"} for path in cdn.answers]
    cdn.answers = {f"{path}?key=secret": answer for path, answer in cdn.answers.items()}
    job_id = sent_for(writer, *lines, {"id": "good", "photo_url": f"{web.address}/good.png"})["job"]
    job = finished(writer, job_id, seconds=60)
    assert done(job) == {"added": 1, "failed": 5}
    told = {failure["id"]: (failure["tries"], failure["error"]["message"]) for failure in job["failures"]}
    assert told["/gone"][0] == 1
    assert "no such file" in told["/gone"][1]
    assert "not a photo" in told["/text"][1]
    assert f"longer than the {LIMIT:,} bytes allowed" in told["/large"][1]
    assert told["/busy"][0] == web.asked["/busy?key=secret"] == 6
    assert "503" in told["/busy"][1]
    assert told["/cut"][0] == 6
    assert "secret" not in json.dumps(job)
    pages = [writer.get(f"/v1/jobs/{job_id}", params={"offset": at, "limit": 2}).json()["failures"] for at in (0, 2, 4)]
    assert [failure for page in pages for failure in page] == job["failures"]


def test_a_busy_host_is_asked_again(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    def busy_first(path: str, times: int) -> Iterator[bytes]:
        if times < 3:
            yield head("429 Too Many", Retry_After=1 if times == 1 else 0, Content_Length=0)
        else:
            yield from whole(png())

    cdn.answers["/busy"] = busy_first
    began = time.monotonic()
    job = finished(writer, sent_for(writer, {"id": "a", "photo_url": f"{web.address}/busy"})["job"])
    assert done(job) == {"added": 1}
    assert web.asked["/busy"] == 3
    assert time.monotonic() - began >= 1  # as the host asked for


def test_retry_after_is_kept_within_bounds(web: RawServer, cdn: Cdn) -> None:
    host = web.address.removeprefix("http://")
    fetcher = PhotoFetcher(frozenset([host]), limit=LIMIT)
    date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 600))
    cases = [("900", 900, 900), (date, 590, 601), ("999999", 3_600, 3_600), ("never", 3, 5), ("", 3, 5)]
    for asked, least, most in cases:
        cdn.answers["/x"] = lambda *_, asked=asked: iter([head("503 Busy", Retry_After=asked, Content_Length=0)])
        pause = fetcher.fetch(f"{web.address}/x", tries=0)
        assert isinstance(pause, Retry)
        assert least <= pause.after_s <= most
    later = [fetcher.fetch(f"{web.address}/x", tries=tries) for tries in range(5)]
    pauses = [pause.after_s for pause in later if isinstance(pause, Retry)]
    for tries, pause_s in enumerate(pauses):
        assert 0.8 <= pause_s / (4 * 4**tries) <= 1.2


def test_a_few_photos_of_a_host_at_a_time(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    cdn.gate.clear()
    lines = [{"id": f"n{number}", "photo_url": f"{web.address}/{number}.png"} for number in range(12)]
    job_id = sent_for(writer, *lines)["job"]
    deadline = time.monotonic() + 20
    while cdn.now < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.2)  # in which a third would come
    assert cdn.most == 2
    assert done(writer.get(f"/v1/jobs/{job_id}").json()) == {"waiting": 12}
    assert writer.get("/metrics").text.count('lookalike_photos_queued{gallery="default"} 12.0') == 1
    cdn.gate.set()
    assert done(finished(writer, job_id)) == {"added": 12}
    assert cdn.most == 2
    figures = writer.get("/metrics").text
    assert 'lookalike_photo_fetches_total{gallery="default",result="fetched"} 12.0' in figures
    assert 'lookalike_photos_queued{gallery="default"} 0.0' in figures


def test_a_cancelled_job_writes_nothing_more(shop: Shop, cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    before = shop.contents()
    cdn.gate.clear()
    lines = [{"id": f"n{number}", "photo_url": f"{web.address}/{number}.png"} for number in range(6)]
    job_id = sent_for(writer, *lines)["job"]
    deadline = time.monotonic() + 20
    while cdn.now < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    cancelled = writer.delete(f"/v1/jobs/{job_id}").json()
    assert (cancelled["state"], done(cancelled)) == ("cancelled", {"cancelled": 6})
    cdn.gate.set()
    job = finished(writer, sent_for(writer, {"id": "last", "photo_url": f"{web.address}/last.png"})["job"])
    assert done(job) == {"added": 1}
    writer.delete("/v1/items/last")
    assert shop.contents() == before


def test_a_photo_that_comes_while_the_server_stops_stays_in_the_queue(
    cdn: Cdn, context: AppContext, writer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = waiting_first(cdn, writer, {"id": "late", "photo_url": f"http://{context.settings.photo_hosts[0]}/1.png"})
    (gallery,) = context.galleries.values()
    jobs = gallery._jobs
    assert jobs is not None

    def stopped(_: object) -> None:
        """What the pool of threads says that was stopped before the worker knew."""
        threading.Thread(target=jobs.stop).start()
        assert jobs._stopping.wait(10)
        raise RuntimeError("cannot schedule new futures after shutdown")

    monkeypatch.setattr(jobs, "_submit", stopped)
    cdn.gate.set()
    jobs._thread.join(20)
    assert not jobs._thread.is_alive()
    job = writer.get(f"/v1/jobs/{job_id}").json()
    assert (job["state"], done(job)) == ("running", {"waiting": 1})


def waiting_first(cdn: Cdn, writer: TestClient, line: Mapping[str, Any]) -> str:
    """Send a line whose photo does not arrive before the gate is opened; gives its job."""
    cdn.gate.clear()
    return str(sent_for(writer, line)["job"])


def test_later_writes_win_over_what_waits(shop: Shop, cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    """Whatever is sent later about an item takes effect later, although its photo comes last."""
    url = f"{web.address}/photo.png"
    old = {"photo_url": url, "attributes": {"price": 1, "size": "M"}}
    photo = base64.b64encode(png((1, 2, 3))).decode()
    ids = ("new", "red-0", "red-1", "red-2", "gone")
    jobs = [waiting_first(cdn, writer, {"id": item_id, **old}) for item_id in ids]
    assert sent_for(writer, {"id": "new", "attributes": {"price": 2}})["queued"] == 1  # it is not there yet
    assert statuses(sent(writer, {"id": "red-0", "attributes": {"price": 2}, "product": "p"})) == ["updated"]
    assert statuses(sent(writer, {"id": "red-1", "delete": True}, {"id": "gone", "delete": True})) == ["deleted"] * 2
    assert statuses(sent(writer, {"id": "red-2", "photo_base64": photo, "attributes": {"price": 2}})) == ["updated"]
    cdn.gate.set()
    ends = [done(finished(writer, job_id)) for job_id in jobs]
    assert ends == [{"added": 1}, {"updated": 1}, {"superseded": 1}, {"superseded": 1}, {"superseded": 1}]
    assert item(writer, "new")["attributes"] == {"price": 2, "size": "M"}
    assert item(writer, "red-0")["attributes"] == {"colour": "Red", "season": "Winter", "price": 2, "size": "M"}
    assert item(writer, "red-0")["product"] == "p"
    assert item(writer, "red-2")["attributes"] == {"colour": "Red", "season": "Summer", "price": 2, "size": "M"}
    assert writer.get("/v1/items/red-2/photo").content == png((1, 2, 3))
    for item_id in ("red-1", "gone"):
        refused(writer.get(f"/v1/items/{item_id}"), "unknown_item")


def test_what_cannot_wait_is_refused_and_what_waits_stays(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    """Of an item that is there, and of one that is not there yet."""
    old = {"photo_url": f"{web.address}/photo.png", "attributes": {"price": 1}}
    jobs = [waiting_first(cdn, writer, {"id": item_id, **old}) for item_id in ("new", "red-0")]
    for item_id in ("new", "red-0"):
        assert statuses(sent(writer, {"id": item_id, "attributes": {"n": 2**70}})) == ["bad_request"]
        assert statuses(sent(writer, {"id": item_id, "attributes": {"text": "x" * 20_000}})) == ["invalid"]
    assert "n" not in item(writer, "red-0")["attributes"]
    cdn.gate.set()
    assert [done(finished(writer, job_id)) for job_id in jobs] == [{"added": 1}, {"updated": 1}]
    assert item(writer, "new")["attributes"] == {"price": 1}


def test_single_writes_win_too(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    old = {"photo_url": f"{web.address}/photo.png", "attributes": {"price": 1}}
    jobs = [waiting_first(cdn, writer, {"id": item_id, **old}) for item_id in ("red-0", "gone", "new", "red-1")]
    assert writer.patch("/v1/items/red-0", json={"attributes": {"price": 2}}).json()["attributes"]["price"] == 2
    refused(writer.patch("/v1/items/gone", json={"attributes": {"price": 2}}), "unknown_item")
    assert writer.delete("/v1/items/gone").status_code == 204
    refused(writer.delete("/v1/items/gone"), "unknown_item")
    again = writer.put("/v1/items/new", json={"attributes": {"price": 3}})  # with the photo that waits already
    assert (again.status_code, again.json()["id"]) == (202, jobs[2])
    assert writer.put("/v1/items/red-1", files={"photo": ("x", png())}).status_code == 200
    cdn.gate.set()
    assert [done(finished(writer, job_id)) for job_id in jobs] == [
        *({"updated": 1}, {"superseded": 1}, {"added": 1}, {"superseded": 1})
    ]
    assert item(writer, "red-0")["attributes"]["price"] == 2
    assert item(writer, "new")["attributes"] == {"price": 3}
    assert item(writer, "red-1")["attributes"] == {}


def test_a_later_address_of_the_item_is_fetched_instead(cdn: Cdn, web: RawServer, writer: TestClient) -> None:
    first = waiting_first(cdn, writer, {"id": "a", "photo_url": f"{web.address}/first.png", "attributes": {"x": 1}})
    second = sent_for(
        writer,
        {"id": "a", "photo_url": f"{web.address}/second.png", "attributes": {"y": 1}},
        {"id": "a", "photo_url": f"{web.address}/the-third.png", "attributes": {"z": 1}},
    )["job"]
    cdn.gate.set()
    assert done(finished(writer, second)) == {"superseded": 1, "added": 1}
    assert done(finished(writer, first)) == {"superseded": 1}
    assert item(writer, "a")["attributes"] == {"x": 1, "y": 1, "z": 1}
    assert writer.get("/v1/items/a/photo").content == png((len("/the-third.png"), 60, 90))


def test_the_queue_has_bounds(
    shop: Shop, cdn: Cdn, web: RawServer, writer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    cdn.gate.clear()
    lines = [{"id": f"n{number}", "photo_url": f"{web.address}/1.png"} for number in range(50)]
    assert sent_for(writer, *lines)["queued"] == 50
    report = sent(writer, {"id": "more", "photo_url": f"{web.address}/1.png"}, {"id": "red-0", "attributes": {"a": 1}})
    assert statuses(report) == ["busy", "updated"]
    full = writer.put("/v1/items/more", json={"photo_url": f"{web.address}/1.png"})
    refused(full, "busy")
    assert full.headers["retry-after"] == "60"
    long = {"id": "long", "photo_url": f"{web.address}/1.png", "attributes": {"text": "x" * 20_000}}
    bad = [(long["attributes"], "invalid"), ({"text": 2**70}, "bad_request"), ({"\ud800": 1}, "invalid")]
    for attributes, code in bad:
        assert statuses(sent(writer, {**long, "attributes": attributes})) == [code]
    monkeypatch.setattr(ordered_writes, "LONGEST_FIELDS", 10)
    assert statuses(sent(writer, lines[0])) == ["invalid"]


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/jobs/none"])
def test_jobs_need_the_token(writer: TestClient, path: str) -> None:
    for method in ("GET", "DELETE") if path.endswith("none") else ("GET",):
        refused(writer.request(method, path, headers={"Authorization": "Bearer wrong"}), "unauthorized")
        if path.endswith("none"):
            refused(writer.request(method, path), "unknown_job")


def test_the_terminal_reads_the_same_jobs(
    shop: Shop, cdn: Cdn, web: RawServer, writer: TestClient, capsys: pytest.CaptureFixture[str]
) -> None:
    def in_terminal(*arguments: str) -> str:
        assert main(["jobs", "-g", str(shop.gallery), *arguments]) == 0
        return capsys.readouterr().out

    cdn.answers["/gone"] = lambda *_: iter([head("404 Not Found", Content_Length=0)])
    lines = [{"id": "a", "photo_url": f"{web.address}/1.png"}, {"id": "b", "photo_url": f"{web.address}/gone"}]
    job_id = sent_for(writer, *lines)["job"]
    job = finished(writer, job_id)
    assert json.loads(in_terminal("--json")) == writer.get("/v1/jobs").json()
    assert json.loads(in_terminal(job_id, "--json")) == job
    assert f"{job_id}  finished" in in_terminal()
    assert f"line 2, b: {job['failures'][0]['error']['message']} ({web.address}/gone)" in in_terminal(job_id)
    assert main(["jobs", "none", "-g", str(shop.gallery)]) == 2
    assert "unknown job 'none'" in capsys.readouterr().err


def test_a_gallery_without_jobs_says_so(finished_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    gallery = str(finished_shop.gallery)
    assert main(["jobs", "-g", gallery]) == 0
    assert capsys.readouterr().err == "no jobs\n"
    assert main(["jobs", "-g", gallery, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"total": 0, "jobs": []}
    assert main(["jobs", "none", "-g", gallery]) == 2
    assert not (finished_shop.gallery / "jobs.db").exists()


@pytest.mark.parametrize("host", ["", "https://cdn.example", "cdn.example/x", "CDN.example", "user@cdn.example", "a b"])
def test_a_host_is_a_name(host: str) -> None:
    with pytest.raises(ConfigError, match="photo_hosts"):
        Settings(photo_hosts=(host,))


def test_while_another_process_writes_photos_wait(
    shop: Shop, web: RawServer, writer: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lookalike.server.photo_jobs.WRITE_AGAIN_S", 0.2)
    monkeypatch.setattr("lookalike.storage.write_lock.PATIENCE_S", 0.05)
    locked, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lookalike.open(shop.gallery) as opened, opened.gallery.writing():
            locked.set()
            free.wait(20)

    holding = threading.Thread(target=hold)
    holding.start()
    locked.wait(20)
    answer = writer.put("/v1/items/a", json={"photo_url": f"{web.address}/1.png"})
    wait_for: Callable[[], bool] = lambda: web.asked["/1.png"] >= 2  # noqa: E731
    deadline = time.monotonic() + 20
    while not wait_for() and time.monotonic() < deadline:
        time.sleep(0.02)
    free.set()
    holding.join()
    if answer.status_code == 503:  # the item could not be looked up while the gallery was locked
        answer = writer.put("/v1/items/a", json={"photo_url": f"{web.address}/1.png"})
    assert done(finished(writer, answer.json()["id"])) == {"added": 1}


def test_a_later_write_in_another_process_waits_for_the_earlier_one(
    shop: Shop,
    cdn: Cdn,
    web: RawServer,
    writer: TestClient,
    settings: Settings,
    tiny_finder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, finder = str(shop.model), str(tiny_finder)
    there = open_context(str(shop.gallery), settings=settings, token=TOKEN.encode(), model=model, finder=finder)
    other = TestClient(create_app(there), headers=dict(writer.headers))
    cdn.gate.clear()
    job = writer.put("/v1/items/a", json={"photo_url": f"{web.address}/1.png", "attributes": {"price": 1}}).json()
    answers: list[dict[str, Any]] = []
    change = threading.Thread(
        target=lambda: answers.append(
            other.post("/v1/items", content='{"id": "a", "attributes": {"price": 2}}', headers=NDJSON).json()
        )
    )
    still_waiting = JobQueue.still_waiting

    def read_and_be_overtaken(queue: JobQueue, numbers: Iterable[int]) -> dict[int, WaitingPhoto]:
        found = still_waiting(queue, numbers)
        if not change.ident:
            change.start()
            change.join(0.5)
        return found

    monkeypatch.setattr(JobQueue, "still_waiting", read_and_be_overtaken)
    cdn.gate.set()
    assert done(finished(writer, job["id"])) == {"added": 1}
    change.join(20)
    assert statuses(answers[0]) == ["updated"]
    assert item(writer, "a")["attributes"] == {"price": 2}
    there.stop()


def test_the_process_that_fetches_is_told_of_a_new_photo(
    context: AppContext, web: RawServer, writer: TestClient
) -> None:
    """Another process of the server may work on the queue."""
    told: list[str] = []
    context.siblings = cast(Siblings, SimpleNamespace(tell=told.append))
    job = writer.put("/v1/items/a", json={"photo_url": f"{web.address}/1.png"}).json()["id"]
    assert told == ["fetch"]
    assert done(finished(writer, job)) == {"added": 1}
