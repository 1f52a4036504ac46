"""Benchmark of indexing with processes that decode: what the process that feeds the network does for a photo.

The network is replaced by one that returns at once, as a GPU does that is faster than all else, so that processor time
is all that is measured, and other programs change it little. What 16 cores reach is computed of it.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding import photo_readers
from lookalike.embedding.decoder_pool import DecoderPool
from lookalike.embedding.decoder_process import PhotoSource
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.network import Identity, Outputs
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.ingest.pipeline import index_catalogue
from lookalike.types import JSON, Float32

PROCESSES = 8
BATCH = 64
H100 = 8664
"""Photos a second of the default model's network on an NVIDIA H100, see docs/benchmarks.md."""


class InstantNetwork:
    """Network that gives one vector for all photos at once, and runs one batch at a time, as on a GPU."""

    has_attention = has_map = concurrent = False
    device = "cuda"
    parallel_calls = 1

    def __init__(self, identity: Identity, dimension: int) -> None:
        self.identity, self.dimension = identity, dimension
        self._rows = np.full((BATCH, dimension), dimension**-0.5, dtype=np.float32)

    def run(self, photos: Float32) -> Outputs:
        """Embed photos, (B, 3, H, W) float32, at once."""
        return Outputs(self._rows[: len(photos)])


@dataclass(frozen=True, slots=True)
class Feeding:
    """Processor time of an index run, microseconds for a photo.

    Attributes:
        feeding: Of the process that feeds the network, without the kernel's; it holds the interpreter's lock meanwhile.
        kernel: The kernel's, for the same process.
        decoding: Of the processes that decode.
        start: To start one of these, once for all photos.
    """

    feeding: float
    kernel: float
    decoding: float
    start: float

    def to_markdown(self, cores: int, rate: float) -> str:
        """Table of these, and what several cores reach.

        Args:
            cores: Number of cores.
            rate: Photos per microsecond that they reach, computed by `index_stages.rate_of`.
        """
        lines = ["| with processes that decode | microseconds a photo |", "| --- | --- |"]
        lines += [f"| {name} | {micros:,.0f} |" for name, micros in asdict(self).items()]
        told = f"{rate * 1e6:,.0f} photos/s, {self.of_linear(cores, rate):.2f} of linear"
        busy = f"an H100, which embeds {H100:,}, is busy {rate * 1e6 / H100:.2f} of the time"
        return "\n".join([*lines, "", f"Computed: {cores} cores beside a GPU decode {told}; {busy}."])

    def of_linear(self, cores: int, rate: float) -> float:
        """Share of the rate that cores would reach without waiting for each other."""
        return rate * (self.feeding + self.kernel + self.decoding) / cores

    def to_json(self, cores: int, rate: float) -> dict[str, JSON]:
        """JSON form of the same."""
        return {**asdict(self), "photos a second": rate * 1e6, "of linear": self.of_linear(cores, rate)}


def time_feeding(folder: Path, tables: Sequence[Path], identity: Identity, dimension: int) -> Feeding:
    """Index the photos of tables with processes that decode, and without a network.

    Args:
        folder: Folder for the gallery.
        tables: Tables of photos, in one folder.
        identity: Identity of the network, of which the preprocessing matters.
        dimension: Length of its vectors.
    """
    table = tables[0].with_name("all.csv")
    header = tables[0].read_text(encoding="utf-8").partition("\n")[0]
    rows = [each.read_text(encoding="utf-8").partition("\n")[2] for each in tables]
    table.write_text("\n".join([header, *rows]), encoding="utf-8")
    embedder = PhotoEmbedder(InstantNetwork(identity, dimension))
    before = children()
    pool = DecoderPool(embedder.preparation, PROCESSES)
    for _ in range(PROCESSES):
        with pool.borrowed() as decoder:
            assert decoder is not None
            decoder.read([PhotoSource("none", str(folder / "none.jpg"), [None])])
            decoder.prepare([False])
    pool.close()
    start = (children() - before) / PROCESSES
    before, began = children(), resource.getrusage(resource.RUSAGE_SELF)
    with LocalGallery(folder / "feeding.gallery", create=True) as gallery, patch.object(photo_readers, "IN_THREADS", 0):
        index_catalogue(open_catalogue(str(table)), embedder, gallery, batch=BATCH, workers=PROCESSES)
        photos = len(gallery)
    ended = resource.getrusage(resource.RUSAGE_SELF)
    decoding = children() - before - start * PROCESSES
    micros = 1e6 / photos
    return Feeding(
        (ended.ru_utime - began.ru_utime) * micros,
        (ended.ru_stime - began.ru_stime) * micros,
        decoding * micros,
        start * 1e6,
    )


def children() -> float:
    """Processor time of the processes that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
