"""Cost model of a Milvus cluster of 100 million and 1 billion items, and its comparison with measurements.

Prints the tables of docs/scale.md, from the figures of `scale.py` and from measurements of FAISS's versions of Milvus's
indexes on a segment and on parts of it:

    python bench/scale.py --json growth.json
    python bench/paper_model.py growth.json --node-price 1.00
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from lookalike.benchmarking.features import SPACES, FeatureGenerator
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.timing import TimedCall, time_in_turns
from lookalike.gallery.local.schema import PAGE_BYTES
from lookalike.gallery.milvus.schema import SEGMENT_BYTES
from lookalike.index.faiss_candidates import candidate_count, one_thread
from lookalike.index.ivf import Ivf
from lookalike.index.row_format import RowFormat
from lookalike.spaces import concatenate, width

COLUMNS = width(SPACES)
ROW_BYTES = RowFormat.of(SPACES).row_bytes
GB, HOURS_A_MONTH = 1e9, 730

BYTES_A_NUMBER: Mapping[str, float] = {
    "float32": 4,
    "8 bits a number": 1,
    "4 bits for two numbers": 0.25,
    "1 bit a number": 0.125,
}
"""Bytes per vector component by code: Milvus's IVF_FLAT, its IVF_SQ8, and the lists of a gallery in a folder."""

LISTS, PROBED = 2048, 128
"""Lists and probes of a full segment, as `lookalike.gallery.milvus` sets them."""

SIZES = (100_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """Assumptions of the model; everything else is measured.

    Attributes:
        node_price: Price of a query node per hour, in any currency.
        node_cores: Cores of a query node.
        node_bytes: Memory of a query node, in bytes.
        usable: Fraction of the memory for rows; the rest is for new rows, merging and the system.
        scalar_bytes: Bytes in memory of an item besides its vector: id, numbers, product, photo, attributes.
        replicas: Number of nodes that hold each row; with 2, one may fail.
        busy: Fraction of the cores' time spent on queries; the nearer to 1, the longer they queue.
        query_ms: Core milliseconds of a query that do not depend on the rows: proxy, network, scoring the candidates.
        segment_ms: Core milliseconds per segment besides the search in it: scheduling, merging its answers.
        photos_a_core: Photos that one core embeds per second (docs/benchmarks.md, the default model).
        added_a_core: Rows that one core writes, logs and indexes per second.
    """

    node_price: float = 1.0
    node_cores: int = 16
    node_bytes: float = 128 * 2**30
    usable: float = 0.7
    scalar_bytes: int = 400
    replicas: int = 2
    busy: float = 0.5
    query_ms: float = 2.0
    segment_ms: float = 0.05
    photos_a_core: float = 155.0
    added_a_core: float = 2000.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """Size and price of a cluster.

    Attributes:
        nodes: Number of query nodes, from the memory of the rows.
        queries_s: Queries per second of these nodes.
        per_1000: Price of 1,000 queries at full load.
        photos_once: Price of embedding and adding a million photos.
        photos_a_month: Price of keeping a million photos searchable for a month.
    """

    nodes: int
    queries_s: float
    per_1000: float
    photos_once: float
    photos_a_month: float


def cluster(rows: int, code: str, search_ms: float, assumed: Assumptions) -> Cluster:
    """Compute the size and price of a cluster.

    Args:
        rows: Number of items.
        code: A code of `BYTES_A_NUMBER`.
        search_ms: Core milliseconds of a search in a full segment.
        assumed: Assumptions of the model.
    """
    segments = math.ceil(rows / rows_of_segment())
    query_s = (assumed.query_ms + segments * (assumed.segment_ms + search_ms)) / 1000
    held = rows * (BYTES_A_NUMBER[code] * COLUMNS + assumed.scalar_bytes) * assumed.replicas
    nodes = max(assumed.replicas, math.ceil(held / (assumed.usable * assumed.node_bytes)))
    queries_s = nodes * assumed.node_cores * assumed.busy / query_s
    price_s = assumed.node_price / 3600
    core_s = 1e6 / assumed.photos_a_core + 1e6 / assumed.added_a_core
    return Cluster(
        nodes=nodes,
        queries_s=queries_s,
        per_1000=1000 * nodes * price_s / queries_s,
        photos_once=core_s * price_s / assumed.node_cores,
        photos_a_month=nodes * assumed.node_price * HOURS_A_MONTH / (rows / 1e6),
    )


def rows_of_segment() -> int:
    """Return the number of rows in a full segment of Milvus."""
    return SEGMENT_BYTES // (4 * COLUMNS)


def bytes_read(rows: int, *, lists: int, probed: int, code: str) -> float:
    """Return the bytes that a search of inverted lists reads: all centroids, and the codes of the probed lists."""
    return 4 * COLUMNS * lists + BYTES_A_NUMBER[code] * COLUMNS * rows * probed / lists


def gallery_bytes_read(rows: int) -> float:
    """Return the bytes that a search of a gallery in a folder reads, with the rows of its candidates."""
    grouping = Ivf.grouping(rows, SPACES)
    lists = bytes_read(rows, lists=grouping.lists, probed=grouping.probes, code="4 bits for two numbers")
    return lists + ROW_BYTES * candidate_count(10)


def derived_bytes(rows: int) -> float:
    """Return the bytes of `derived/`: rows, their numbers, factors and checksums, and lists of codes in blocks of 32.

    Half a block of each list is empty.
    """
    lists = Ivf.grouping(rows, SPACES).lists
    coded = BYTES_A_NUMBER["4 bits for two numbers"] * COLUMNS + 8
    about_row = 8 + 4 * len(SPACES) + 8
    return rows * (ROW_BYTES + about_row + coded) + lists * (16 * coded + 4 * COLUMNS)


def database_bytes(rows: int) -> float:
    """Return the bytes of `gallery.db`: pages of whole vectors, and about 70 further bytes for each item."""
    return rows * (PAGE_BYTES / (PAGE_BYTES // (ROW_BYTES + 12)) + 70)


@dataclass(frozen=True, slots=True)
class Line:
    """A linear function."""

    start: float
    slope: float

    @classmethod
    def through(cls, x: Sequence[float], y: Sequence[float]) -> Line:
        """Fit a line by least squares of the relative errors."""
        weights = 1 / np.asarray(y)
        columns = np.stack([weights, np.asarray(x) * weights], axis=1)
        start, slope = np.linalg.lstsq(columns, np.ones(len(y)), rcond=None)[0]
        return cls(float(start), float(slope))

    def at(self, x: float) -> float:
        """Return the value at x."""
        return self.start + self.slope * x


@dataclass(frozen=True, slots=True)
class Check:
    """Comparison of a prediction with a measurement.

    Attributes:
        what: Quantity and size.
        predicted: Prediction, from smaller sizes or from the model alone.
        measured: Measurement, in the same unit.
    """

    what: str
    predicted: float
    measured: float

    def cells(self) -> list[str]:
        """Return the cells of a row."""
        return [
            self.what,
            f"{self.predicted:,.3g}",
            f"{self.measured:,.3g}",
            f"{self.predicted / self.measured - 1:+.0%}",
        ]


def extrapolated(what: str, x: Sequence[float], y: Sequence[float], names: Sequence[str]) -> Iterator[Check]:
    """Yield predictions of each point from two or more smaller ones."""
    for at in range(2, len(x)):
        yield Check(f"{what}, {names[at]}", Line.through(x[:at], y[:at]).at(x[at]), y[at])


def checks(figures: Sequence[Mapping[str, Any]], segments: Mapping[str, Mapping[int, float]]) -> Iterator[Check]:
    """Compare the model with all measurements.

    Args:
        figures: Points of `scale.py --json`.
        segments: Milliseconds of a search, by code and number of rows.
    """
    points = [Measured.of(figure) for figure in figures]
    names = [f"{point.rows:,} rows" for point in points]
    for point, name in zip(points, names, strict=True):
        yield Check(f"`gallery.db`, {name}, GB", database_bytes(point.rows) / GB, point.database / GB)
        yield Check(f"`derived/`, {name}, GB", derived_bytes(point.rows) / GB, point.derived / GB)
    read = [gallery_bytes_read(point.rows) for point in points]
    yield from extrapolated("gallery, one query, p50, ms", read, [point.p50_ms for point in points], names)
    for code, times in segments.items():
        sizes = sorted(times)
        read = [bytes_read(rows, **lists_of(rows), code=code) for rows in sizes]
        names = [f"{rows:,} rows" for rows in sizes]
        yield from extrapolated(f"segment, {code}, p50, ms", read, [times[rows] for rows in sizes], names)


@dataclass(frozen=True, slots=True)
class Measured:
    """The used part of a point of `scale.py`."""

    rows: int
    database: int
    derived: int
    p50_ms: float

    @classmethod
    def of(cls, figure: Mapping[str, Any]) -> Measured:
        """Make a point from its JSON."""
        built, searched = figure["built"], figure["searched"]
        return cls(figure["rows"], built["database"], built["derived"], searched["p50_ms"])


def lists_of(rows: int) -> dict[str, int]:
    """Return lists and probes of a part of a segment, with lists as long as in a full one."""
    part = rows / rows_of_segment()
    return {"lists": round(LISTS * part), "probed": round(PROBED * part)}


def measure_segments() -> dict[str, dict[int, float]]:
    """Time searches of a segment and of parts of it, in one thread: milliseconds by code and number of rows."""
    whole = rows_of_segment()
    generator = FeatureGenerator(whole, queries=200)
    rows = np.concatenate([concatenate(block, SPACES) for _, block in generator.blocks()])
    queries = concatenate(generator.queries, SPACES)
    measured: dict[str, dict[int, float]] = {"float32": {}, "8 bits a number": {}}
    for count in (whole // 4, whole // 2, whole):
        shape = lists_of(count)
        for code in measured:
            measured[code][count] = search_ms(rows[:count], queries, code=code, **shape)
    return measured


def search_ms(rows: np.ndarray, queries: np.ndarray, *, code: str, lists: int, probed: int) -> float:
    """Return the median time of single queries in inverted lists, in milliseconds."""
    quantizer = faiss.IndexFlatIP(COLUMNS)
    if code == "float32":
        index = faiss.IndexIVFFlat(quantizer, COLUMNS, lists, faiss.METRIC_INNER_PRODUCT)
    else:
        kind = faiss.ScalarQuantizer.QT_8bit
        index = faiss.IndexIVFScalarQuantizer(quantizer, COLUMNS, lists, kind, faiss.METRIC_INNER_PRODUCT)
    quantizer.add(
        rows[:: len(rows) // lists][:lists]
    )  # random rows as centroids: the lists have about the lengths that k-means gives
    index.train(rows[: 40 * lists])
    index.add(rows)
    index.nprobe = probed
    way = TimedCall(lambda number: index.search(queries[number : number + 1], candidate_count(10)), len(queries))
    with one_thread():
        time_in_turns(way)
    return way.timing.median_ms


def table(heading: Sequence[str], rows: Iterator[Sequence[str]]) -> str:
    """Return a Markdown table."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heading, ["---"] * len(heading), *rows])


def priced(segments: Mapping[str, Mapping[int, float]], assumed: Assumptions) -> Iterator[list[str]]:
    """Yield a row of the table for each size and each code of Milvus."""
    for rows in SIZES:
        for code, times in segments.items():
            found = cluster(rows, code, times[max(times)], assumed)
            yield [
                f"{rows:,}",
                code,
                f"{found.nodes:,}",
                f"{found.queries_s:,.3g}",
                f"{found.per_1000:,.3g}",
                f"{found.photos_once:,.3g}",
                f"{found.photos_a_month:,.3g}",
            ]


def main() -> None:
    """Measure searches of segments, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figures", type=Path, help="file written by `scale.py --json`")
    parser.add_argument("--node-price", type=float, default=1.0, help="price of a node per hour, in any currency")
    options = parser.parse_args()
    report = BenchmarkReport([])
    figures = json.loads(options.figures.read_text(encoding="utf-8"))["rows"]
    assumed = Assumptions(node_price=options.node_price)
    segments = measure_segments()
    print(table(["what", "model", "measured", "off by"], (check.cells() for check in checks(figures, segments))))
    print()
    for code, times in segments.items():
        print(f"{code}: {times[max(times)]:.2f} ms for a search in a segment of {max(times):,} rows, in one thread")
    print()
    heading = ["items", "code", "nodes", "queries/s", "1,000 queries", "1 M photos, once", "1 M photos, a month"]
    print(table(heading, priced(segments, assumed)))
    print(f"\n{assumed}\n\n{report.circumstances()}")


if __name__ == "__main__":
    main()
