"""Benchmark of indexing: its rate beside that of the network alone, and the processor time of a photo by stage.

Both sides take turns, and processor time is measured beside wall time, so that other work on the machine changes the
ratios little. Every photo has content of its own: a photo of known content would not be embedded.
"""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from cProfile import Profile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from pstats import Stats
from typing import TypeVar

import numpy as np
from PIL import Image

from lookalike.benchmarking.report import Row
from lookalike.benchmarking.timing import Timing
from lookalike.catalogue.opening import open_catalogue
from lookalike.catalogue.sample.drawn import TABLE, write_drawn
from lookalike.embedding.batch_embedding import BATCH, PARALLEL_BATCH
from lookalike.embedding.color import Color
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network, parallel_threads, processors
from lookalike.embedding.network import Network
from lookalike.embedding.preparation import COLORS
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.images import open_image, read_bytes
from lookalike.ingest.pipeline import index_catalogue
from lookalike.types import JSON, Float32, Item

Result = TypeVar("Result")

TURNS = 6
STAGED = 240
CORES = 16
WITHOUT_LOCK = ("'decode' of 'ImagingDecoder'", "'resize' of 'ImagingCore'", "openssl_sha256")
"""Functions of libraries, as the profiler calls them, that release the lock of Python's interpreter."""


@dataclass(slots=True)
class Sums:
    """Wall and processor time of several calls, in seconds."""

    wall: float = 0.0
    processor: float = 0.0

    def add(self, call: Callable[..., object], *given: object) -> None:
        """Time one more call."""
        wall, processor = time.perf_counter(), time.process_time()
        call(*given)
        self.wall += time.perf_counter() - wall
        self.processor += time.process_time() - processor


def write_photos(folder: Path, count: int) -> list[Path]:
    """Write JPEGs of the drawn sample, each with bytes of its own after the end, and a table for each turn."""
    drawn = write_drawn(folder / "sample").parent
    with (drawn / TABLE).open(encoding="utf-8", newline="") as file:
        contents = [(drawn / line["image"]).read_bytes() for line in csv.DictReader(file)]
    tables = []
    for turn in range(TURNS):
        lines = ["id,image"]
        for number in range(count * turn // TURNS, count * (turn + 1) // TURNS):
            (drawn / f"{number}.jpg").write_bytes(contents[number % len(contents)] + b"%d" % number)
            lines.append(f"{number},{number}.jpg")
        tables.append(drawn / f"turn-{turn}.csv")
        tables[-1].write_text("\n".join(lines), encoding="utf-8")
    return tables


def index_beside_network(folder: Path, *, model: str | Path, name: str, photos: int) -> tuple[list[Row], Stages, float]:
    """Compare index runs, from JPEG files to committed rows, with the network alone on preprocessed batches.

    Returns:
        Rows of a report, in wall time and in processor time, the stages, and the processor time of an index run,
        microseconds for a photo.
    """
    tables = write_photos(folder / name, photos)
    embedder = PhotoEmbedder(network := open_network(model, device="cpu", threads=parallel_threads([model])))
    alone = open_network(model, device="cpu")
    items = list(open_catalogue(str(tables[0])).items())[:STAGED]
    inputs = network.identity.preprocessing.normalised(
        [embedder.prepare(open_image(item, at_least=embedder.wanted_size))["deep"] for item in items[:BATCH]]
    )
    for each in (network, alone):
        each.run(inputs)
    ours, together, apart = Sums(), Sums(), Sums()
    batches = photos // TURNS // BATCH
    with LocalGallery(folder / f"{name}.gallery", create=True) as gallery:
        for turn, table in enumerate(tables):
            together.add(run_batches, alone, inputs, batches, 1)
            catalogue = open_catalogue(str(table))
            ours.add(partial(index_catalogue, source_name=f"{turn}"), catalogue, embedder, gallery)
            apart.add(run_batches, network, inputs[:PARALLEL_BATCH], batches * BATCH // PARALLEL_BATCH, processors())
        if len(gallery) != photos:
            raise SystemExit(f"{len(gallery)} of {photos} photos were indexed")
    per_photo = 1e6 / (batches * BATCH * TURNS)
    rows = []
    whole = f"batches of {BATCH}, all processors on each"
    single = f"batches of {PARALLEL_BATCH}, one for each processor"
    for peer, bare in ((whole, together), (single, apart)):
        for kind in ("wall", "processor"):
            mine, theirs = getattr(ours, kind) * 1e6 / photos, getattr(bare, kind) * per_photo
            note = f"{mine:,.0f} and {theirs:,.0f} microseconds a photo"
            rows.append(
                Row(
                    f"index {photos:,} photos, {name}, {kind} time",
                    "0.8x",
                    Timing([mine * photos / 1000]),
                    f"bare network, {peer}",
                    Timing([theirs * photos / 1000]),
                    note=note,
                )
            )
    stages = time_stages(items, embedder, network, folder / f"{name}-stages.gallery")
    return rows, stages, ours.processor * 1e6 / photos


def run_batches(network: Network, inputs: Float32, batches: int, threads: int) -> None:
    """Run a network on batches, in several threads."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda _: network.run(inputs), range(batches)))


@dataclass(slots=True)
class Stages:
    """Processor time of one thread by stage, microseconds for a photo: the median.

    Attributes:
        median: By stage.
        without_lock: Of these, what surely releases the lock of Python's interpreter; the rest counts as holding it.
    """

    median: dict[str, float] = field(default_factory=dict)
    without_lock: float = 0.0

    def to_markdown(self, whole: float, *, name: str) -> str:
        """Table of the stages; what the whole run takes beyond them is the rest.

        Args:
            whole: Processor time of the run, microseconds for a photo.
            name: Name of the model.
        """
        told = {**self.median, "rows, threads, cold caches and the rest": whole - sum(self.median.values())}
        lines = [f"| {name}: stage | microseconds a photo | share |", "| --- | --- | --- |"]
        lines += [f"| {stage} | {micros:,.0f} | {micros / whole:.2f} |" for stage, micros in told.items()]
        locked = whole - self.without_lock
        for what, work in self._works(whole).items():
            rate = rate_of(CORES, work - locked, locked)
            lines.append(
                f"| threads, {what}: about {1e6 / locked:,.0f} photos/s a process; {CORES} cores {rate * 1e6:,.0f} by "
                f"the model | {work:,.0f}, of which {locked:,.0f} with the lock | {rate * work / CORES:.2f} of linear |"
            )
        return "\n".join(lines)

    def to_json(self, whole: float) -> dict[str, JSON]:
        """JSON form of the same."""
        locked = whole - self.without_lock
        return {
            "microseconds": {**self.median, "whole": whole, "with the lock": locked},
            "cores": CORES,
            "of linear": {
                what: rate_of(CORES, work - locked, locked) * work / CORES for what, work in self._works(whole).items()
            },
        }

    def _works(self, whole: float) -> dict[str, float]:
        """Processor time of the work that the cores share, microseconds for a photo."""
        return {
            "with the network": whole,
            "without the network, as beside a GPU": whole - self.median["network"],
        }


def time_stages(items: Sequence[Item], embedder: PhotoEmbedder, network: Network, folder: Path) -> Stages:
    """Time the stages of photos in this thread, one photo after the other through all stages."""
    steps, color, least = network.identity.preprocessing, Color(), embedder.wanted_size
    taken: dict[str, list[float]] = {}

    def timed(stage: str, call: Callable[..., Result], *given: object, photos: int = 1) -> Result:
        began = time.thread_time()
        result = call(*given)
        taken.setdefault(stage, []).append((time.thread_time() - began) * 1e6 / photos)
        return result

    ready, rows, profile = [], [], Profile(time.thread_time)
    with LocalGallery(folder, create=True) as gallery:
        for item in items:
            data = timed("read", partial(read_bytes, keep=False), item)
            timed("SHA-256", hashlib.sha256, data)
            photo = timed("decode", partial(open_image, at_least=least), data)
            timed("resize", steps.pixels, photo)
            timed("reduce for colours", color.colors, photo)
            ready.append(profile.runcall(prepared, data, embedder))
            if len(ready) == PARALLEL_BATCH:
                pixels = [each["deep"] for each in ready]
                inputs = timed("normalise", steps.normalised, pixels, photos=PARALLEL_BATCH)
                timed("network", network.run, inputs, photos=PARALLEL_BATCH)
                timed("colours", color.embed_colors, [each[COLORS] for each in ready], photos=PARALLEL_BATCH)
                rows.append(embedder.embed_prepared(ready).vectors)
                ready = []
        count = len(rows) * PARALLEL_BATCH
        vectors = {space.name: np.concatenate([row[space.name] for row in rows]) for space in embedder.spaces}
        timed("write", partial(gallery.add, spaces=embedder.spaces), items[:count], vectors, photos=count)
    stages = Stages({stage: float(np.median(times)) for stage, times in taken.items()})
    free = sum(
        total
        for (_, _, function), (_, _, total, _, _) in Stats(profile).stats.items()  # type: ignore[attr-defined]
        if any(part in function for part in WITHOUT_LOCK)
    )
    stages.without_lock = free * 1e6 / len(items) + sum(stages.median[each] for each in ("normalise", "network"))
    return stages


def prepared(data: bytes, embedder: PhotoEmbedder) -> dict[str, np.ndarray]:
    """Hash, decode and prepare a photo, as `embed_photos` does."""
    hashlib.sha256(data).hexdigest()
    photo: Image.Image = open_image(data, at_least=embedder.wanted_size)
    return dict(embedder.prepare(photo))


def rate_of(cores: int, free: float, locked: float) -> float:
    """Photos per microsecond of threads on several cores that share one lock: exact for exponential times.

    Args:
        cores: Number of threads, each with a core of its own.
        free: Time of a photo without the lock, microseconds.
        locked: Time of a photo with the lock, microseconds.

    Source: Reiser and Lavenberg 1980, Mean-value analysis of closed multichain queuing networks.
    """
    waiting, rate = 0.0, 0.0
    for threads in range(1, cores + 1):
        answer = locked * (1 + waiting)
        rate = threads / (free + answer)
        waiting = rate * answer
    return rate
