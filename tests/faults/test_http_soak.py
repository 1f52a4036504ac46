"""A long run of ordinary traffic with writes: memory, open files and threads do not grow."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import httpx2 as httpx
import pytest
from served import TOKEN, Server, picture

import lookalike

pytestmark = pytest.mark.alone

CLIENTS = 4
KNOWN, WRITTEN = 40, 60
MIB = 1024
SLACK = 24 * MIB
"""Memory that comes and goes: what SQLite, the network and Python's allocator keep for later."""


def ask(client: httpx.Client, luck: Random) -> httpx.Response:  # noqa: C901 - one case after the other
    """One request, as a page, a shop's backend or a monitor sends it."""
    known, written = f"{luck.randrange(KNOWN)}.png", f"w{luck.randrange(WRITTEN)}"
    match luck.randrange(14):
        case 0 | 1 | 2:
            fields = {"k": "5"} if luck.random() < 0.5 else {"k": "5", "where": f"number < {luck.randrange(99)}"}
            return client.post("/v1/search", files={"photo": ("q", picture(luck.randrange(99)))}, data=fields)
        case 3 | 4:
            return client.post("/v1/search", json={"id": known, "offset": luck.randrange(9), "k": 3})
        case 5:
            return client.get(f"/v1/items/{known}/photo", params={"size": 16 + luck.randrange(60)})
        case 6:
            return client.get(f"/v1/items/{written}/photo")
        case 7:
            return client.get("/v1/items", params={"limit": 20, "offset": luck.randrange(50)})
        case 8:
            return client.get("/v1/facets", params={"where": f"number > {luck.randrange(99)}"})
        case 9:
            return client.get(luck.choice(("/readyz", "/healthz", "/metrics", "/v1/info", "/", "/nothing")))
        case 10:
            name, photo = f"/v1/items/{written}", picture(luck.randrange(99))
            fields = {"attributes": f'{{"number": {luck.randrange(99)}}}'}
            return client.put(name, files={"photo": ("q", photo)}, data=fields)
        case 11:
            return client.patch(f"/v1/items/{known}", json={"attributes": {"number": luck.randrange(99)}})
        case 12:
            return client.delete(f"/v1/items/{written}")
        case _:
            return client.post("/v1/search", content=b"{", headers={"Content-Type": "application/json"})


def test_ordinary_traffic_takes_no_more_and_no_more(
    tmp_path: Path, tiny_model: Path, tries: Callable[..., int], luck: Random
) -> None:
    (tmp_path / "photos").mkdir()
    for number in range(KNOWN):
        (tmp_path / "photos" / f"{number}.png").write_bytes(picture(number))
    with lookalike.open(tmp_path / "shop.gallery", model=str(tiny_model)) as shop:
        shop.index(tmp_path / "photos")
    server = Server(tmp_path, tiny_model, "workers = 2\nthumbnails_bytes = 1_000_000\nidle_seconds = 2.0\n")
    seconds = tries("http-soak", short=8, long=1800)
    stop, statuses = threading.Event(), Counter[int]()

    def client(own: Random) -> None:
        while not stop.is_set():
            with httpx.Client(
                base_url=f"http://127.0.0.1:{server.port}", timeout=30, headers={"Authorization": f"Bearer {TOKEN}"}
            ) as connection:
                for _ in range(own.randrange(1, 200)):
                    if stop.is_set():
                        break
                    statuses[ask(connection, own).status_code] += 1
            if own.random() < 0.3:  # and some go away without a word
                with contextlib.suppress(OSError), server.connect() as rude:
                    rude.sendall(b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999\r\n\r\n{")

    threads = [threading.Thread(target=client, args=(Random(luck.random()),)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    seen: list[tuple[int, int, int]] = []
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        time.sleep(max(0.5, seconds / 40))
        seen.append((server.figure("VmRSS"), server.files(), server.figure("Threads")))
    stop.set()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 201, 204, 400, 404, 429, 503}, statuses
    assert statuses[200] > 10 * seconds
    assert statuses[503] < 0.01 * statuses[200], statuses
    settled = seen[len(seen) // 4]
    memory, files, workers = (max(column) for column in zip(*seen[len(seen) * 3 // 4 :], strict=True))
    assert memory < 1.05 * settled[0] + SLACK, seen
    assert files < settled[1] + 3 * CLIENTS + 8, seen
    assert workers <= settled[2] + 8, seen
    assert not [line for line in server.log if '"trace"' in line]
    assert server.stop() == 0
    with lookalike.open(server.gallery) as shop:
        assert not shop.gallery.verify(photos=True).problems  # type: ignore[attr-defined]
