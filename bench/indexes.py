"""Benchmark all indexes against the exact scan: recall@10 and time of `Index.search` for several weights and filters.

It prints the tables of docs/indexes.md:

    python bench/indexes.py
    python bench/indexes.py --rows 1000000 --index ivf --queries 100
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.benchmarking.features import synthetic
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.searching import ROWS, K
from lookalike.benchmarking.timing import TimedCall, Timing, time_in_turns
from lookalike.index import INDEXES, Index, build, choose, load
from lookalike.index.scaling import alignment
from lookalike.spaces import Space, scaled_query
from lookalike.types import Bool, Float32, Int64

SPACES = (Space("deep", 512, "benchmark"), Space("color", 30, "benchmark"))
WEIGHTS = ((1.0, 0.1), (1.0, 0.0), (1.0, 0.3), (1.0, 1.0), (0.3, 1.0), (0.0, 1.0))
"""Weights of deep and color, the defaults first."""

PASSING = (0.5, 0.1, 0.05, 0.025, 0.01)
"""Fractions of the rows that pass the filters."""


@dataclass(frozen=True, slots=True)
class QueryKind:
    """Queries with the same weights and filter.

    Attributes:
        name: Name in the tables.
        weights: Weights by space.
        queries: (Q, D) float32 scaled by the weights.
        allowed: (N,) bool rows that pass the filter; None passes all.
        right: (Q, K) float32 scores of the best rows.
    """

    name: str
    weights: Mapping[str, float]
    queries: Float32
    allowed: Bool | None
    truth: Float32


def query_kinds(rows: Float32, vectors: Mapping[str, Float32], exact: Index) -> list[QueryKind]:
    """Return all weights without a filter, and all filters with the default weights."""
    random = np.random.default_rng(0)
    asked: list[tuple[str, tuple[float, float], Bool | None]] = []
    asked += [(f"{deep:g} : {color:g}", (deep, color), None) for deep, color in WEIGHTS]
    asked += [(f"{part:.1%} pass", WEIGHTS[0], random.random(len(rows)) < part) for part in PASSING]
    made = []
    for name, pair, allowed in asked:
        weights = dict(zip(vectors, pair, strict=True))
        queries = scaled_query(vectors, weights, SPACES)
        made.append(QueryKind(name, weights, queries, allowed, exact.search(queries, K, allowed=allowed)[1]))
    return made


def measure(index: Index, kind: QueryKind) -> tuple[float, Timing]:
    """Search one query after the other; returns the recall, where ties with the K-th best row count, and the times."""

    def ask(number: int) -> tuple[Int64, Float32]:
        return index.search(kind.queries[number : number + 1], K, allowed=kind.allowed)

    way = TimedCall(ask, len(kind.queries))
    time_in_turns(way)
    scores = np.concatenate([ask(number)[1] for number in range(len(kind.queries))])
    return float((scores >= kind.right[:, -1:] - 1e-6).mean()), way.timing


def table(name: str, index: Index, asked: Sequence[QueryKind], count: int) -> list[str]:
    """Return a row of the table for each kind of query."""
    lines = []
    for kind in asked:
        recall, timing = measure(index, kind)
        allowed = None if kind.allowed is None else int(kind.allowed.sum())
        auto = choose(count=count, allowed=allowed, weights=kind.weights, spaces=SPACES, k=K)
        near = alignment(kind.weights, SPACES)
        lines.append(
            f"| {name} | {kind.name} | {near:.2f} | {recall:.4f} | {timing.median_ms:.3f} | {timing.p99_ms:.3f} "
            f"| {'taken' if auto == name else ''} |"
        )
    return lines


def main() -> None:
    """Build, save, load and search each index."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--index", action="append", choices=list(INDEXES), help="only this one; can be repeated")
    options = parser.parse_args()
    report = BenchmarkReport([])  # made first: it records the load of the machine
    drawn = synthetic(options.rows, queries=options.queries)
    rows = np.concatenate(list(drawn.gallery.values()), axis=1)
    vectors = {space.name: made for space, made in zip(SPACES, drawn.queries.values(), strict=True)}
    drawn.gallery.clear()
    asked = query_kinds(rows, vectors, build("exact", rows, spaces=SPACES))
    made, answered = [], []
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        for name in options.index or INDEXES:
            began = time.perf_counter()
            index = build(name, rows, spaces=SPACES)
            built = time.perf_counter()
            path = Path(folder) / name
            index.save(path)
            saved = time.perf_counter()
            index = load(name, path, rows=rows, spaces=SPACES)
            loaded = time.perf_counter()
            size = path.stat().st_size
            made.append(
                f"| {name} | {built - began:.1f} | {size / 1e6:.1f} | {size / rows.nbytes:.1%} "
                f"| {1000 * (loaded - saved):.1f} |"
            )
            answered += table(name, index, asked, len(rows))
    print(f"{len(rows):,} rows of {' + '.join(str(space.dimension) for space in SPACES)}, {options.queries} queries\n")
    print("| index | build, s | file, MB | of the rows | load, ms |\n| --- | --- | --- | --- | --- |", *made, sep="\n")
    print("\n| index | deep : color, or filter | alignment | recall@10 | p50, ms | p99, ms | auto |")
    print("| --- | --- | --- | --- | --- | --- | --- |", *answered, sep="\n")
    print(f"\n{report.circumstances()}")


if __name__ == "__main__":
    main()
