"""What `scale.py` measures of one gallery, phase by phase; each phase runs in a new process."""

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

from lookalike.benchmarking.features import BLOCK, LOTS, SPACES, Drawing
from lookalike.benchmarking.ground_truth import FilteredQuery, GroundTruth, best_of_drawing, from_best
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
"""Parts of the rows that filters pass."""

OPENINGS = 5
"""In so many new processes; the median is told."""

CHANGE_BATCH = 256
"""Items that are added or removed together while others search."""

CHANGE_S = 20.0
"""For how long, at most."""

CHANGED = 0.04
"""Which part of the rows, at most: when additions and removals pass a tenth, everything is derived anew."""


def fresh(phase: Callable[..., Made], *arguments: object) -> Made:
    """Run a phase in a new process, whose memory and caches nothing else has touched."""
    with new_process() as pool:
        return pool.submit(phase, *arguments).result()


def new_process() -> ProcessPoolExecutor:
    """A process that shares nothing with this one."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))


def make_items(ids: Sequence[str], lots: Sequence[int]) -> list[Item]:
    """Items with an attribute to filter by."""
    return [Item(id=id_, photo=f"{id_}.jpg", attributes={"lot": lot}) for id_, lot in zip(ids, lots, strict=True)]


def query_of(queries: Queries, number: int) -> dict[str, Float32]:
    """One query by space, (1, D) float32."""
    return {name: rows[number : number + 1] for name, rows in queries.items()}


@dataclass(frozen=True, slots=True)
class Asked:
    """Queries, and what their answers are held against.

    Attributes:
        queries: By space, (`QUERIES`, D) float32.
        right: Of all of them.
        filtered: Of the first `FILTERED_QUERIES`, by the part of the rows that their filters pass.
    """

    queries: Queries
    right: GroundTruth
    filtered: Mapping[float, GroundTruth]


def right_answers(rows: int) -> Asked:
    """Find the right answers among so many rows, which need not all be in memory."""
    drawing = Drawing(rows, queries=QUERIES)
    questions = [FilteredQuery(number) for number in range(QUERIES)]
    for share in SHARES:
        questions += [FilteredQuery(number, lots_of(number, share)) for number in range(FILTERED_QUERIES)]
    best = best_of_drawing(drawing, questions, WEIGHTS, k=K)
    starts = range(QUERIES, len(best), FILTERED_QUERIES)
    filtered = {
        share: from_best(best[at : at + FILTERED_QUERIES], k=K) for share, at in zip(SHARES, starts, strict=True)
    }
    return Asked(drawing.queries, from_best(best[:QUERIES], k=K), filtered)


def lots_of(number: int, share: float) -> range:
    """The filter of a query: every one is another, as long as there are others."""
    passing = round(share * LOTS)
    start = 7 * number % (LOTS - passing + 1)
    return range(start, start + passing)


@dataclass(frozen=True, slots=True)
class Built:
    """What making a gallery took.

    Attributes:
        add_s: Seconds until all rows were committed.
        index_s: Seconds from then until searches were as fast as they can be.
        peak_anonymous: Bytes of memory that cannot be taken back, at most, the drawing of features included.
        database: Bytes of `gallery.db`.
        derived: Bytes of `derived/`.
    """

    add_s: float
    index_s: float
    peak_anonymous: int
    database: int
    derived: int


def build(folder: Path, rows: int) -> Built:
    """Make a gallery of so many rows and everything that a search derives from them."""
    drawing = Drawing(rows, queries=QUERIES)
    add_s, peak = 0.0, Peak()
    with peak, LocalGallery(folder, create=True) as gallery:
        for place, block in drawing.blocks():
            for start in range(place.start, place.stop, BATCH):
                part = slice(start, min(start + BATCH, place.stop))
                inner = slice(part.start - place.start, part.stop - place.start)
                began = time.perf_counter()
                items = make_items([str(row) for row in range(part.start, part.stop)], drawing.lots[part].tolist())
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
    """Milliseconds in a new process that has loaded its libraries."""

    open_ms: float
    answer_ms: float


def open_and_answer(folder: Path, queries: Queries) -> Opened:
    """Open a gallery, up to its first answer."""
    index_class("ivf")  # loads FAISS
    began = time.perf_counter()
    with LocalGallery(folder) as gallery:
        opened = time.perf_counter()
        gallery.search(queries, SearchRequest(k=K))
        answered = time.perf_counter()
    return Opened(1000 * (opened - began), 1000 * (answered - began))


def forget_files(folder: Path) -> None:
    """Make the system drop what it holds of a gallery's files in memory, so that the disk is read again."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of a process's memory.

    Attributes:
        anonymous: Its own, which cannot be taken back (`RssAnon`).
        mapped: Of mapped files (`RssFile`): copies of what is on the disk, which the system takes back when it wants.
    """

    anonymous: int
    mapped: int

    @classmethod
    def now(cls) -> Memory:
        """Of this process."""
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Rss")}
        return cls(1024 * int(found["RssAnon"]), 1024 * int(found["RssFile"]))


def memory(folder: Path, queries: Queries) -> dict[str, Memory]:
    """Before a gallery is opened, after its first answer, and after all of them."""
    index_class("ivf")
    measured = {"libraries": Memory.now()}
    with LocalGallery(folder) as gallery:
        for number in range(QUERIES):
            gallery.search(query_of(queries, number), SearchRequest(k=K))
            measured["one query" if number == 0 else f"{QUERIES} queries"] = Memory.now()
    return measured


class Peak:
    """The most anonymous memory that this process has while a context lasts, looked at ten times a second.

    Attributes:
        most: In bytes.
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
    """Queries one after the other.

    Attributes:
        p50_ms: Half of them took at most this long.
        p99_ms: 99 of 100 did.
        longest_ms: All of them did.
        recall: The fraction of the right answers that were found; None where it was not looked at.
    """

    p50_ms: float
    p99_ms: float
    longest_ms: float
    recall: float | None = None

    @classmethod
    def of(cls, timing: Timing, recall: float | None = None) -> Searched:
        """As it was timed."""
        return cls(timing.median_ms, timing.p99_ms, max(timing.calls_ms), recall)


def search(galleries: Mapping[Path, Asked]) -> list[Searched]:
    """Ask several galleries by turns, with the default weights."""
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
    """Asks the query of a number; numbers beyond the last begin again."""
    return lambda number: gallery.search(query_of(queries, number % QUERIES), SearchRequest(k=K, weights=WEIGHTS))


@dataclass(frozen=True, slots=True)
class Filtered:
    """Queries with a filter.

    Attributes:
        first: A filter that was not asked before.
        again: The same once more.
        index: Which answered.
    """

    first: Searched
    again: Searched
    index: str


def search_filtered(folder: Path, asked: Asked) -> tuple[float, dict[float, Filtered]]:
    """Ask with filters: the seconds of the first filter ever, which makes an index of the attribute, and the rest."""
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
    """Changing a gallery while it is searched.

    Attributes:
        count: How many items.
        per_s: Items a second, committed in batches of `CHANGE_BATCH`.
        searched: The queries meanwhile.
    """

    count: int
    per_s: float
    searched: Searched


Writer = Callable[[Path, int], tuple[int, float, float]]
"""Changes a gallery of so many rows: how many items, and from when to when by the machine's clock."""


def change_while_searching(folder: Path, queries: Queries, writer: Writer, rows: int) -> Changed:
    """Search in this process while a second one writes."""
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
    """A writer of new items."""
    drawing = Drawing(round(rows * CHANGED), queries=1, seed=21)
    starts = range(0, BLOCK, CHANGE_BATCH)
    parts = [
        {name: new[at : at + CHANGE_BATCH] for name, new in block.items()}
        for _, block in drawing.blocks()
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
    """A writer that removes items."""
    ids = [str(row) for row in np.random.default_rng(22).permutation(rows)[: round(rows * CHANGED)].tolist()]
    count = 0
    with LocalGallery(folder) as gallery:
        began = time.monotonic()
        for at in range(0, len(ids), CHANGE_BATCH):
            count += gallery.remove(ids[at : at + CHANGE_BATCH])
            if time.monotonic() - began > CHANGE_S:
                break
        return count, began, time.monotonic()
