"""Attacks on connections and bodies, without a login: memory and the wait of others stay bounded, service goes on."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from served import Honest, Server, picture

import lookalike

pytestmark = pytest.mark.alone

MIB = 1024
"""KiB, in which Linux counts a process's memory."""

SETTINGS = """
upload_bytes = 4_000_000
upload_seconds = 4.0
head_seconds = 1.0
idle_seconds = 1.5
send_seconds = 3.0
connections = 100
workers = 2
waiting = 8
"""
GROWTH = 60 * MIB
STALL = 1.5
"""Seconds that another client's answer may take: a loaded machine needs some itself, and an attack used to take 6."""


@pytest.fixture(scope="module")
def shop_folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "photos").mkdir()
    for number in range(8):
        (folder / "photos" / f"{number}.png").write_bytes(picture(number))
    with lookalike.open(folder / "shop.gallery", model=str(tiny_model)) as shop:
        shop.index(folder / "photos")
    return folder


@pytest.fixture(scope="module")
def server(shop_folder: Path, tiny_model: Path) -> Iterator[Server]:
    server = Server(shop_folder, tiny_model, SETTINGS)
    yield server
    assert server.stop() == 0
    assert not [json.loads(line)["trace"] for line in server.log if '"trace"' in line]


@contextlib.contextmanager
def bounded(server: Server, *, growth: int = GROWTH, stall: float = STALL) -> Iterator[None]:
    """Check what an attack costs: memory, others' patience, and whether the server serves afterwards."""
    server.search(picture(1))
    server.forget_peak()
    before = server.figure("VmRSS")
    with Honest(server) as honest:
        yield
    assert not honest.failures
    assert honest.longest < stall
    assert server.figure("VmHWM") - before < growth
    assert server.search(picture(3), k="1").json()["matches"][0]["id"] == "3.png"


def push(server: Server, parts: Iterator[bytes], *, seconds: float = 20.0, listen: bool = True) -> tuple[int, bytes]:
    """Send as much as the server takes: how many bytes that were, and what it answered."""
    sent, answer = 0, b""
    until = time.monotonic() + seconds
    with server.connect() as attacker, contextlib.suppress(OSError):
        attacker.settimeout(seconds)
        for part in parts:
            if time.monotonic() > until:
                break
            attacker.sendall(part)
            sent += len(part)
        while listen and (piece := attacker.recv(65536)):
            answer += piece
    return sent, answer


def endless(start: bytes, piece: bytes, *, total: int = 64 << 20) -> Iterator[bytes]:
    yield start
    for _ in range(total // len(piece)):
        yield piece


SEARCH = b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
CHUNKED = SEARCH + b"application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
HEADS: dict[str, tuple[bytes, bytes, tuple[int, ...]]] = {
    "header": (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"a" * 65536, (431,)),
    "header name": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a" * 65536, (431, 400)),
    "headers": (b"GET / HTTP/1.1\r\nHost: localhost\r\n", b"a: b\r\n" * 1000, (431,)),
    "URL": (b"GET /", b"a" * 65536, (414,)),
    "query": (b"GET /v1/items?where=", b"%20" * 20000, (414,)),
    "method": (b"", b"A" * 65536, (400,)),
    "empty lines": (b"", b"\r\n" * 30000, (431,)),
    "trailer": (CHUNKED + b"0\r\nX: ", b"a" * 65536, (431,)),
    "trailers": (CHUNKED + b"0\r\n", b"a: b\r\n" * 1000, (431,)),
    "chunk extension": (CHUNKED + b"1;a=", b"b" * 65536, (431,)),
    "chunk size": (CHUNKED, b"0" * 65536, (431, 400)),
    "tiny chunks": (CHUNKED, b"1;abcdef\r\n \r\n" * 4000, (431,)),
}


@pytest.mark.parametrize("name", HEADS)
def test_what_never_ends_is_refused_early(server: Server, name: str) -> None:
    start, piece, statuses = HEADS[name]
    with bounded(server, growth=30 * MIB):
        sent, answer = push(server, endless(start, piece))
    assert sent < 32 << 20
    if answer:  # what was still being sent may have reset the connection before the answer was read
        assert int(answer[9:12]) in statuses, answer[:200]
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"connection: close" in head
        assert json.loads(body)["error"]["code"] in ("head_too_large", "url_too_long", "bad_request")


def test_a_head_one_byte_over_is_refused_with_the_limit(server: Server) -> None:
    with server.connect() as client:
        client.sendall(b"GET /" + b"a" * 32_768 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 414 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["limit"] == 32_768
    fits = server.client.get("/v1/items/" + "a" * 1000, headers={"X": "b" * 30_000})
    assert fits.status_code == 404


def test_trailers_are_no_headers(server: Server) -> None:
    smuggled = CHUNKED.replace(b"/v1/search", b"/v1/items/x").replace(b"POST", b"PUT")
    with server.connect() as client:
        client.sendall(smuggled + b"0\r\nAuthorization: Bearer a-token-that-nobody-guesses\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 401 ")


ITEM = b"GET /v1/items/3.png HTTP/1.1\r\n"
SENT: dict[str, tuple[bytes, bytes]] = {
    "another coding": (CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", b"400"),
    "codings apart": (CHUNKED.replace(b"Transfer", b"Transfer-Encoding: gzip\r\nTransfer") + b"0\r\n\r\n", b"400"),
    "HTTP/0.9": (b"GET /v1/items/3.png\r\n\r\n", b"400"),
    "HTTP/2": (b"GET /v1/items/3.png HTTP/2.0\r\nHost: localhost\r\n\r\n", b"400"),
    "preface of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
    "HTTP/1.0": (b"GET /v1/items/3.png HTTP/1.0\r\n\r\n", b"200"),
    "the URL's host": (ITEM.replace(b"/v1", b"http://LOCALHOST:80/v1") + b"Host: elsewhere.example\r\n\r\n", b"200"),
    "a strange URL's host": (ITEM.replace(b"/v1", b"http://evil.example/v1") + b"Host: localhost\r\n\r\n", b"421"),
    "a URL's login": (ITEM.replace(b"/v1", b"http://localhost@evil.example/v1") + b"Host: localhost\r\n\r\n", b"421"),
    "a URL in a query": (ITEM.replace(b".png", b".png?a=http://evil.example/") + b"Host: localhost\r\n\r\n", b"400"),
    "websocket": (ITEM + b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", b"200"),
}


@pytest.fixture(scope="module")
def answered(server: Server) -> dict[str, bytes]:
    """All that the server says to each of `SENT` until it closes the connection, which takes its time."""

    def say(sent: bytes) -> bytes:
        with server.connect() as client:
            client.sendall(sent)
            return client.makefile("rb").read()

    with ThreadPoolExecutor(len(SENT)) as pool:
        return dict(zip(SENT, pool.map(say, [sent for sent, _ in SENT.values()]), strict=True))


@pytest.mark.parametrize("name", SENT)
def test_one_request_is_answered_once(answered: dict[str, bytes], name: str) -> None:
    answer, (_, status) = answered[name], SENT[name]
    assert answer.startswith(b"HTTP/1.1 " + status), answer
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_flood_of_pipelined_requests_is_read_one_by_one(server: Server) -> None:
    request = b"GET /v1/items/3.png HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with bounded(server, growth=30 * MIB):
        push(server, endless(b"", request * 1000, total=20 << 20), seconds=2, listen=False)
    with server.connect() as client:  # and a few are answered in their order
        paths = [f"/v1/items/{number}.png" for number in range(8)]
        client.sendall(b"".join(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode() for path in paths))
        seen = b""
        while seen.count(b'"id"') < 8:
            piece = client.recv(65536)
            assert piece
            seen += piece
    places = [seen.index(f'"{number}.png"'.encode()) for number in range(8)]
    assert places == sorted(places)


def test_who_never_reads_answers_is_dropped(server: Server) -> None:
    request = b"GET /v1/items?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with bounded(server), contextlib.ExitStack() as several:
        for _ in range(10):
            client = several.enter_context(server.connect())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.settimeout(0.2)
            with contextlib.suppress(OSError):
                for _ in range(2000):
                    client.sendall(request)
        deadline = time.monotonic() + 15
        while server.files() > 40 and time.monotonic() < deadline:
            time.sleep(0.1)
        assert "lookalike_connections_dropped_total" in server.client.get("/metrics").text


CROWDS: dict[str, bytes] = {
    "silent": b"",
    "half a head": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-",
    "half a body": CHUNKED + b"1\r\n{\r\n",
    "all but the body": SEARCH + b"application/json\r\nContent-Length: 9\r\n\r\n",
    "a request each": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_shuts_nobody_out(server: Server, name: str, tries: Callable[..., int]) -> None:
    """Six times as many connections as there are places, which stay, and come back when they are closed."""
    stop = threading.Event()

    def stay() -> None:
        while not stop.is_set():
            with contextlib.suppress(OSError), server.connect() as client:
                client.sendall(CROWDS[name])
                client.settimeout(0.5)
                while not stop.is_set():
                    with contextlib.suppress(TimeoutError):
                        if not client.recv(1000):
                            break

    seconds = tries("http-crowds", short=2, long=60)
    with ThreadPoolExecutor(600) as pool:
        for _ in range(600):
            pool.submit(stay)
        try:
            with patient(server) as waits:
                time.sleep(seconds)
        finally:
            stop.set()
    assert waits
    assert sorted(waits)[len(waits) * 9 // 10] < 10
    found = server.search(picture(3), k="1").json()
    assert found["matches"][0]["id"] == "3.png", found
    assert server.files() < 200


@contextlib.contextmanager
def patient(server: Server) -> Iterator[list[float]]:
    """A client that tries again where it is turned away: seconds until each of its requests was answered."""
    stop, waits = threading.Event(), list[float]()

    def ask() -> None:
        while not stop.wait(0.05):
            began = time.monotonic()
            while not stop.is_set():
                client = HTTPConnection("127.0.0.1", server.port, timeout=10)
                with contextlib.suppress(OSError, HTTPException), contextlib.closing(client):
                    client.request("GET", "/v1/items/3.png")
                    with contextlib.closing(client.getresponse()) as answer:
                        status, _ = answer.status, answer.read()
                    if status == 200:
                        waits.append(time.monotonic() - began)
                        break

    thread = threading.Thread(target=ask)
    thread.start()
    yield waits
    stop.set()
    thread.join()


def test_heads_and_pauses_have_their_time(server: Server) -> None:
    cases = (
        (b"", 1.0),
        (b"GET / HTTP/1.1\r\n", 1.0),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 1.5),
    )

    def seconds_until_closed(first: bytes) -> float:
        with server.connect() as client:
            client.sendall(first)
            began = time.monotonic()
            with contextlib.suppress(OSError):
                while client.recv(65536):
                    pass
            return time.monotonic() - began

    with ThreadPoolExecutor(len(cases)) as pool:
        taken = pool.map(seconds_until_closed, [first for first, _ in cases])
    for seconds, (_, limit) in zip(taken, cases, strict=True):
        assert limit - 0.2 < seconds < limit + 3


def test_one_connection_is_served_when_one_is_allowed(shop_folder: Path, tiny_model: Path) -> None:
    server = Server(shop_folder, tiny_model, "connections = 1\nworkers = 1\n")
    try:
        for _ in range(3):
            assert server.client.get("/v1/items/3.png").status_code == 200
            with server.connect() as other:  # takes the place of the one that is idle
                other.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert other.recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        assert server.stop() == 0


def test_an_address_has_its_share_of_the_connections(shop_folder: Path, tiny_model: Path) -> None:
    server = Server(shop_folder, tiny_model, "connections = 20\nconnections_each = 3\nproxies = []\nworkers = 1\n")
    try:
        with contextlib.ExitStack() as several:

            def connect(address: str) -> socket.socket:
                made = socket.create_connection(("127.0.0.1", server.port), 5, (address, 0))
                return several.enter_context(made)

            others = [connect("127.0.0.2") for _ in range(3)]
            own = []
            for _ in range(12):
                own.append(connect("127.0.0.3"))
                own[-1].sendall(SEARCH + b"application/json\r\nContent-Length: 9\r\n\r\n{")
            deadline = time.monotonic() + 20
            while sum(map(is_open, own)) > 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert sum(map(is_open, own)) <= 3
            assert all(map(is_open, others))
            others[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert others[0].recv(100).startswith(b"HTTP/1.1 200 ")
    finally:
        assert server.stop() == 0


def is_open(client: socket.socket) -> bool:
    """Whether a server has said nothing, and not closed the connection."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        client.settimeout(5)
    return False


FORM = "multipart/form-data; boundary=x"
PART = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="q"\r\n'
FIELD = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n\r\n'
BODIES: dict[str, tuple[str, bytes, set[int]]] = {
    "keys": ("application/json", b"{" + b",".join(b'"%d":0' % at for at in range(350_000)) + b"}", {413}),
    "short keys": ("application/json", b"{" + b",".join(b'"%d":0' % at for at in range(80_000)) + b"}", {413}),
    "numbers": ("application/json", b'{"weights": [' + b"0," * 400_000 + b"0]}", {413}),
    "a long number": ("application/json", b'{"k": ' + b"9" * 900_000 + b"}", {413}),
    "a large number": ("application/json", b'{"id": "3.png", "k": 1e999}', {400, 422}),
    "long numbers": ("application/json", b'{"weights": [' + (b"9" * 390 + b",") * 2000 + b"0]}", {400, 422}),
    "lists": ("application/json", b'{"id": ' + b"[" * 5000, {413}),
    "objects": ("application/json", b'{"a":' * 100_000, {413}),
    "backslashes": ("application/json", b'{"id": "' + b"\\\\" * 450_000 + b'"}', {422}),
    "another encoding": ("application/json", ('{"id": "' + "x" * 100_000 + '"}').encode("utf-16"), {400}),
    "headers of a part": (FORM, PART + b"a: b\r\n" * 500_000, {400}),
    "a header of a part": (FORM, PART + b"a: " + b"b" * 3_000_000, {400, 413}),
    "parts": (FORM, (PART + b"\r\n\r\n") * 40_000, {413}),
    "nearly boundaries": (FORM, PART + b"\r\n" + b"\r\n--" * 700_000, {400, 422}),
    "a long key": ("application/json", b'{"id": "3.png", "' + b"a" * 900_000 + b'": 1}', {422}),
    "long keys": (
        "application/json",
        b"{" + b",".join(b'"%d%s": 1' % (at, b"a" * 40_000) for at in range(20)) + b"}",
        {422},
    ),
    "a long metric": ("application/json", b'{"id": "3.png", "metrics": {"deep": "' + b"a" * 900_000 + b'"}}', {400}),
    "a long space": ("application/json", b'{"id": "3.png", "weights": {"' + b"a" * 900_000 + b'": 1}}', {400}),
    "a long box": (FORM, FIELD % b"box" + b"1" * 60_000 + b"\r\n" + PART + b"\r\nx\r\n--x--\r\n", {422}),
    "a long type": ("text/" + "a" * 20_000, b"x", {415}),
    "a slow charset": (FORM + "; charset=punycode", (FIELD % b"id" + b"a" * 60_000 + b"\r\n") * 60 + b"--x--", {415}),
    "line ends": (FORM, PART + b"\r\n" + b"\r" * 3_500_000, {400, 422}),
    "no boundary": (FORM, b"a" * 3_500_000, {400}),
    "hyphens": (FORM, b"-" * 3_500_000, {400}),
}


@pytest.mark.parametrize("name", BODIES)
def test_bodies_that_cost_more_to_read_than_to_send(server: Server, name: str) -> None:
    kind, body, statuses = BODIES[name]
    with bounded(server):
        answer = server.client.post("/v1/search", content=body, headers={"Content-Type": kind})
    assert answer.status_code in statuses, answer.text
    assert len(answer.content) < 10_000


def flat(side: int, kind: str) -> bytes:
    """A photo of one color: many pixels in few bytes."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), (200, 30, 40)).save(file, kind)
    return file.getvalue()


def test_photos_of_many_pixels_in_few_bytes(shop_folder: Path, tiny_model: Path) -> None:
    """Eight in one request, several requests at once, and each way in: memory for about one of them is taken."""
    settings = "pixels = 7_000_000\ndecode_bytes = 90_000_000\nworkers = 2\nanswer_seconds = 60.0\n"
    server = Server(shop_folder, tiny_model, settings)
    png, wavelet = flat(2600, "PNG"), flat(2600, "JPEG2000")
    try:
        with bounded(server, growth=220 * MIB, stall=4.0), ThreadPoolExecutor(3) as pool:
            assert server.search(wavelet).status_code == 200  # decoded at a fraction of its size
            several = [("photo", ("q", png)) for _ in range(8)]
            searches = [pool.submit(server.client.post, "/v1/search", files=several, timeout=90) for _ in range(2)]
            put = pool.submit(server.client.put, "/v1/items/bomb", files={"photo": ("q", png)})
            assert put.result().status_code == 201
            assert server.client.get("/v1/items/bomb/photo", params={"size": 64}).status_code == 200
            assert [search.result().status_code for search in searches] == [200, 200]
            assert server.client.delete("/v1/items/bomb").status_code == 204
    finally:
        assert server.stop() == 0


def test_random_bytes(server: Server, tries: Callable[..., int], luck: Random) -> None:
    """Requests with bytes changed, doubled, cut out and put in: an answer or a closed connection, never a fault."""
    whole = [
        b"GET /v1/items/3.png?x=1 HTTP/1.1\r\nHost: localhost\r\nRange: bytes=0-9\r\nAccept: */*\r\n\r\n",
        CHUNKED + b"10\r\n" + b'{"id": "3.png" }' + b"\r\n0\r\n\r\n",
        SEARCH + b"multipart/form-data; boundary=x\r\nContent-Length: 73\r\n\r\n"
        b'--x\r\nContent-Disposition: form-data; name="id"\r\n\r\n3.png\r\n--x--\r\n\r\n\r\n\r\n',
    ]
    with bounded(server, stall=3.0):
        for _ in range(tries("http-bytes", short=150, long=20_000)):
            data = bytearray(luck.choice(whole) * luck.choice((1, 1, 3)))
            for _ in range(luck.randrange(1, 6)):
                at = luck.randrange(len(data))
                match luck.randrange(4):
                    case 0:
                        data[at] = luck.randrange(256)
                    case 1:
                        del data[at : at + luck.randrange(20)]
                    case 2:
                        data[at:at] = luck.choice(
                            (b"\r\n", b"\0", b"\xff" * 9, b":", b"0" * 30, b"%2", b"\r\n\r\n", b"\n")
                        )
                    case 3:
                        data[at:at] = data[luck.randrange(len(data)) :][:50]
            with server.connect() as client, contextlib.suppress(OSError):
                client.sendall(data)
                if luck.random() < 0.3:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # a reset
                    continue
                client.settimeout(0.3)
                answer = client.recv(65536)
                assert answer[:9] in (b"", b"HTTP/1.1 "), answer
                assert not answer.startswith(b"HTTP/1.1 500"), bytes(data)
