"""Downloads from a web server that breaks off, trickles, redirects, compresses or never ends."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("aiohttp")

from fault_tries import Tries
from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import CatalogueError, PhotoError
from lookalike.images import Limits, open_image, read_bytes
from lookalike.remote import object_store
from raw_server import RawServer, head, whole


def png(number: int = 0) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, size=(40, 40, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_CACHE", "")
    monkeypatch.setattr(object_store, "FIRST_PAUSE_S", 0.01)


def broken(data: bytes, way: str, luck: Random) -> Iterator[bytes]:
    """A body that breaks off at a random place."""
    at = luck.randrange(len(data))
    if way == "length":
        yield head(Content_Length=len(data))
    elif way == "chunks":
        yield head(Transfer_Encoding="chunked") + f"{len(data):x}\r\n".encode()
    elif way == "chunk-end":
        yield head(Transfer_Encoding="chunked")
        yield f"{at:x}\r\n".encode() + data[:at] + b"\r\n" if at else b""
        return
    elif way == "head":
        yield head(Content_Length=len(data))[: luck.randrange(1, 20)]
        return
    elif way == "gzip":
        squeezed = gzip.compress(data)
        at = luck.randrange(len(squeezed))
        yield head(Content_Encoding="gzip", Content_Length=at) + squeezed[:at]
        return
    yield data[:at]


WAYS = ("length", "chunks", "chunk-end", "head", "gzip", "nothing")


def test_a_download_that_breaks_off_is_read_once_more_and_never_taken_for_whole(tries: Tries, luck: Random) -> None:
    data = png()

    def answer(path: str, times: int) -> Iterator[bytes]:
        way, breaks = path.strip("/").split("-", 1)[1].rsplit("-", 1)
        if int(breaks) < times and int(breaks) < object_store.TRIES:
            return whole(data)
        return iter(()) if way == "nothing" else broken(data, way, luck)

    with RawServer(answer) as server:
        for number in range(tries("broken-downloads", short=18, long=2_000)):
            way, breaks = WAYS[number % len(WAYS)], luck.randrange(1, object_store.TRIES + 1)
            url = f"{server.address}/{number}-{way}-{breaks}"
            if breaks < object_store.TRIES:
                assert read_bytes(url) == data, (way, breaks)
            else:
                with pytest.raises(PhotoError, match=rf"\({object_store.TRIES} tries\)"):
                    read_bytes(url)
            # The client itself asks once more when a connection that was open already turns out to be closed.
            asked = server.asked[f"/{number}-{way}-{breaks}"]
            assert min(breaks + 1, object_store.TRIES) <= asked <= 2 * object_store.TRIES


def test_a_table_that_breaks_off_is_read_once_more_and_never_taken_for_whole(tmp_path: Path) -> None:
    table = b"id,image\n" + b"".join(b"%d,photos/%d.png\n" % (number, number) for number in range(2_000))

    def answer(path: str, times: int) -> Iterator[bytes]:
        return whole(table) if times > 2 and path == "/shop.csv" else broken(table, "length", Random(times))

    with RawServer(answer) as server:
        catalogue = open_catalogue(f"{server.address}/shop.csv")
        assert [item.id for item in catalogue.items()] == [str(number) for number in range(2_000)]
        with pytest.raises(CatalogueError, match=r"the connection broke off before the end \(4 tries\)"):
            open_catalogue(f"{server.address}/never.csv")


def test_addresses_in_capitals_are_read() -> None:
    with RawServer(lambda path, times: whole(png())) as server:
        address = server.address.replace("http", "HTTP")
        assert read_bytes(f"{address}/a.png") == png()
        with pytest.raises(CatalogueError, match="is a photo; a catalogue is"):
            open_catalogue(f"{address}/a.csv")
    assert server.asked == {"/a.png": 1, "/a.csv": 1}


@pytest.mark.alone
def test_a_trickle_ends_with_the_time_limit() -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        if path == "/head":
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000:
                yield bytes([byte])
                time.sleep(0.05)
        yield head(Content_Length=1_000)
        while True:
            yield b"x"
            time.sleep(0.05)

    with RawServer(answer) as server:
        for path in ("/head", "/body"):
            started = time.monotonic()
            with pytest.raises(PhotoError, match=r"not read within 0\.5 s"):
                read_bytes(f"{server.address}{path}", seconds=0.5)
            assert time.monotonic() - started < 3


def test_a_body_without_end_is_read_no_further_than_the_limit() -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        if path == "/squeezed":
            bomb = gzip.compress(bytes(50_000_000))
            yield head(Content_Encoding="gzip", Content_Length=len(bomb)) + bomb
            return
        yield head(Transfer_Encoding="chunked") if path == "/chunks" else head()
        while True:
            yield (b"10000\r\n" if path == "/chunks" else b"") + bytes(2**16) + (b"\r\n" if path == "/chunks" else b"")

    with RawServer(answer) as server:
        for path in ("/chunks", "/plain", "/squeezed"):
            with pytest.raises(PhotoError, match="longer than the 1,000,000 bytes allowed"):
                read_bytes(server.address + path, limits=Limits(bytes=1_000_000))


def test_a_compressed_body_is_read_and_an_unknown_encoding_named() -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        kind = path.strip("/")
        data = gzip.compress(png()) if kind == "gzip" else png()
        yield head(Content_Encoding=kind, Content_Length=len(data)) + data

    with RawServer(answer) as server:
        assert read_bytes(f"{server.address}/gzip") == png()
        with pytest.raises(PhotoError, match="compressed as 'br', unasked"):
            read_bytes(f"{server.address}/br")
        with pytest.raises(PhotoError, match="says it is compressed, and it is not"):
            read_bytes(f"{server.address}/deflate")
    assert all(b"accept-encoding: identity" in head.lower() for head in server.heads)


def test_redirects_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        if path == "/photo":
            return whole(png())
        left = int(path.strip("/"))
        return iter([head("302 Found", Location=f"/{left - 1}" if left > 1 else "/photo", Content_Length=0)])

    with RawServer(answer) as server:
        assert read_bytes(f"{server.address}/5") == png()
        with pytest.raises(PhotoError, match="more than 5 redirects"):
            read_bytes(f"{server.address}/6")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/a", "s3://shop/a", "data:,x", "//[/"])
def test_a_redirect_to_another_kind_of_address_is_not_followed(target: str) -> None:
    with (
        RawServer(lambda path, times: iter([head("301 Moved", Location=target, Content_Length=0)])) as server,
        pytest.raises(PhotoError, match="redirects to an address that is not read"),
    ):
        read_bytes(f"{server.address}/a.png")
    assert server.asked == {"/a.png": 1}


@pytest.mark.alone
def test_a_busy_server_is_given_the_time_that_it_asks_for() -> None:
    def answer(path: str, times: int) -> Iterator[bytes]:
        if times == 1:
            return iter([head("429 Too Many", Retry_After=1, Content_Length=0)])
        if path == "/long":
            return iter([head("503 Later", Retry_After=3_000, Content_Length=0)])
        return whole(png())

    with RawServer(answer) as server:
        started = time.monotonic()
        assert read_bytes(f"{server.address}/a.png") == png()
        assert 1.0 <= time.monotonic() - started < 5
        with pytest.raises(PhotoError, match=r"the server answers 503 \(2 tries\)"):
            read_bytes(f"{server.address}/long")
        assert time.monotonic() - started < 10


def test_a_page_in_place_of_a_photo_is_named() -> None:
    page = b"<!DOCTYPE html><html>please log in</html>"

    def answer(path: str, times: int) -> Iterator[bytes]:
        yield head(Content_Type="text/html; charset=utf-8", Content_Length=len(page)) + page

    with RawServer(answer) as server, pytest.raises(PhotoError, match=r"sends a page \(text/html\), and no photo"):
        open_image(f"{server.address}/a.png")
