"""Load test of the server, compared with the embedder alone on the same machine.

    python bench/serve.py                         # all loads: about ten minutes on an idle machine
    python bench/serve.py --seconds 5 --soak 500  # a quick run
    python bench/serve.py --processes 2           # of a server with two processes

1. Embedder alone: decode and embed the photos in this process, without a server; the fastest of three ways.
2. Full load: a closed loop of clients that send the next request after each answer. Full load and the embedder alone
   take turns, and the median of three turns counts.
3. 80 %: an open loop at 80 % of that rate, evenly spaced and then at random times (Poisson), each request timed from
   the moment it was due. At random times even two processors with a constant service time have a p99 of 3.9 times p50
   (the queue M/D/2): this shows the queue more than the server.
4. Soak: 20,000 requests, and the server's memory after each tenth of them.
5. Overload: many more clients than there is room for; requests are answered or get 429, and none fails.
6. Full load by default, in which a finder looks for the garments of each photo first, which 1 to 5 leave out
   (`garment=whole`): it takes more processor time than the embedder.

Prints a table with the goals. The client writes prepared bytes to sockets to use little processor time; it shares the
processors with the server, and its share is printed. Needs Linux, for /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import random
import re
import statistics
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

from lookalike.embedding.protocol import Prepared
from lookalike.images import open_image

BOUNDARY = "bench"
CLIENTS, CROWD, TURNS = 16, 300, 3
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
RATE_GOAL, TAIL_GOAL, GROWTH_GOAL = 0.9, 3.0, 0.05


@dataclass
class Load:
    """Results of a load.

    Attributes:
        statuses: Number of answers by HTTP status; 0 for broken connections.
        seconds: Latencies of answers with status 200, in seconds.
        wall: Duration of the load, in seconds.
        client: Processor time of this process, in seconds.
        server: Processor time of the server, in seconds.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wall: float = 0.0
    client: float = 0.0
    server: float = 0.0

    @property
    def failed(self) -> int:
        """Number of requests with neither status 200 nor 429: errors, and broken connections."""
        return sum(self.statuses.values()) - self.statuses[200] - self.statuses[429]

    @property
    def rate(self) -> float:
        """Answers with status 200 per second."""
        return self.statuses[200] / self.wall

    def quantile(self, share: float) -> float:
        """Quantile of the latencies, in milliseconds."""
        return float(np.quantile(self.seconds, share)) * 1000


def requests_of(photos: Sequence[bytes], *, port: int, garment: str) -> list[bytes]:
    """Return the bytes of a search request for each photo."""
    made = []
    for photo in photos:
        part = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
        head = f'{part}"garment"\r\n\r\n{garment}\r\n{part}"photo"; filename="q.jpg"\r\n\r\n'.encode()
        body = head + photo + f"\r\n--{BOUNDARY}--\r\n".encode()
        made.append(
            f"POST /v1/search HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n".encode()
            + body
        )
    return made


class Connection:
    """A persistent connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> int:
        """Send a request, and return the status of its answer, or 0 if the connection broke."""
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
            reader, writer = self._streams
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            await reader.readexactly(int(found[1]) if found else 0)
            return int(head[9:12])
        except (OSError, asyncio.IncompleteReadError):
            self.close()
            return 0

    def close(self) -> None:
        """Close the connection."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def closed_loop(requests: Sequence[bytes], *, port: int, clients: int, seconds: float, most: int = 0) -> Load:
    """Send requests from clients that wait for each answer, until time is up or `most` were answered."""
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
                await asyncio.sleep(0.05)  # less than the server's Retry-After, but not at once
            turn += clients
        connection.close()

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client(number) for number in range(clients)))
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    return load


async def open_loop(requests: Sequence[bytes], *, port: int, rate: float, seconds: float, even: bool) -> Load:
    """Send requests at a rate, evenly spaced or at random times, without waiting; each is timed from when it is due."""
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
        due += 1 / rate if even else chance.expovariate(rate)
    await asyncio.gather(*running)
    load.wall, load.client = time.perf_counter() - began, time.process_time() - cpu
    for connection in free:
        connection.close()
    return load


class Alone:
    """The embedder without a server: decoding, preprocessing and network."""

    def __init__(self, photos: Sequence[bytes]) -> None:
        from lookalike.embedding.embedder import PhotoEmbedder
        from lookalike.embedding.model_loading import open_network, processors

        self._photos, self._processors = photos, processors()
        self._embedder = PhotoEmbedder(open_network("default"))
        self._lean = PhotoEmbedder(open_network("default", threads=1))

    def best(self, seconds: float) -> tuple[float, float]:
        """Return the photos per second of the fastest way, and its processor time per photo in milliseconds.

        The ways are batches with one or more decoding threads, and one photo at a time on each processor, as in the
        server.
        """
        decoders = sorted({1, self._processors, 2 * self._processors})
        share = seconds / (len(decoders) + 1)
        return max(self._apart(share), *(self._in_batches(count, share) for count in decoders))

    def _ready(self, turn: int) -> Prepared:
        photo = self._photos[turn % len(self._photos)]
        return self._embedder.prepare(open_image(photo, at_least=self._embedder.wanted_size))

    def _apart(self, seconds: float) -> tuple[float, float]:
        began, cpu = time.perf_counter(), time.process_time()

        def describe(first: int) -> int:
            done = 0
            while time.perf_counter() - began < seconds:
                self._lean.embed_prepared([self._ready(first + done)])
                done += 1
            return done

        with ThreadPoolExecutor(self._processors) as pool:
            done = sum(pool.map(describe, range(self._processors)))
        return done / (time.perf_counter() - began), (time.process_time() - cpu) / done * 1000

    def _in_batches(self, workers: int, seconds: float) -> tuple[float, float]:
        with ThreadPoolExecutor(workers) as pool:
            done, began, cpu = 0, time.perf_counter(), time.process_time()
            waiting = [pool.submit(self._ready, turn) for turn in range(32)]
            while time.perf_counter() - began < seconds:
                batch = [waiting.pop(0).result() for _ in range(8)]
                waiting += [pool.submit(self._ready, done + turn) for turn in range(8)]
                self._embedder.embed_prepared(batch)
                done += 8
            took, cpu = time.perf_counter() - began, time.process_time() - cpu
            pool.shutdown(cancel_futures=True)
        return done / took, cpu / done * 1000


def with_children(process: int) -> list[int]:
    """Return the process ids of a process and its child processes."""
    return [process, *map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())]


def resident_mib(process: int) -> float:
    """Return the resident memory of a process and its child processes, in MiB; shared pages count for each."""
    return (
        sum(int(Path(f"/proc/{each}/statm").read_text().split()[1]) for each in with_children(process)) * PAGE / 2**20
    )


def processor_seconds(process: int) -> float:
    """Return the processor time of a process and its child processes, in seconds."""
    told = [Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split() for each in with_children(process)]
    return sum(int(each[11]) + int(each[12]) for each in told) / TICK


@contextlib.contextmanager
def served(gallery: Path, processes: int) -> Iterator[tuple[int, int]]:
    """Run `lookalike serve`; yields its process id and its port."""
    command = [sys.executable, "-m", "lookalike.cli", "serve", "--gallery", str(gallery), "--port", "0"]
    command += ["--processes", str(processes)]
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
    """Make a gallery of the drawn sample; returns it and photos that are not in it."""
    import lookalike
    from lookalike.catalogue.sample.drawn import changed_photo, make_products, write_drawn

    gallery = folder / "drawn.gallery"
    with lookalike.open(gallery) as shop:
        shop.index(write_drawn(folder / "catalogue"))
    photos = []
    for product in make_products(60):
        file = io.BytesIO()
        changed_photo(product).save(file, "JPEG", quality=90)
        photos.append(file.getvalue())
    return gallery, photos


async def measure(process: int, port: int, photos: Sequence[bytes], *, seconds: float, soak: int) -> list[str]:
    """Run all loads, one after the other; returns the rows of the table."""
    requests, alone = requests_of(photos, port=port, garment="whole"), Alone(photos)
    await closed_loop(requests, port=port, clients=4, seconds=min(3.0, seconds))  # to warm up
    turns: list[tuple[tuple[float, float], Load]] = []
    for turn in range(TURNS):
        by_itself = alone.best(seconds)
        before = processor_seconds(process)
        load = await closed_loop(requests, port=port, clients=CLIENTS, seconds=seconds)
        load.server = processor_seconds(process) - before
        turns.append((by_itself, load))
        print(f"turn {turn + 1}: alone {by_itself[0]:.0f}/s, served {load.rate:.0f}/s", file=sys.stderr)
    (best, each), full = sorted(turns, key=lambda turn: turn[1].rate / turn[0][0])[TURNS // 2]
    even, chance = [
        await open_loop(requests, port=port, rate=0.8 * full.rate, seconds=seconds, even=way) for way in (True, False)
    ]
    memory, soaked = [], Load()
    for part in range(10):
        load = await closed_loop(requests, port=port, clients=CLIENTS, seconds=3600, most=soak // 10)
        soaked.statuses += load.statuses
        memory.append(resident_mib(process))
        print(f"soak: {(part + 1) * (soak // 10):,} requests, {memory[-1]:.1f} MiB", file=sys.stderr)
    crowd = await closed_loop(requests, port=port, clients=CROWD, seconds=seconds)
    after = await closed_loop(requests, port=port, clients=1, seconds=2)
    found = await closed_loop(
        requests_of(photos, port=port, garment="auto"), port=port, clients=CLIENTS, seconds=seconds
    )
    ratio, growth = full.rate / best, memory[-1] / memory[0] - 1
    failed = sum(load.failed for load in (*(load for _, load in turns), even, chance, soaked, crowd, after, found))
    size = statistics.fmean(map(len, photos)) / 1000
    searches = full.statuses[200]
    took = (full.server + full.client) / searches * 1000
    return [
        "| what | measured | goal | |",
        "|---|---|---|---|",
        f"| the embedder alone, JPEGs of {size:.0f} kB | {best:.0f} photos/s, {each:.1f} ms of processor each | | |",
        f"| full load, {CLIENTS} clients | {full.rate:.0f} searches/s, {took:.1f} ms of processor each, "
        f"{full.client / searches * 1000:.1f} of it the client's | | |",
        row("full load / embedder alone", f"{ratio:.2f}", f"at least {RATE_GOAL}", ratio >= RATE_GOAL),
        tail_row("evenly spaced", even),
        tail_row("at random moments", chance),
        row(
            f"memory after {soak // 10:,} and after {soak:,} requests",
            f"{memory[0]:.0f} and {memory[-1]:.0f} MiB",
            f"at most {GROWTH_GOAL:.0%} more",
            growth <= GROWTH_GOAL,
        ),
        row(
            f"overload, {CROWD} clients that do not wait",
            f"{crowd.rate:.0f} searches/s, {crowd.statuses[429]:,} refused; p50 {after.quantile(0.5):.1f} ms after it",
            "answered or refused",
            not crowd.failed,
        ),
        f"| full load with the finder of garments | {found.rate:.0f} searches/s | | |",
        row("errors and broken connections, all loads", f"{failed}", "none", not failed),
    ]


def row(what: str, measured: str, goal: str, reached: bool) -> str:
    """Return a row of the table with a goal."""
    return f"| {what} | {measured} | {goal} | {'reached' if reached else 'missed'} |"


def tail_row(how: str, load: Load) -> str:
    """Return the row of the table for a load of 80 %."""
    middle, late = load.quantile(0.5), load.quantile(0.99)
    measured = f"{late:.1f} ms / {middle:.1f} ms = {late / middle:.1f}, {load.statuses[429]} refused"
    what = f"80 % of it, {load.rate:.0f}/s {how}: p99 / p50"
    return row(what, measured, f"at most {TAIL_GOAL:g}", late <= TAIL_GOAL * middle)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of each load")
    parser.add_argument("--soak", type=int, default=20_000, help="requests of the soak")
    parser.add_argument("--processes", type=int, default=1, help="processes of the server")
    parser.add_argument("--photos", type=Path, help="folder of JPEG query photos, instead of drawn ones")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        gallery, photos = shop_of(Path(folder))
        if given.photos:
            photos = [path.read_bytes() for path in sorted(given.photos.rglob("*.jpg"))[:500]]
        with served(gallery, given.processes) as (process, port):
            rows = asyncio.run(measure(process, port, photos, seconds=given.seconds, soak=given.soak))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
