"""Compression of texts, caches that know of it, and frames that may show the page."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from small_shop import Shop
from starlette.testclient import TestClient

from lookalike.errors import ConfigError
from lookalike.server.app import create_app
from lookalike.server.compression import accepts_gzip
from lookalike.server.settings import Settings
from lookalike.server.startup import open_context

GZIP, PLAIN = {"Accept-Encoding": "gzip"}, {"Accept-Encoding": "identity"}


def raw(client: TestClient, path: str, headers: dict[str, str]) -> tuple[bytes, dict[str, str]]:
    """Body as it was sent, not decompressed."""
    with client.stream("GET", path, headers=headers) as answer:
        assert answer.status_code == 200
        return b"".join(answer.iter_raw()), {name.lower(): value for name, value in answer.headers.items()}


@pytest.mark.parametrize("path", ["/v1/items", "/openapi.json", "/", "/main.js", "/docs", "/metrics", "/icon.svg"])
def test_texts_are_compressed_and_say_so(client: TestClient, path: str) -> None:
    plain, plain_headers = raw(client, path, PLAIN)
    small, headers = raw(client, path, GZIP)
    assert "content-encoding" not in plain_headers
    for given in (plain_headers, headers):
        assert "accept-encoding" in given["vary"].lower()
        assert int(given["content-length"]) == len(small if given is headers else plain)
    if len(plain) >= 1000:
        assert headers["content-encoding"] == "gzip"
        assert len(small) < len(plain) / 2
        if path != "/metrics":  # which counts meanwhile
            assert gzip.decompress(small) == plain
    assert headers["cache-control"] == plain_headers["cache-control"]


def test_short_texts_photos_and_parts_are_sent_as_they_are(client: TestClient, shop: Shop) -> None:
    assert "content-encoding" not in raw(client, "/healthz", GZIP)[1]
    body, headers = raw(client, "/v1/items/red-0/photo", GZIP)
    assert body == shop.photo("red-0").read_bytes()
    assert "content-encoding" not in headers
    assert "vary" not in headers or "Encoding" not in headers["vary"]
    assert not headers["etag"].startswith("W/")
    part = client.get("/v1/items/red-0/photo", headers={**GZIP, "Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, body[10:20])
    assert "content-encoding" not in raw(client, "/v1/items/red-0/photo?size=32", GZIP)[1]


def test_a_browser_that_has_a_file_is_sent_none(client: TestClient) -> None:
    for asked in (GZIP, PLAIN):
        tag = client.get("/main.js", headers=asked).headers["etag"]
        assert tag.startswith('W/"')
        for known in (tag, tag.removeprefix("W/")):
            again = client.get("/main.js", headers={**asked, "If-None-Match": known})
            assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
            assert "Accept-Encoding" in again.headers["vary"]


def test_head_has_the_headers_of_get(client: TestClient) -> None:
    got, asked = client.get("/v1/items", headers=GZIP), client.head("/v1/items", headers=GZIP)
    assert asked.content == b""
    for name in ("content-encoding", "content-length", "vary", "content-type"):
        assert asked.headers[name] == got.headers[name]


def test_errors_and_answers_of_searches_are_compressed(client: TestClient) -> None:
    answer = client.post("/v1/search", json={"id": "red-0", "k": 12}, headers=GZIP)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["matches"]) == 11
    where = "x" * 3000 + " <"
    refused = client.get("/v1/items", params={"where": where}, headers=GZIP)
    assert (refused.status_code, refused.headers["content-encoding"]) == (400, "gzip")
    assert json.loads(refused.content)["error"]["code"] == "bad_filter"


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        *(("gzip", True), ("br, gzip", True), ("GZIP;q=0.5", True), ("x-gzip", True), ("gzip ; q=1", True)),
        *(("", False), ("br", False), ("gzip;q=0", False), ("gzip; q=0.000", False), ("identity", False), ("*", False)),
        *(("gzipped", False), ("deflate;gzip", False), (",,;", False)),
    ],
)
def test_who_accepts_gzip(header: str, accepted: bool) -> None:
    assert accepts_gzip([header.encode()]) is accepted


def test_tickets_are_never_compressed_beside_what_a_page_sends(client: TestClient) -> None:
    """A secret that is compressed with text of an attacker can be guessed by the length (BREACH)."""
    client.headers["Authorization"] = "Bearer a-token-that-nobody-guesses"
    answer = client.get("/v1/photo-ticket", headers={**GZIP, "X-Request-Id": "x" * 64})
    assert answer.status_code == 200
    assert "content-encoding" not in answer.headers


def test_only_named_origins_may_frame_the_page(shop: Shop, client: TestClient) -> None:
    for path in ("/", "/docs", "/v1/info"):
        answer = client.get(path)
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
    settings = Settings(workers=1, frame_ancestors=("self", "https://shop.example"))
    context = open_context(str(shop.gallery), settings=settings, model=str(shop.model))
    with TestClient(create_app(context)) as framed:
        page = framed.get("/")
        assert "frame-ancestors 'self' https://shop.example;" in page.headers["content-security-policy"]
        assert "x-frame-options" not in page.headers
        for path in ("/docs", "/v1/items/red-0/photo"):
            assert framed.get(path).headers["x-frame-options"] == "DENY"
    for wrong in ("*", "https://*.example", "https://a; script-src *", "'self'", "none"):
        with pytest.raises(ConfigError):
            Settings(frame_ancestors=(wrong,))


def test_a_large_text_is_compressed_too(client: TestClient, tmp_path: Path) -> None:
    body, _ = raw(client, "/openapi.json", PLAIN)
    assert len(body) > 65_536
    small, _ = raw(client, "/openapi.json", GZIP)
    assert gzip.decompress(small) == body
