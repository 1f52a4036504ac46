"""Throughput of one and more threads, with and without the lock of Python's interpreter.

Each interpreter measures in a process of its own, and they take turns; a free-threaded one measures with the lock, too.
Galleries of fewer rows than `auto` makes lists for are searched without FAISS, which has no wheel for free threading.

    python bench/free_threading.py --threads 1 2 --turns 5 /opt/py3.14/bin/python /opt/py3.14t/bin/python

All of them need the base install, and `src` in `PYTHONPATH`. Prints the table of docs/benchmarks.md: medians of the
turns, of operations a second, and of their processor time, which includes what threads spend on waiting in a loop.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lookalike.embedding.protocol import Prepared

SECONDS, ROWS, K = 1.0, 5000, 10
"""Length of a measurement; rows of the gallery; neighbours of a search, whose items are read, too."""

PHOTOS = 60
BLOCK = bytes(1_000_000)

Figures = dict[str, dict[str, dict[str, float]]]
"""Rate, and milliseconds of processor time, by work and number of threads."""


def main() -> None:
    """Measure this interpreter, or have others measure in turns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("interpreters", nargs="*", help="other interpreters; without any, this one prints its JSON")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--turns", type=int, default=5)
    options = parser.parse_args()
    if not options.interpreters:
        print(json.dumps({"title": title(), "figures": measured(options.threads)}))
        return
    turns: dict[str, list[Figures]] = {}
    for turn in range(options.turns):
        for command, environment in commands(options.interpreters):
            arguments = [*command, __file__, "--threads", *map(str, options.threads)]
            told = json.loads(subprocess.run(arguments, env=environment, stdout=subprocess.PIPE, check=True).stdout)
            turns.setdefault(told["title"], []).append(told["figures"])
        print(f"turn {turn + 1}: load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    print(*table(turns, options.threads), sep="\n")


def commands(interpreters: Sequence[str]) -> list[tuple[list[str], Mapping[str, str]]]:
    """Commands with their environments: a free-threaded interpreter runs without the lock, and with it."""
    made: list[tuple[list[str], Mapping[str, str]]] = []
    for interpreter in interpreters:
        free = "import sysconfig; print(sysconfig.get_config_var('Py_GIL_DISABLED') or 0)"
        told = subprocess.run([interpreter, "-c", free], capture_output=True, text=True, check=True).stdout
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        locks = ["0", "1"] if told.strip() == "1" else [None]
        made += [
            ([interpreter], environment if lock is None else {**environment, "PYTHON_GIL": lock}) for lock in locks
        ]
    return made


def title() -> str:
    """Version of this interpreter, and whether it has the lock."""
    enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)
    free = "free-threading" in sys.version
    return f"{platform.python_version()}{'t' if free else ''}, lock {'on' if enabled() else 'off'}"


def measured(threads: Sequence[int]) -> Figures:
    """Measure all works with each number of threads."""
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        works = {"SHA-256 of 1 MB": sha256, **photo_works(), **gallery_works(Path(folder))}
        return {name: {str(count): rate_of(work, count) for count in threads} for name, work in works.items()}


def rate_of(work: Callable[[int], object], threads: int) -> dict[str, float]:
    """Run a work in threads for some seconds; it gets a number of its own at each call."""
    for number in range(3):
        work(number)
    done, ready = [0] * threads, threading.Barrier(threads + 1)

    def run(own: int) -> None:
        ready.wait()
        count, until = 0, time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            work(own + count * threads)
            count += 1
        done[own] = count

    running = [threading.Thread(target=run, args=(own,)) for own in range(threads)]
    for thread in running:
        thread.start()
    began, processor = time.perf_counter(), time.process_time()
    ready.wait()
    for thread in running:
        thread.join()
    wall, processor = time.perf_counter() - began, time.process_time() - processor
    return {"rate": sum(done) / wall, "ms": processor * 1000 / sum(done)}


def sha256(_: int) -> object:
    """Compute without the lock, for as much as the machine gives to threads beside its other programs."""
    return hashlib.sha256(BLOCK).digest()


def photo_works() -> dict[str, Callable[[int], object]]:
    """Decode drawn photos and prepare them for network and colours; and embed them one at a time, too."""
    from lookalike.catalogue.sample.drawn import changed_photo, make_products
    from lookalike.embedding.embedder import PhotoEmbedder
    from lookalike.embedding.model_loading import open_network
    from lookalike.images import open_image

    contents = []
    for product in make_products(PHOTOS):
        file = io.BytesIO()
        changed_photo(product).save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    embedder = PhotoEmbedder(open_network("default", threads=1))

    def prepare(number: int) -> Prepared:
        return embedder.prepare(open_image(contents[number % PHOTOS], at_least=embedder.wanted_size))

    return {
        "decode and prepare": prepare,
        "decode, prepare and embed": lambda number: embedder.embed_prepared([prepare(number)]),
    }


def gallery_works(folder: Path) -> dict[str, Callable[[int], object]]:
    """Search a gallery, with the items of the answer: among all rows, and among those that a filter passes."""
    from lookalike.benchmarking.features import SPACES, synthetic
    from lookalike.gallery.local.gallery import LocalGallery
    from lookalike.gallery.request import SearchRequest
    from lookalike.types import Item

    drawn = synthetic(ROWS, queries=PHOTOS)
    items = [Item(id=f"p{row}", photo=f"{row}.jpg", attributes={"price": row % 100}) for row in range(ROWS)]
    gallery = LocalGallery(folder / "bench.gallery", create=True)
    gallery.add(items, drawn.gallery, spaces=SPACES)
    gallery.optimise()

    def search(number: int, where: str | None) -> object:
        found = gallery.search(drawn.query(number), SearchRequest(k=K, where=where))
        return gallery.items(found.rows[0].tolist(), version=found.version)

    return {
        "search": lambda number: search(number, None),
        "search with a filter": lambda number: search(number, f"price < {5 + number % 20}"),
    }


def table(turns: Mapping[str, Sequence[Figures]], threads: Sequence[int]) -> list[str]:
    """Markdown table of the medians of the turns."""
    heads = [f"{count} thread{'s' * (count > 1)}" for count in threads]
    first, last = str(threads[0]), str(threads[-1])
    lines = [f"| work | interpreter | {' | '.join(f'{head}, per s' for head in heads)} | gain | ms of processor time |"]
    lines.append("| --- " * (4 + len(threads)) + "|")
    for work in next(iter(turns.values()))[0]:
        for interpreter, figures in turns.items():
            rates = {count: median(each[work][count]["rate"] for each in figures) for count in map(str, threads)}
            gain = median(each[work][last]["rate"] / each[work][first]["rate"] for each in figures)
            each_ms = [f"{median(each[work][str(count)]['ms'] for each in figures):.2f}" for count in threads]
            cells = [work, interpreter, *(f"{rate:,.0f}" for rate in rates.values()), f"{gain:.2f}", ", ".join(each_ms)]
            lines.append(f"| {' | '.join(cells)} |")
    return lines


if __name__ == "__main__":
    main()
