"""The server under load, beside what the embedder alone can do on the same machine.

    python bench/serve.py                         # everything: about ten minutes on a quiet machine
    python bench/serve.py --seconds 5 --soak 500  # a quick look

1. `embedder`: decode and embed the photos in this process, in batches, without any server.
2. `full load`: as many requests as the server answers, from clients that ask again as soon as they have an answer.
3. `80 %`: requests at 80 % of that rate, at random moments (Poisson), each timed from the moment it was due.
4. `soak`: 20,000 requests, and the server's memory on the way.
5. `overload`: many more clients than there is room for: what is not answered is refused, and nothing fails.

The client writes prepared bytes to sockets, so that it takes as little of the processors as it can; it still shares
them with the server, and what it takes (`client`) is shown. Needs Linux: memory is read from /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

BOUNDARY = "bench"
CLIENTS, CROWD = 16, 300
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Load:
    """What came of a load.

    Attributes:
        statuses: How many answers of each; 0 for connections that broke.
        seconds: Of each answer with status 200.
        wall: Seconds that all of it took.
        client: Seconds of processor time that this process took.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    client: float = 0.0

    @property
    def rate(self) -> float:
        """Answers with status 200 a second."""
        return self.statuses[200] / self.wall

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of the answers came."""
        return float(np.quantile(self.seconds, share)) * 1000


def requests_of(photos: Sequence[bytes], *, port: int) -> list[bytes]:
    """Searches by these photos, ready to be sent."""
    made = []
    for photo in photos:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="photo"; filename="q.jpg"\r\n\r\n'.encode()
        body = head + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
        made.append(
            f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
            + body
        )
    return made


class Connection:
    """One connection that is kept open."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request and read its answer: the status, or 0 when the connection broke."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(found[1]) if found else 0)
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        """Let go of it."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def closed_loop(requests: Sequence[bytes], *, port: int, clients: int, seconds: float, most: int = 0) -> Load:
    """Clients that ask again as soon as they have an answer, until time is up or `most` were answered."""
    load, until = Load(), time.perf_counter() + seconds
    asked = 0

    async def client(number: int) -> None:
        nonlocal asked
        connection, turn = Connection(port), number
        while time.perf_counter() < until and (not most or asked < most):
            asked += 1
            started = time.perf_counter()
            status = await connection.ask(requests[turn % len(requests)])
            load.statuses[status] += 1
            if status == 200:
                load.seconds.append(time.perf_counter() - started)
            elif status == 429:
                await asyncio.sleep(0.05)  # less than it is asked to wait, but not at once
            turn += clients
        connection.close()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(clients)))
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    return load


async def open_loop(requests: Sequence[bytes], *, port: int, rate: float, seconds: float) -> Load:
    """Requests at random moments, whatever has become of those before; each is timed from when it was due."""
    load, chance = Load(), random.Random(1)
    free: list[Connection] = []

    async def ask(request: bytes, due: float) -> None:
        connection = free.pop() if free else Connection(port)
        status = await connection.ask(request)
        load.statuses[status] += 1
        if status == 200:
            load.seconds.append(time.perf_counter() - due)
        free.append(connection)

    began, cpu = time.perf_counter(), time.process_time()
    due, running = began, []
    while due < began + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        running.append(asyncio.create_task(ask(random.Random(len(running)).choice(requests), due)))
        due += chance.expovariate(rate)
    await asyncio.gather(*running)
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    for connection in free:
        connection.close()
    return load


def embedder_alone(photos: Sequence[bytes], *, seconds: float) -> dict[str, float]:
    """Photos a second without a server: the network alone, and with decoding and preparing before it."""
    from lookalike.embedding.deep import open_network, processors
    from lookalike.embedding.photo import PhotoEmbedder
    from lookalike.embedding.protocol import Prepared
    from lookalike.images import open_image

    embedder = PhotoEmbedder(open_network("default"))

    def ready(photo: bytes) -> Prepared:
        return embedder.prepare(open_image(photo, at_least=embedder.wanted_size))

    rates: dict[str, float] = {}
    prepared = [ready(photo) for photo in photos[:64]]
    for batch in (1, 4, 8):
        done, began = 0, time.perf_counter()
        while (took := time.perf_counter() - began) < seconds / 2:
            embedder.embed_prepared(prepared[done % 32 : done % 32 + batch])
            done += batch
        rates[f"network, batches of {batch}"] = done / took
    for workers in (1, processors()):
        with ThreadPoolExecutor(workers) as pool:
            done, began = 0, time.perf_counter()
            waiting = [pool.submit(ready, photos[at % len(photos)]) for at in range(32)]
            while (took := time.perf_counter() - began) < seconds:
                batch_of = [waiting.pop(0).result() for _ in range(8)]
                waiting += [pool.submit(ready, photos[(done + at) % len(photos)]) for at in range(8)]
                embedder.embed_prepared(batch_of)
                done += 8
            rates[f"decode, prepare ({workers} threads), network"] = done / took
            pool.shutdown(cancel_futures=True)
    return rates


def resident_mib(process: int) -> float:
    """Memory of a process that is in use, in MiB."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 2**20


@contextlib.contextmanager
def served(gallery: Path) -> Iterator[tuple[int, int]]:
    """`lookalike serve` in a process of its own: its number, and its port."""
    command = [sys.executable, "-m", "lookalike.cli", "serve", "--gallery", str(gallery), "--port", "0"]
    with tempfile.TemporaryFile("w+") as log, subprocess.Popen(command, stderr=log, text=True) as process:
        try:
            for _ in range(600):
                log.seek(0)
                found = re.search(r"http://127\.0\.0\.1:(\d+)/", log.read())
                if found:
                    break
                time.sleep(0.1)
            else:
                sys.exit("the server did not start")
            yield process.pid, int(found[1])
        finally:
            process.terminate()
            process.wait(timeout=60)


def shop_of(folder: Path) -> tuple[Path, list[bytes]]:
    """The drawn sample as a gallery, and photos that are not in it."""
    import lookalike
    from lookalike.catalogue.drawn import changed_photo, make_products, write_drawn

    gallery = folder / "drawn.gallery"
    with lookalike.open(gallery) as shop:
        shop.index(write_drawn(folder / "catalogue"))
    photos = []
    for product in make_products(60):
        file = io.BytesIO()
        changed_photo(product).save(file, "JPEG", quality=90)
        photos.append(file.getvalue())
    return gallery, photos


async def measure(process: int, port: int, photos: Sequence[bytes], *, seconds: float, soak: int) -> dict[str, object]:
    """All loads, one after the other."""
    requests = requests_of(photos, port=port)
    await closed_loop(requests, port=port, clients=4, seconds=min(3.0, seconds))  # to warm up
    full = await closed_loop(requests, port=port, clients=CLIENTS, seconds=seconds)
    eighty = await open_loop(requests, port=port, rate=0.8 * full.rate, seconds=seconds)
    memory = []
    for part in range(10):
        await closed_loop(requests, port=port, clients=CLIENTS, seconds=3600, most=soak // 10)
        memory.append(round(resident_mib(process), 1))
        print(f"soak: {(part + 1) * (soak // 10):,} requests, {memory[-1]} MiB", file=sys.stderr)
    crowd = await closed_loop(requests, port=port, clients=CROWD, seconds=seconds)
    after = await closed_loop(requests, port=port, clients=1, seconds=2)
    return {
        "full load": {"per_s": full.rate, "statuses": full.statuses, "client_cpu": full.client / full.wall},
        "80 %": {
            "per_s": eighty.rate,
            "p50_ms": eighty.quantile(0.5),
            "p99_ms": eighty.quantile(0.99),
            "p99/p50": eighty.quantile(0.99) / eighty.quantile(0.5),
            "statuses": eighty.statuses,
        },
        "soak": {"requests": soak, "resident_mib": memory},
        "overload": {"per_s": crowd.rate, "statuses": crowd.statuses},
        "after it": {"p50_ms": after.quantile(0.5), "statuses": after.statuses},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each load")
    parser.add_argument("--soak", type=int, default=20_000, help="requests of the soak")
    parser.add_argument("--gallery", type=Path, help="in place of the drawn sample; needs --photos")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG photos to ask with")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.gallery and given.photos:
            gallery, photos = given.gallery, [path.read_bytes() for path in sorted(given.photos.rglob("*.jpg"))[:500]]
        else:
            gallery, photos = shop_of(Path(folder))
        alone = embedder_alone(photos, seconds=given.seconds / 3)
        with served(gallery) as (process, port):
            result = asyncio.run(measure(process, port, photos, seconds=given.seconds, soak=given.soak))
    print(json.dumps({"alone, photos/s": alone, **result}, indent=2, default=str))
    best = max(rate for name, rate in alone.items() if name.startswith("decode"))
    print(f"full load / embedder with decoding: {result['full load']['per_s'] / best:.2f}")  # type: ignore[index]


if __name__ == "__main__":
    main()
