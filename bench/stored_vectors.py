"""Vectors stored as float32 and as 16-bit whole numbers (`int16`): size, speed and scores, side by side.

    python bench/stored_vectors.py                             # size and speed of galleries of synthetic vectors
    python bench/stored_vectors.py CATALOGUE [--photos 2000]   # scores on a catalogue of yours

Two galleries of the same synthetic vectors answer searches by turns; times are of the processor.

Photos of the catalogue are embedded by the default model. Cosines of all pairs are compared with those of the float32
vectors: stored as `int16`, as galleries do (`lookalike.index.row_format`), and, for comparison, as half-precision
floating point. Then two galleries, one of float32 and one of int16, answer searches by each photo.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import process_time

import numpy as np

from lookalike.benchmarking.features import SPACES, FeatureGenerator
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.searching import BATCH as ADDED
from lookalike.benchmarking.searching import ROWS, WEIGHTS
from lookalike.catalogue.opening import open_catalogue
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.images import open_image
from lookalike.index import RowFormat
from lookalike.spaces import DTYPES, Space
from lookalike.types import Float32, Item, Neighbours

BATCH = 32
K = 10

SEARCHES: Mapping[str, int] = {"auto": 500, "kmeans": 500, "exact": 100}
"""Number of searches by index."""


def embedded(items: Sequence[Item], embedder: PhotoEmbedder) -> dict[str, Float32]:
    """Embed photos, (N, D) float32 by space."""
    parts = []
    for start in range(0, len(items), BATCH):
        photos = [open_image(item.location) for item in items[start : start + BATCH]]
        parts.append(embedder.embed(photos))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def cosine_table(vectors: Mapping[str, Float32], spaces: Sequence[Space]) -> list[str]:
    """Lines of a table: the differences of the cosines of all pairs."""
    lines = ["| space | stored as | greatest difference | root mean square |", "| --- | --- | ---: | ---: |"]
    for space in spaces:
        rows = vectors[space.name]
        row_format = RowFormat.of([replace(space, dtype="int16")])
        right = np.float64(rows) @ np.float64(rows).T
        for name, changed in (
            ("int16", row_format.unit(row_format.stored(rows))),
            ("float16", rows.astype(np.float16).astype(np.float32)),
        ):
            off = np.float64(rows) @ np.float64(changed).T - right
            lines.append(f"| {space.name} | {name} | {np.abs(off).max():.1e} | {np.sqrt(np.square(off).mean()):.1e} |")
    return lines


def answers(items: Sequence[Item], vectors: Mapping[str, Float32], spaces: Sequence[Space], folder: Path) -> Neighbours:
    """Fill a gallery, and search it by each vector."""
    with LocalGallery(folder, create=True) as gallery:
        gallery.add(items, vectors, spaces=spaces)
        gallery.optimise()
        return gallery.search(vectors, SearchRequest(k=K, index="exact"))


def search_lines(items: Sequence[Item], vectors: Mapping[str, Float32], spaces: Sequence[Space]) -> list[str]:
    """Compare the answers of two galleries."""
    with tempfile.TemporaryDirectory() as folder:
        full, stored = (
            answers(items, vectors, [replace(space, dtype=dtype) for space in spaces], Path(folder, dtype))
            for dtype in DTYPES
        )
    off = np.abs(np.float64(full.scores) - stored.scores)
    same = full.rows == stored.rows
    pairs = zip(full.rows.tolist(), stored.rows.tolist(), strict=True)
    recall = np.mean([len(set(right) & set(found)) / len(right) for right, found in pairs])
    return [
        f"score of the {K} best of each photo: greatest difference {off.max():.1e}, root mean square "
        f"{np.sqrt(np.square(off).mean()):.1e}",
        f"recall@{K}: {recall:.5f}; ranks with another item: {(~same).sum():,} of {same.size:,}",
    ]


@dataclass(slots=True)
class Measured:
    """Figures of one gallery.

    Attributes:
        add_s: Seconds of adding all rows.
        optimise_s: Seconds of copying rows into a segment and building its index.
        database: Bytes of `gallery.db`.
        derived: Bytes of `derived/`.
        search_ms: Median milliseconds of a search, by index.
    """

    add_s: float
    optimise_s: float
    database: int
    derived: int
    search_ms: dict[str, float] = field(default_factory=dict)


def filled(folder: Path, generator: FeatureGenerator, *, dtype: str) -> Measured:
    """Fill a gallery with synthetic vectors."""
    spaces = [replace(space, dtype=dtype) for space in SPACES]
    add_s = 0.0
    with LocalGallery(folder, create=True) as gallery:
        for place, block in generator.blocks():
            for start in range(0, place.stop - place.start, ADDED):
                part = {name: rows[start : start + ADDED] for name, rows in block.items()}
                numbers = range(place.start + start, place.start + start + len(part["deep"]))
                items = [Item(id=str(number), photo=f"{number}.jpg") for number in numbers]
                began = process_time()
                gallery.add(items, part, spaces=spaces)
                add_s += process_time() - began
        began = process_time()
        gallery.optimise()
        optimise_s = process_time() - began
    files = [path for path in folder.rglob("*") if path.is_file()]
    derived = sum(path.stat().st_size for path in files if "derived" in path.parts)
    return Measured(add_s, optimise_s, (folder / "gallery.db").stat().st_size, derived)


def time_searches(folders: Mapping[str, Path], found: Mapping[str, Measured], generator: FeatureGenerator) -> None:
    """Search all galleries by turns, with each index."""
    galleries = {dtype: LocalGallery(folder) for dtype, folder in folders.items()}
    for index, count in SEARCHES.items():
        request = SearchRequest(k=K, weights=WEIGHTS, index=index)
        took: dict[str, list[float]] = {dtype: [] for dtype in galleries}
        for number in range(-1, count):  # the first one is not counted: it loads the index
            query = {name: rows[[number % len(rows)]] for name, rows in generator.queries.items()}
            for dtype, gallery in galleries.items():
                began = process_time()
                gallery.search(query, request)
                took[dtype].append(process_time() - began)
        for dtype, times in took.items():
            found[dtype].search_ms[index] = 1000 * float(np.median(times[1:]))
    for gallery in galleries.values():
        gallery.close()


def size_and_speed(rows: int) -> list[str]:
    """Lines of a table: two galleries of synthetic vectors."""
    generator = FeatureGenerator(rows, queries=500)
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as temporary:
        folders = {dtype: Path(temporary, dtype) for dtype in DTYPES}
        found = {dtype: filled(folder, generator, dtype=dtype) for dtype, folder in folders.items()}
        time_searches(folders, found, generator)
    raw = 4 * rows * sum(space.dimension for space in SPACES)
    lines = [f"| {rows:,} rows, {raw / 1e6:,.0f} MB as float32 | {' | '.join(DTYPES)} |", "| --- | ---: | ---: |"]
    table: list[tuple[str, list[str]]] = [
        ("`gallery.db`, MB", [f"{one.database / 1e6:,.1f}" for one in found.values()]),
        ("`derived/`, MB", [f"{one.derived / 1e6:,.1f}" for one in found.values()]),
        ("both, times the raw vectors", [f"{(one.database + one.derived) / raw:.2f}" for one in found.values()]),
        ("adding, s of processor time", [f"{one.add_s:.1f}" for one in found.values()]),
        ("segment and index, s of processor time", [f"{one.optimise_s:.1f}" for one in found.values()]),
    ]
    for index in SEARCHES:
        times = [f"{one.search_ms[index]:.3f}" for one in found.values()]
        table.append((f"one query, index {index}, median, ms of processor time", times))
    return [*lines, *(f"| {what} | {' | '.join(cells)} |" for what, cells in table)]


def main() -> None:
    """Measure, and print a table, for a catalogue two lines more."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", nargs="?")
    parser.add_argument("--rows", type=int, default=ROWS, help="synthetic vectors")
    parser.add_argument("--photos", type=int, default=2000, help="photos of the catalogue, evenly spread")
    asked = parser.parse_args()
    report = BenchmarkReport([])
    if asked.catalogue is None:
        print("\n".join([*size_and_speed(asked.rows), "", report.circumstances()]))
        return
    found = list(open_catalogue(asked.catalogue).items())
    items = found[:: max(1, len(found) // asked.photos)][: asked.photos]
    embedder = PhotoEmbedder(open_network("default"))
    vectors = embedded(items, embedder)
    lines = [f"{len(items):,} photos", "", *cosine_table(vectors, embedder.spaces), ""]
    print("\n".join([*lines, *search_lines(items, vectors, embedder.spaces), "", report.circumstances()]))


if __name__ == "__main__":
    main()
