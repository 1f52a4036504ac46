"""Load test of the server, compared with the embedder alone on the same machine.

    python bench/serve.py                         # all loads: about ten minutes on an idle machine
    python bench/serve.py --seconds 5 --soak 500  # a quick run
    python bench/serve.py --processes 1 2 --json serving.json  # of one process, then of two; all figures in a file

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

Prints a table with the goals for each number of processes. The client writes prepared bytes to sockets to use little
processor time; it shares the processors with the server, and its share is printed. Needs Linux, for /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from http_load import Latencies, Load, closed_loop, open_loop, requests_of
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.embedding.protocol import Prepared
from lookalike.images import open_image

CLIENTS, CROWD, TURNS = 16, 300, 3
PAGE, TICK = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_CLK_TCK")
RATE_GOAL, RATE_GOAL_OF_SEVERAL, TAIL_GOAL, GROWTH_GOAL = 0.85, 0.95, 2.5, 0.05


@dataclass
class Figures:
    """What was measured of one server; `asdict` of it is in the file of `--json`.

    Attributes:
        processes: Number of its processes.
        photo_kb: Mean size of a query photo, in kB.
        alone_per_s: Photos per second of the embedder alone.
        alone_ms: Its processor time per photo, in milliseconds.
        full_per_s: Searches per second of full load.
        server_ms: Processor time of the server per search, in milliseconds.
        client_ms: Processor time of the clients per search, in milliseconds.
        ratio: Full load / embedder alone: the median of the turns.
        ratios: The same of each turn, in ascending order.
        even: 80 % of full load, evenly spaced.
        random: 80 % of full load, at random times.
        soaked: Requests of the soak.
        memory_mib: Resident memory after each tenth of them.
        overload: Latencies and refusals of more clients than there is room for.
        p50_after_ms: Median latency of one client after it, in milliseconds.
        finder_per_s: Searches per second of full load with the finder.
        finder_server_ms: Processor time of the server per search with the finder, in milliseconds.
        failed: Errors and broken connections of all loads.
    """

    processes: int
    photo_kb: float
    alone_per_s: float
    alone_ms: float
    full_per_s: float
    server_ms: float
    client_ms: float
    ratio: float
    ratios: Sequence[float]
    even: Latencies
    random: Latencies
    soaked: int
    memory_mib: Sequence[float]
    overload: Latencies
    p50_after_ms: float
    finder_per_s: float
    finder_server_ms: float
    failed: int


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
    command = [sys.executable, "-m", "lookalike", "serve", "--gallery", str(gallery), "--port", "0"]
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


async def measure(
    process: int, port: int, photos: Sequence[bytes], *, processes: int, seconds: float, soak: int
) -> Figures:
    """Run all loads, one after the other."""
    requests, alone = requests_of(photos, port=port, garment="whole"), Alone(photos)

    async def full_load(requests: Sequence[bytes]) -> Load:
        before = processor_seconds(process)
        load = await closed_loop(requests, port=port, clients=CLIENTS, seconds=seconds)
        load.server = processor_seconds(process) - before
        return load

    await closed_loop(requests, port=port, clients=4, seconds=min(3.0, seconds))  # to warm up
    turns: list[tuple[tuple[float, float], Load]] = []
    for turn in range(TURNS):
        by_itself, load = alone.best(seconds), await full_load(requests)
        turns.append((by_itself, load))
        print(f"turn {turn + 1}: alone {by_itself[0]:.0f}/s, served {load.rate:.0f}/s", file=sys.stderr)
    turns.sort(key=lambda turn: turn[1].rate / turn[0][0])
    (best, each), full = turns[TURNS // 2]
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
    found = await full_load(requests_of(photos, port=port, garment="auto"))
    searches = full.statuses[200]
    return Figures(
        processes=processes,
        photo_kb=statistics.fmean(map(len, photos)) / 1000,
        alone_per_s=best,
        alone_ms=each,
        full_per_s=full.rate,
        server_ms=full.server / searches * 1000,
        client_ms=full.client / searches * 1000,
        ratio=full.rate / best,
        ratios=[load.rate / rate for (rate, _), load in turns],
        even=even.told(),
        random=chance.told(),
        soaked=soak,
        memory_mib=memory,
        overload=crowd.told(),
        p50_after_ms=after.quantile(0.5),
        finder_per_s=found.rate,
        finder_server_ms=found.server / found.statuses[200] * 1000,
        failed=sum(load.failed for load in (*(load for _, load in turns), even, chance, soaked, crowd, after, found)),
    )


def table_of(found: Figures) -> list[str]:
    """Return the lines of the table."""
    goal = RATE_GOAL if found.processes == 1 else RATE_GOAL_OF_SEVERAL
    memory, part = found.memory_mib, found.soaked // 10
    return [
        "| what | measured | goal | |",
        "|---|---|---|---|",
        f"| the embedder alone, JPEGs of {found.photo_kb:.0f} kB | {found.alone_per_s:.0f} photos/s, "
        f"{found.alone_ms:.1f} ms of processor each | | |",
        f"| full load, {CLIENTS} clients, {found.processes} process{'es' * (found.processes > 1)} | "
        f"{found.full_per_s:.0f} searches/s, {found.server_ms + found.client_ms:.1f} ms of processor each, "
        f"{found.client_ms:.1f} of it the client's | | |",
        row("full load / embedder alone", f"{found.ratio:.2f}", f"at least {goal}", found.ratio >= goal),
        tail_row("evenly spaced", found.even),
        tail_row("at random moments", found.random),
        row(
            f"memory after {part:,} and after {found.soaked:,} requests",
            f"{memory[0]:.0f} and {memory[-1]:.0f} MiB",
            f"at most {GROWTH_GOAL:.0%} more",
            memory[-1] <= (1 + GROWTH_GOAL) * memory[0],
        ),
        row(
            f"overload, {CROWD} clients that do not wait",
            f"{found.overload.searches_per_s:.0f} searches/s, {found.overload.refused:,} refused; "
            f"p50 {found.p50_after_ms:.1f} ms after it",
            "answered or refused",
            not found.failed,
        ),
        f"| full load with the finder of garments | {found.finder_per_s:.0f} searches/s, "
        f"{found.finder_server_ms:.1f} ms of the server's processor each | | |",
        row("errors and broken connections, all loads", f"{found.failed}", "none", not found.failed),
    ]


def row(what: str, measured: str, goal: str, reached: bool) -> str:
    """Return a row of the table with a goal."""
    return f"| {what} | {measured} | {goal} | {'reached' if reached else 'missed'} |"


def tail_row(how: str, load: Latencies) -> str:
    """Return the row of the table for a load of 80 %."""
    middle, late = load.p50_ms, load.p99_ms
    measured = f"{late:.1f} ms / {middle:.1f} ms = {late / middle:.1f}, {load.refused} refused"
    what = f"80 % of it, {load.searches_per_s:.0f}/s {how}: p99 / p50"
    return row(what, measured, f"at most {TAIL_GOAL:g}", late <= TAIL_GOAL * middle)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of each load")
    parser.add_argument("--soak", type=int, default=20_000, help="requests of the soak")
    parser.add_argument("--processes", type=int, nargs="+", default=[1], help="processes of each server to measure")
    parser.add_argument("--photos", type=Path, help="folder of JPEG query photos, instead of drawn ones")
    parser.add_argument("--json", type=Path, help="file for all figures, rewritten after each server")
    given = parser.parse_args()
    report = BenchmarkReport([])  # made first: it records the load of the machine
    measured: list[Mapping[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        gallery, photos = shop_of(Path(folder))
        if given.photos:
            photos = [path.read_bytes() for path in sorted(given.photos.rglob("*.jpg"))[:500]]
        for processes in given.processes:
            with served(gallery, processes) as (process, port):
                found = asyncio.run(
                    measure(process, port, photos, processes=processes, seconds=given.seconds, soak=given.soak)
                )
            print("\n".join(table_of(found)), end="\n\n")
            measured.append(asdict(found))
            if given.json:
                told = {**report.to_json(), "date": f"{datetime.now(UTC):%Y-%m-%d}", "rows": measured}
                given.json.write_text(json.dumps(told, indent=1), encoding="utf-8")
    print(report.circumstances())


if __name__ == "__main__":
    main()
