"""A server under hostile clients and faults: it refuses malformed requests at once, and keeps answering."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2 as httpx
import pytest
from served import Server, picture, refused

import lookalike


def fill(folder: Path, model: Path) -> Path:
    photos = folder / "photos"
    photos.mkdir()
    for number in range(8):
        (photos / f"{number}.png").write_bytes(picture(number))
    with lookalike.open(folder / "shop.gallery", model=str(model)) as shop:
        shop.index(photos)
    return folder


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Path:
    return fill(tmp_path, tiny_model)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Server]:
    """A server for the tests that leave gallery and server as they were."""
    server = Server(fill(tmp_path_factory.mktemp("standing"), tiny_model), tiny_model)
    yield server
    assert server.stop() == 0


@pytest.fixture
def server(folder: Path, tiny_model: Path) -> Iterator[Server]:
    server = Server(folder, tiny_model)
    yield server
    server.stop()


def bomb() -> bytes:
    """A PNG of 30,000 x 30,000 pixels in some kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(10**7), 9))


HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "the file is empty"),
    "text": (b"hello", "not a photo"),
    "page": (b"<html><script>alert(1)</script>", "not a photo"),
    "vector": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "not a photo"),
    "cut": (picture(1)[:60], "cut short"),
    "cut JPEG": (picture(1, kind="JPEG", side=200)[:700], "cut short"),
    "bomb": (bomb(), "more than the 2,000,000 allowed"),
    "nul": (bytes(1000), "not a photo"),
    "archive": (b"PK\x03\x04" + bytes(100), "not a photo"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_photo_is_refused(standing: Server, name: str) -> None:
    photo, reason = HOSTILE[name]
    for _ in range(2):
        assert reason in refused(standing.search(photo), 422, "unreadable_photo")
    put = standing.client.put("/v1/items/evil", files={"photo": ("q.jpg", photo, "image/jpeg")})
    assert reason in refused(put, 422, "unreadable_photo")
    assert standing.search(picture(3), k="1").json()["matches"][0]["id"] == "3.png"


def test_a_polyglot_is_a_picture_and_nothing_else(server: Server) -> None:
    polyglot = picture(3, kind="GIF") + b"<script>alert(document.domain)</script>"
    put = server.client.put("/v1/items/poly", files={"photo": ("evil.html", polyglot, "text/html")})
    assert put.status_code == 201
    shown = server.client.get("/v1/items/poly/photo")
    assert shown.content == polyglot
    assert shown.headers["content-type"] == "image/gif"
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_limits_of_bodies(standing: Server) -> None:
    refused(standing.search(bytes(1_200_000)), 413, "too_large")

    def endless() -> Iterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="photo"; filename="q"\r\n\r\n'
        yield from (bytes(10_000) for _ in range(150))

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(standing.client.post("/v1/search", content=endless(), headers=kind), 413, "too_large")
    fields = [("f", (None, "x")) for _ in range(10_000)]
    refused(standing.client.post("/v1/search", files=fields), 413, "too_many_parts")
    files = [("photo", ("q", b"x")) for _ in range(5_000)]
    refused(standing.client.post("/v1/search", files=files), 413, "too_many_parts")
    parts = b"".join(b"--x\r\n\r\n" for _ in range(10_000)) + b"--x--\r\n"
    refused(standing.client.post("/v1/search", content=parts, headers=kind), 400, "bad_request")
    for kind_of_body, code, status in (
        ("text/plain", "unsupported_media_type", 415),
        ("multipart/form-data", "bad_request", 400),
        ("application/json", "bad_request", 400),
    ):
        answer = standing.client.post("/v1/search", content=b"\xff\xfe{", headers={"Content-Type": kind_of_body})
        refused(answer, status, code)
    deep = b"[" * 100_000
    answer = standing.client.post("/v1/search", content=deep, headers={"Content-Type": "application/json"})
    refused(answer, 413, "too_complex")
    assert standing.search(picture(1)).status_code == 200


def test_a_slow_upload_is_cut_off(standing: Server) -> None:
    with standing.connect() as slow:
        slow.sendall(
            b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\n"
        )
        slow.sendall(b"Content-Length: 1000\r\n\r\n--x\r\n")
        started = time.monotonic()
        head = slow.recv(65536)
        assert head.startswith(b"HTTP/1.1 408 ")
        assert 1 < time.monotonic() - started < 10


def request_of(photo: bytes) -> bytes:
    body = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="q"\r\n\r\n' + photo + b"\r\n--x--\r\n"
    head = f"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Content-Type: multipart/form-data; boundary=x\r\n\r\n" + body


def test_more_than_there_is_room_for_is_refused_at_once(server: Server) -> None:
    photo = picture(2, side=1400, kind="JPEG")
    with ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: server.search(photo, box="0,0,1400,1400"), range(120)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers["Retry-After"]) == answer.json()["error"]["retry_after"] >= 1
    assert server.search(photo).status_code == 200
    figures = server.client.get("/metrics").text
    assert 'lookalike_lane_requests{lane="searches"} 0.0' in figures
    assert 'lookalike_refused_total{code="busy"}' in figures


def test_clients_that_go_away_free_their_places(server: Server) -> None:
    request = request_of(picture(2, side=1400, kind="JPEG"))
    for _ in range(30):
        with contextlib.ExitStack() as several:
            for _ in range(4):
                several.enter_context(server.connect()).sendall(request)
        # closed without reading an answer
    deadline = time.monotonic() + 20
    while 'lookalike_lane_requests{lane="searches"} 0.0' not in server.client.get("/metrics").text:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert server.search(picture(1)).status_code == 200
    assert not [line for line in server.log if '"trace"' in line]


def test_a_stop_finishes_what_runs(server: Server) -> None:
    photo = picture(2, side=1400, kind="JPEG")
    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(server.search, photo) for _ in range(3)]
        while answered_or_inside(server) < 3:
            time.sleep(0.005)
        server.process.send_signal(signal.SIGTERM)
        answers = [one.result().status_code for one in running]
    assert answers == [200] * 3
    assert server.process.wait(timeout=40) == 0
    with pytest.raises(httpx.TransportError):
        server.client.get("/healthz")


def answered_or_inside(server: Server) -> int:
    """How many searches were answered, or run or wait; one that is answered meanwhile is counted by the next call."""
    answered = sum("/v1/search" in line for line in server.log)
    inside = re.search(r'^lookalike_lane_requests{lane="searches"} (\S+)$', server.client.get("/metrics").text, re.M)
    return answered + int(float(inside[1] if inside else 0))


def test_readers_and_writers_do_not_disturb_each_other(server: Server) -> None:
    """Writers replace and remove items while readers search, look and fetch photos: no answer is ever a failure."""
    stop = time.monotonic() + 3
    ours = [f"w{number}" for number in range(6)]

    def write(number: int) -> set[int]:
        statuses, turn = set(), 0
        while time.monotonic() < stop:
            turn += 1
            path = f"/v1/items/{ours[(turn + number) % 6]}"
            statuses.add(server.client.put(path, files={"photo": ("q", picture(turn % 7))}).status_code)
            statuses.add(server.client.delete(f"/v1/items/{ours[(turn * 5 + number) % 6]}").status_code)
        return statuses

    def read(number: int) -> set[int]:
        statuses, turn = set(), 0
        while time.monotonic() < stop:
            turn += 1
            answer = server.search(picture(turn % 7), k="12")
            statuses.add(answer.status_code)
            if answer.status_code == 200:
                found = [match["id"] for match in answer.json()["matches"]]
                assert len(found) == len(set(found))
                steady = {f"{at}.png" for at in range(8)}
                assert len(steady - set(found)) <= 2  # the twelve best of at most fourteen items
            statuses.add(server.client.get(f"/v1/items/{ours[turn % 6]}/photo").status_code)
            statuses.add(server.client.get("/v1/items/3.png/photo", params={"size": 16 + turn % 20}).status_code)
        return statuses

    with ThreadPoolExecutor(5) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        readers = [pool.submit(read, number) for number in range(3)]
        assert set().union(*(one.result() for one in writers)) <= {200, 201, 204, 404}
        assert set().union(*(one.result() for one in readers)) <= {200, 404, 429}
    with lookalike.open(server.gallery) as shop:
        assert not shop.gallery.verify(photos=True).problems  # type: ignore[attr-defined]


def test_a_server_killed_while_it_writes_goes_on_where_it_was(folder: Path, tiny_model: Path) -> None:
    server = Server(folder, tiny_model)
    confirmed: list[str] = []

    def write() -> None:
        with contextlib.suppress(httpx.TransportError):
            for number in range(10_000):
                name = f"k{number}"
                if server.client.put(f"/v1/items/{name}", files={"photo": ("q", picture(number))}).status_code == 201:
                    confirmed.append(name)

    thread = threading.Thread(target=write)
    thread.start()
    while len(confirmed) < 5:
        time.sleep(0.01)
    os.kill(server.process.pid, signal.SIGKILL)
    thread.join()
    server.stop()
    [own] = (folder / "shop.gallery" / "photos").iterdir()
    for unnamed in own.glob("??/*"):
        os.utime(unnamed, (0, 0))  # as if an hour had passed
    orphan = own / "00" / f"{'0' * 64}-{'0' * 8}.png"
    orphan.parent.mkdir(exist_ok=True)
    orphan.write_bytes(b"x")
    os.utime(orphan, (0, 0))

    again = Server(folder, tiny_model)
    try:
        for name in confirmed:
            number = int(name.removeprefix("k"))
            assert again.client.get(f"/v1/items/{name}/photo").content == picture(number)
        last = again.search(picture(int(confirmed[-1].removeprefix("k"))), k="1").json()
        assert last["matches"][0]["score"] > 0.999
        assert not orphan.exists()
        assert again.client.put("/v1/items/after", files={"photo": ("q", picture(99))}).status_code == 201
    finally:
        assert again.stop() == 0
    with lookalike.open(folder / "shop.gallery") as shop:
        assert not shop.gallery.verify(photos=True).problems  # type: ignore[attr-defined]


def test_the_log_is_json_lines(server: Server) -> None:
    server.search(picture(1))
    server.client.get("/nothing")
    server.stop()
    told = [json.loads(line) for line in server.log]
    requests = [line for line in told if line["event"] == "request"]
    assert [(line["route"], line["status"], line.get("code")) for line in requests if line["route"] != "/readyz"] == [
        ("/v1/search", 200, None),
        ("none", 404, "not_found"),
    ]


def test_an_address_in_use_is_told_in_one_line(standing: Server, tiny_model: Path) -> None:
    command = [sys.executable, "-m", "lookalike", "serve", "-g", str(standing.gallery), "--model", str(tiny_model)]
    done = subprocess.run([*command, "--port", str(standing.port)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: cannot listen on 127.0.0.1 port {standing.port}: ")
    assert done.stderr.count("\n") == 1
