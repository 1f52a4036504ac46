"""Photos on other hosts: a slow host delays only its own photos, and not the end of the server."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image
from small_shop import paint
from starlette.testclient import TestClient

pytest.importorskip("aiohttp")

import lookalike
from lookalike.remote import object_store
from lookalike.server.app import create_app
from lookalike.server.photo_hosts import EACH, PhotoHostLimiter
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context
from raw_server import RawServer, head, whole

pytestmark = pytest.mark.alone

SLOW, QUICK = 20, 4
SECONDS = 1.5


def png(number: int) -> bytes:
    file = BytesIO()
    paint((200, 30, 40), number).save(file, "PNG")
    return file.getvalue()


@dataclass
class Moody:
    """Answers at once, until it is told to fall silent in the middle of each photo.

    Attributes:
        silent: Whether it is.
        awake: Set when the silence ends.
        most: Requests that it kept waiting at one time, at most.
    """

    silent: bool = False
    awake: threading.Event = field(default_factory=threading.Event)
    most: int = 0
    now: int = 0

    def answer(self, path: str, times: int) -> Iterator[bytes]:
        if not self.silent:
            yield from whole(png(0))
            return
        self.now += 1
        self.most = max(self.most, self.now)
        yield head(Content_Length=1_000) + b"x"
        self.awake.wait(30)
        self.now -= 1


@dataclass
class Hosted:
    """A served gallery of photos on a moody host, on a quick one, and on this machine."""

    client: TestClient
    moody: Moody
    slow: RawServer
    quick: RawServer


@pytest.fixture
def hosted(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosted]:
    monkeypatch.setenv("LOOKALIKE_CACHE", "")
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)
    moody = Moody()
    with (
        RawServer(moody.answer) as slow,
        RawServer(lambda path, times: whole(png(1)), host="127.0.0.2") as quick,
    ):
        (tmp_path / "here.png").write_bytes(png(2))
        rows = [f"s{number},{slow.address}/{number}.png" for number in range(SLOW)]
        rows += [f"q{number},{quick.address}/{number}.png" for number in range(QUICK)]
        (tmp_path / "shop.csv").write_text("\n".join(["id,image", *rows, "here,here.png", ""]))
        with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
            assert shop.index(tmp_path / "shop.csv").skipped == []
        context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
        context.default.photo_hosts = PhotoHostLimiter(seconds=SECONDS, pause_s=1.0)
        try:
            with TestClient(create_app(context), raise_server_exceptions=False) as client:
                yield Hosted(client, moody, slow, quick)
        finally:
            moody.awake.set()


def test_a_slow_host_keeps_only_its_own_photos_waiting(hosted: Hosted) -> None:
    hosted.moody.silent = True
    with ThreadPoolExecutor(SLOW) as pool:
        waiting = [pool.submit(hosted.client.get, f"/v1/items/s{number}/photo?size=32") for number in range(SLOW)]
        while not hosted.moody.now:
            time.sleep(0.01)
        started = time.monotonic()
        for name in ("here", *(f"q{number}" for number in range(QUICK))):
            for size in ("", "?size=32"):
                assert hosted.client.get(f"/v1/items/{name}/photo{size}").status_code == 200
        assert time.monotonic() - started < SECONDS
        assert any(not one.done() for one in waiting)
        answers = [one.result() for one in waiting]
    assert time.monotonic() - started < 3 * SECONDS
    assert {(answer.status_code, answer.json()["error"]["code"]) for answer in answers} == {(503, "host_silent")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    assert hosted.moody.most <= EACH
    refused = time.monotonic()
    assert hosted.client.get("/v1/items/s0/photo").status_code == 503  # at once, without asking the host
    assert time.monotonic() - refused < 0.5
    hosted.moody.silent = False
    hosted.moody.awake.set()
    time.sleep(1.1)
    assert hosted.client.get("/v1/items/s0/photo").content == png(0)


def test_a_photo_that_many_ask_for_is_read_once(hosted: Hosted) -> None:
    before = hosted.quick.asked["/0.png"]
    gate = threading.Barrier(12)

    def ask(_: int) -> bytes:
        gate.wait()
        return hosted.client.get("/v1/items/q0/photo").content

    with ThreadPoolExecutor(12) as pool:
        assert set(pool.map(ask, range(12))) == {png(1)}
    assert hosted.quick.asked["/0.png"] - before < 12


def test_a_photo_that_is_gone_is_not_asked_for_at_each_request(tmp_path: Path, tiny_model: Path) -> None:
    gone = threading.Event()

    def answer(path: str, times: int) -> Iterator[bytes]:
        return iter([head("404 Not Found", Content_Length=0)]) if gone.is_set() else whole(png(1))

    with RawServer(answer) as server:
        (tmp_path / "shop.csv").write_text(f"id,image\na,{server.address}/a.png\n")
        with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
            shop.index(tmp_path / "shop.csv")
        context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
        gone.set()
        with TestClient(create_app(context), raise_server_exceptions=False) as client:
            answers = [client.get("/v1/items/a/photo") for _ in range(5)]
    assert {(one.status_code, one.json()["error"]["reason"]) for one in answers} == {(404, "no such file")}
    assert server.asked["/a.png"] == 2


def test_an_answer_does_not_tell_where_a_store_is(tmp_path: Path, tiny_model: Path) -> None:
    with RawServer(lambda path, times: whole(png(1))) as server:
        (tmp_path / "shop.csv").write_text(f"id,image\na,{server.address}/a.png\n")
        with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
            shop.index(tmp_path / "shop.csv")
        context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
    with TestClient(create_app(context), raise_server_exceptions=False) as client:  # nothing listens there any more
        answer = client.get("/v1/items/a/photo")
    assert answer.status_code == 503
    assert "127.0.0.1" not in answer.text


@pytest.mark.parametrize("kind", ["heic", "tiff", "jp2"])
def test_an_original_that_browsers_do_not_show_is_sent_as_jpeg(tmp_path: Path, tiny_model: Path, kind: str) -> None:
    (tmp_path / "shop").mkdir()
    pillow_heif.register_heif_opener()
    picture = Image.open(BytesIO(png(1))).convert("RGB").resize((80, 60))
    file = tmp_path / "shop" / f"a.{kind}"
    picture.save(file, {"heic": "HEIF", "tiff": "TIFF", "jp2": "JPEG2000"}[kind])
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "shop")
    context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
    place = f"/v1/items/a.{kind}/photo"
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        for accept in ("*/*", "image/avif,image/webp,image/*,*/*;q=0.8", f"image/{kind};q=0, */*", ""):
            shown = client.get(place, headers={"Accept": accept})
            assert (shown.status_code, shown.headers["content-type"]) == (200, "image/jpeg"), accept
            assert shown.headers["vary"] == "Accept"
            assert Image.open(BytesIO(shown.content)).size == (80, 60)
        again = client.get(place, headers={"Accept": "*/*", "If-None-Match": shown.headers["etag"]})
        assert again.status_code == 304
        own = client.get(place, headers={"Accept": f"image/png, image/{kind};q=0.9"})
        assert (own.content, own.headers["content-type"]) == (file.read_bytes(), f"image/{kind}")
        assert own.headers["etag"] != shown.headers["etag"]
        part = client.get(place, headers={"Accept": f"image/{kind}", "Range": "bytes=2-5"})
        assert (part.status_code, part.content) == (206, file.read_bytes()[2:6])


def test_an_original_is_shown_as_it_is_and_a_changed_one_by_its_new_type(tmp_path: Path, tiny_model: Path) -> None:
    (tmp_path / "shop").mkdir()
    file = tmp_path / "shop" / "a.png"
    file.write_bytes(png(1))
    with lookalike.open(tmp_path / "g", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "shop")
    context = open_context(str(tmp_path / "g"), settings=Settings(), model=str(tiny_model))
    with TestClient(create_app(context), raise_server_exceptions=False) as client:
        first = client.get("/v1/items/a.png/photo")
        assert (first.content, first.headers["content-type"]) == (png(1), "image/png")
        Image.open(BytesIO(png(3))).save(file, "BMP")
        changed = client.get("/v1/items/a.png/photo", headers={"If-None-Match": first.headers["etag"]})
        assert (changed.content, changed.headers["content-type"]) == (file.read_bytes(), "image/bmp")
        file.write_bytes(file.read_bytes()[:200])  # its beginning is that of a photo, and no more
        assert client.get("/v1/items/a.png/photo").json()["error"]["reason"] == "the file is cut short"
