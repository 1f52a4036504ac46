"""The phases of `scale.py` for one gallery, each of which runs in a new process."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np

from lookalike.benchmarking.features import BLOCK, LOTS, SPACES, FeatureGenerator
from lookalike.benchmarking.ground_truth import FilteredQuery, GroundTruth, best_of_blocks, from_best
from lookalike.benchmarking.searching import BATCH, WEIGHTS, K, numbers
from lookalike.benchmarking.timing import TimedCall, Timing, time_in_turns
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index.protocol import index_class
from lookalike.types import Float32, Item, Neighbours

Made = TypeVar("Made")
Queries = Mapping[str, Float32]

QUERIES = 500
FILTERED_QUERIES = 100
SHARES = (0.001, 0.01, 0.1, 0.5)
"""Fractions of the rows that pass the filters."""

OPENINGS = 5
"""Number of new processes that open the gallery; the median is reported."""

CHANGE_BATCH = 256
"""Number of items in one addition or removal during searches."""

CHANGE_S = 20.0
"""Longest duration of additions or removals, in seconds."""

CHANGED = 0.04
"""Largest fraction of the rows that is added or removed; above a tenth, the segment would be rebuilt."""


def fresh(phase: Callable[..., Made], *arguments: object) -> Made:
    """Run a phase in a new process, with memory and caches of its own."""
    with new_process() as pool:
        return pool.submit(phase, *arguments).result()


def new_process() -> ProcessPoolExecutor:
    """Return an executor of one spawned process."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def make_items(ids: Sequence[str], lots: Sequence[int]) -> list[Item]:
    """Make items with the attribute `lot`."""
    return [Item(id=id_, photo=f"{id_}.jpg", attributes={"lot": lot}) for id_, lot in zip(ids, lots, strict=True)]


def query_of(queries: Queries, number: int) -> dict[str, Float32]:
    """Return a query, (1, D) float32 by space."""
    return {name: rows[number : number + 1] for name, rows in queries.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries with their ground truth.

    Attributes:
        queries: (`QUERIES`, D) float32 by space.
        right: Ground truth of all queries without a filter.
        filtered: Ground truth of the first `FILTERED_QUERIES`, by the fraction of the rows that pass their filters.
    """

    queries: Queries
    right: GroundTruth
    filtered: Mapping[float, GroundTruth]


def right_answers(rows: int) -> Asked:
    """Compute the ground truth for galleries of `rows` rows, which need not fit into memory."""
    generator = FeatureGenerator(rows, queries=QUERIES)
    questions = [FilteredQuery(number) for number in range(QUERIES)]
    for share in SHARES:
        questions += [FilteredQuery(number, lots_of(number, share)) for number in range(FILTERED_QUERIES)]
    best = best_of_blocks(generator, questions, WEIGHTS, k=K)
    starts = range(QUERIES, len(best), FILTERED_QUERIES)
    filtered = {
        share: from_best(best[at : at + FILTERED_QUERIES], k=K) for share, at in zip(SHARES, starts, strict=True)
    }
    return Asked(generator.queries, from_best(best[:QUERIES], k=K), filtered)


def lots_of(number: int, share: float) -> range:
    """Return the lots that pass the filter of a query; different for each query while there are enough lots."""
    passing = round(share * LOTS)
    start = 7 * number % (LOTS - passing + 1)
    return range(start, start + passing)


@dataclass(frozen=True, slots=True)
class Built:
    """Time and size of making a gallery.

    Attributes:
        add_s: Seconds until all rows were committed.
        index_s: Seconds from then until the index was built.
        peak_anonymous: Largest anonymous memory in bytes, the generation of the features included.
        database: Size of `gallery.db`, in bytes.
        derived: Size of `derived/`, in bytes.
    """

    add_s: float
    index_s: float
    peak_anonymous: int
    database: int
    derived: int


def build(folder: Path, rows: int) -> Built:
    """Make a gallery of `rows` rows, with its segment files."""
    generator = FeatureGenerator(rows, queries=QUERIES)
    add_s, peak = 0.0, Peak()
    with peak, LocalGallery(folder, create=True) as gallery:
        for place, block in generator.blocks():
            for start in range(place.start, place.stop, BATCH):
                part = slice(start, min(start + BATCH, place.stop))
                inner = slice(part.start - place.start, part.stop - place.start)
                began = time.perf_counter()
                items = make_items([str(row) for row in range(part.start, part.stop)], generator.lots[part].tolist())
                gallery.add(items, {name: rows[inner] for name, rows in block.items()}, spaces=SPACES)
                add_s += time.perf_counter() - began
        began = time.perf_counter()
        gallery.optimise()
        index_s = time.perf_counter() - began
    return Built(
        add_s=add_s,
        index_s=index_s,
        peak_anonymous=peak.most,
        database=sum(path.stat().st_size for path in folder.glob("gallery.db*")),
        derived=sum(path.stat().st_size for path in (folder / "derived").rglob("*") if path.is_file()),
    )


@dataclass(frozen=True, slots=True)
class Opened:
    """Milliseconds until a gallery is open, and until the first answer, in a new process after its imports."""

    open_ms: float
    answer_ms: float


def open_and_answer(folder: Path, queries: Queries) -> Opened:
    """Open a gallery, and search once."""
    index_class("ivf")  # loads FAISS
    began = time.perf_counter()
    with LocalGallery(folder) as gallery:
        opened = time.perf_counter()
        gallery.search(queries, SearchRequest(k=K))
        answered = time.perf_counter()
    return Opened(1000 * (opened - began), 1000 * (answered - began))


def forget_files(folder: Path) -> None:
    """Drop a gallery's files from the page cache."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of a process, in bytes.

    Attributes:
        anonymous: Anonymous memory (`RssAnon`).
        mapped: Resident pages of mapped files (`RssFile`), which the system can reclaim.
    """

    anonymous: int
    mapped: int

    @classmethod
    def now(cls) -> Memory:
        """Measure this process."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        return cls(1024 * int(found["RssAnon"]), 1024 * int(found["RssFile"]))


def memory(folder: Path, queries: Queries) -> dict[str, Memory]:
    """Measure memory before a gallery is opened, after the first answer, and after all."""
    index_class("ivf")
    measured = {"libraries": Memory.now()}
    with LocalGallery(folder) as gallery:
        for number in range(QUERIES):
            gallery.search(query_of(queries, number), SearchRequest(k=K))
            measured["one query" if number == 0 else f"{QUERIES} queries"] = Memory.now()
    return measured


class Peak:
    """Peak of this process's anonymous memory within a context, sampled ten times a second.

    Attributes:
        most: Peak in bytes.
    """

    def __init__(self) -> None:
        self.most = 0
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            self.most = max(self.most, Memory.now().anonymous)


@dataclass(frozen=True, slots=True)
class Searched:
    """Times of queries one after the other.

    Attributes:
        p50_ms: Median, in milliseconds.
        p99_ms: 99th percentile, in milliseconds.
        longest_ms: Maximum, in milliseconds.
        recall: Recall, in [0, 1]; None where it was not measured.
    """

    p50_ms: float
    p99_ms: float
    longest_ms: float
    recall: float | None = None

    @classmethod
    def of(cls, timing: Timing, recall: float | None = None) -> Searched:
        """Make it of a timing."""
        return cls(timing.median_ms, timing.p99_ms, max(timing.calls_ms), recall)


def search(galleries: Mapping[Path, Asked]) -> list[Searched]:
    """Search several galleries by turns, with the default weights."""
    with ExitStack() as stack:
        ways, recalls = [], []
        for folder, asked in galleries.items():
            gallery = stack.enter_context(LocalGallery(folder))
            ask = asker(gallery, asked.queries)
            answers = [ask(number) for number in range(QUERIES)]
            found = numbers(gallery, answers)
            asked.right.check(found, [answer.scores[0] for answer in answers])
            recalls.append(asked.right.recall(found))
            ways.append(TimedCall(ask, QUERIES))
        time_in_turns(*ways)
    return [Searched.of(way.timing, recall) for way, recall in zip(ways, recalls, strict=True)]


def asker(gallery: LocalGallery, queries: Queries) -> Callable[[int], Neighbours]:
    """Return a function that searches with the query of a number; numbers wrap around after the last query."""
    return lambda number: gallery.search(query_of(queries, number % QUERIES), SearchRequest(k=K, weights=WEIGHTS))


@dataclass(frozen=True, slots=True)
class Filtered:
    """Times of queries with a filter.

    Attributes:
        first: Queries with a new filter.
        again: The same queries, repeated.
        index: Index that answered.
    """

    first: Searched
    again: Searched
    index: str


def search_filtered(folder: Path, asked: Asked) -> tuple[float, dict[float, Filtered]]:
    """Search with filters; returns the seconds of the first filter, which indexes the attribute, and all times."""
    queries, measured = asked.queries, {}
    with LocalGallery(folder) as gallery:
        gallery.search(query_of(queries, 0), SearchRequest(k=K))
        began = time.perf_counter()
        gallery.search(query_of(queries, 0), SearchRequest(k=K, where="lot = 0"))
        first_s = time.perf_counter() - began
        for share, right in asked.filtered.items():
            first, again, answers = Timing(), Timing(), []
            for number in range(FILTERED_QUERIES):
                lots = lots_of(number, share)
                where = f"lot >= {lots.start} and lot < {lots.stop}"
                for timing in (first, again):
                    began = time.perf_counter()
                    answer = gallery.search(query_of(queries, number), SearchRequest(k=K, where=where))
                    timing.calls_ms.append(1000 * (time.perf_counter() - began))
                answers.append(answer)
            found = numbers(gallery, answers)
            right.check(found, [answer.scores[0] for answer in answers])
            recall = right.recall(found)
            measured[share] = Filtered(Searched.of(first, recall), Searched.of(again, recall), answers[0].index)
    return first_s, measured


@dataclass(frozen=True, slots=True)
class Changed:
    """Changes of a gallery during searches.

    Attributes:
        count: Number of items added or removed.
        per_s: Items per second, committed in batches of `CHANGE_BATCH`.
        searched: Times of the searches.
    """

    count: int
    per_s: float
    searched: Searched


Writer = Callable[[Path, int], tuple[int, float, float]]
"""Changes a gallery with that number of rows; returns the number of items, and start and end by the monotonic clock."""


def change_while_searching(folder: Path, queries: Queries, writer: Writer, rows: int) -> Changed:
    """Search in this process while another one writes."""
    ended, number = [], 0
    with LocalGallery(folder) as gallery, new_process() as pool:
        ask = asker(gallery, queries)
        writing = pool.submit(writer, folder, rows)
        while not writing.done():
            ask(number)
            ended.append(time.monotonic())
            number += 1
    count, start, end = writing.result()
    during = [(last, this) for last, this in pairwise(ended) if start <= last and this <= end]
    return Changed(count, count / (end - start), Searched.of(Timing([1000 * (this - last) for last, this in during])))


def add(folder: Path, rows: int) -> tuple[int, float, float]:
    """Add new items; a `Writer`."""
    generator = FeatureGenerator(round(rows * CHANGED), queries=1, seed=21)
    starts = range(0, BLOCK, CHANGE_BATCH)
    parts = [
        {name: new[at : at + CHANGE_BATCH] for name, new in block.items()}
        for _, block in generator.blocks()
        for at in starts
    ]
    count = 0
    with LocalGallery(folder) as gallery:
        began = time.monotonic()
        for part in parts:
            size = len(part["deep"])
            items = make_items([f"new-{number}" for number in range(count, count + size)], [0] * size)
            gallery.add(items, part, spaces=SPACES)
            count += size
            if time.monotonic() - began > CHANGE_S:
                break
        return count, began, time.monotonic()


def remove(folder: Path, rows: int) -> tuple[int, float, float]:
    """Remove items; a `Writer`."""
    ids = [str(row) for row in np.random.default_rng(22).permutation(rows)[: round(rows * CHANGED)].tolist()]
    count = 0
    with LocalGallery(folder) as gallery:
        began = time.monotonic()
        for at in range(0, len(ids), CHANGE_BATCH):
            count += gallery.remove(ids[at : at + CHANGE_BATCH])
            if time.monotonic() - began > CHANGE_S:
                break
        return count, began, time.monotonic()
