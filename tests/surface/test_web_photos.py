"""Photos of a feed by their addresses on the web: asked for each night, and sent again only if they have changed."""

from __future__ import annotations

import io
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import lookalike
from lookalike.remote import object_store

COUNT = 30


def picture(number: int, color: int = 0) -> bytes:
    """A photo of a number of bytes that does not depend on its colours."""
    file = io.BytesIO()
    Image.new("RGB", (40, 40), (8 * number, 120, color)).save(file, "BMP")
    return file.getvalue()


@dataclass
class Site:
    """A web server.

    Attributes:
        photos: What it serves, by path.
        times: When they changed, in days of November 2026.
        tells: Headers that it sends of `ETag` and `Last-Modified`.
        heads: Whether it answers HEAD requests; with a body, if it breaks the rules.
        is_silent: Whether it lets HEAD requests wait.
        asked: Requests by method, and bytes of photos that were sent.
    """

    photos: dict[str, bytes] = field(
        default_factory=lambda: {f"/{number}.bmp": picture(number) for number in range(COUNT)}
    )
    times: dict[str, int] = field(default_factory=dict)
    tells: tuple[str, ...] = ("ETag", "Last-Modified")
    heads: bool = True
    breaks_rules: bool = False
    is_silent: bool = False
    asked: Counter[str] = field(default_factory=Counter)
    address: str = ""

    def counts(self) -> tuple[int, int, int]:
        """HEAD requests, GET requests, and bytes of photos since the last call."""
        found = self.asked["HEAD"], self.asked["GET"], self.asked["bytes"]
        self.asked.clear()
        return found


@pytest.fixture
def site() -> Iterator[Site]:
    served, lock, released = Site(), threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.answer(served.photos.get(self.path, b""))

        def do_HEAD(self) -> None:
            if served.is_silent:
                with lock:
                    served.asked["HEAD"] += 1
                released.wait(30)
                self.close_connection = True
                return
            self.answer(served.photos.get(self.path, b"") if served.heads else b"")

        def answer(self, data: bytes) -> None:
            with lock:
                served.asked[self.command] += 1
            if self.path == "/moved.bmp":
                self.send_response(302)
                self.send_header("Location", "/0.bmp")
            else:
                self.send_response(200 if data else 501 if self.command == "HEAD" else 404)
            headers = {
                "ETag": f'"{hash(data)}"',
                "Last-Modified": f"Sun, {served.times.get(self.path, 1):02} Nov 2026 00:00:00 GMT",
            }
            for name in served.tells:
                self.send_header(name, headers[name])
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET" or served.breaks_rules:
                self.wfile.write(data)
                with lock:
                    served.asked["bytes"] += len(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        served.address = f"http://127.0.0.1:{serving.server_port}"
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield served
        released.set()
        serving.shutdown()


@pytest.fixture
def feed(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LOOKALIKE_ALLOWED_HOSTS", site.address.removeprefix("http://"))
    path = tmp_path / "feed.csv"
    path.write_text("\n".join(["id,image", *(f"n{number},{site.address}/{number}.bmp" for number in range(COUNT))]))
    return path


@pytest.fixture
def shop(tmp_path: Path, tiny_model: Path, feed: Path) -> Iterator[lookalike.Retriever]:
    with lookalike.open(tmp_path / "shop.gallery", model=tiny_model) as opened:
        assert opened.index(feed).added == COUNT
        yield opened


def test_a_night_without_changes_costs_no_bytes(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    first = site.counts()
    assert first[1:] == (COUNT, sum(map(len, site.photos.values())))
    report = shop.index(feed)
    assert (report.unchanged, report.embedded) == (COUNT, 0)
    assert site.counts() == (COUNT, 0, 0)


@pytest.mark.parametrize("tells", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified"), ()])
def test_a_changed_photo_of_the_same_address_is_seen(
    site: Site, shop: lookalike.Retriever, feed: Path, tells: tuple[str, ...]
) -> None:
    """Also one of as many bytes, and with an older time, as when it is put back from a backup."""
    site.tells = tells
    shop.index(feed)
    site.counts()
    before = {name: shop.gallery.vectors(name)["deep"] for name in ("n3", "n4")}
    site.photos["/3.bmp"], site.times["/3.bmp"] = picture(3, color=255), 8
    shop.index(feed)
    site.photos["/3.bmp"], site.times["/3.bmp"] = picture(3, color=130), 1 if "ETag" in tells else 7
    report = shop.index(feed)
    assert (report.updated, report.embedded, report.unchanged) == (1, 1, COUNT - 1)
    assert site.counts()[1] == (2 if tells else 2 * COUNT)
    assert (shop.gallery.vectors("n3")["deep"] != before["n3"]).any()
    assert (shop.gallery.vectors("n4")["deep"] == before["n4"]).all()


def test_other_validators_of_the_same_content_embed_nothing(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    """As of a server that was moved: the photos are fetched once more, and known by content."""
    site.times |= {path: 15 for path in site.photos}
    site.counts()
    report = shop.index(feed)
    assert (report.unchanged, report.embedded, site.counts()[1]) == (COUNT, 0, COUNT)
    assert (shop.index(feed).unchanged, site.counts()[1]) == (COUNT, 0)


def test_a_server_without_head_requests_is_read_as_before(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    site.heads = False
    site.counts()
    for _ in range(2):
        report = shop.index(feed)
        assert (report.unchanged, report.embedded, site.counts()[1]) == (COUNT, 0, COUNT)


def test_a_server_that_lets_head_requests_wait_is_not_asked_for_each_photo(
    site: Site, shop: lookalike.Retriever, feed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """By as many requests as are made at a time, and not by one for each photo."""
    monkeypatch.setattr(object_store, "VALIDATORS_S", 0.5)
    site.is_silent = True
    site.counts()
    with caplog.at_level("WARNING", logger="lookalike"):
        report = shop.index(feed, workers=2)
    assert (report.unchanged, report.embedded, report.skipped) == (COUNT, 0, [])
    heads, gets, _ = site.counts()
    assert 1 <= heads <= 2 and gets == COUNT
    silence = "does not answer HEAD requests within 0.5 s; all of its photos are read in this run"
    assert caplog.messages == [f"{site.address} {silence}"]


def test_a_server_that_sends_a_body_to_head_requests_is_read(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    site.breaks_rules = True
    report = shop.index(feed)
    assert (report.unchanged, report.embedded, report.skipped) == (COUNT, 0, [])


def test_a_photo_that_is_gone_is_skipped_and_stays(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    del site.photos["/5.bmp"]
    report = shop.index(feed)
    assert ([one.id for one in report.skipped], report.unchanged, len(shop.gallery)) == (["n5"], COUNT - 1, COUNT)


def test_a_redirect_is_followed(site: Site, shop: lookalike.Retriever, feed: Path) -> None:
    feed.write_text(f"id,image\nmoved,{site.address}/moved.bmp")
    assert shop.index(feed).added == 1
    site.counts()
    assert (shop.index(feed).unchanged, site.counts()[1]) == (1, 0)
