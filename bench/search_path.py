"""Compare a gallery's search, with the items of its answers, with FAISS alone; also with filters, and after commits.

FAISS has the gallery's own lists, probes and candidates, and its `IndexRefineFlat` scores the candidates again, so that
both sides have the same recall; its selector of a filter's rows is made ahead. All sides take turns in one process, in
one thread. Medians are of processor time, which other programs disturb least. It prints tables of docs/benchmarks.md:

    python bench/search_path.py --json search-path.json
    python bench/search_path.py --folder kept.gallery    # makes the gallery there once, and uses it again
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

import faiss
import numpy as np

from lookalike.benchmarking.features import SPACES, FeatureGenerator, Features, synthetic
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.searching import BATCH, ROWS, WEIGHTS, K
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.index import IndexSettings
from lookalike.index.faiss_candidates import candidate_count
from lookalike.index.ivf import Ivf
from lookalike.index.scaling import Scale
from lookalike.spaces import concatenate, scaled_query
from lookalike.types import JSON, Bool, Float32, Item

QUERIES = 500
SHARES = (0.01, 0.05, 0.2)
"""Fractions of the items that the filters pass."""

FILTERS = 30
"""Filters of each share; each is asked once by a query that is the first, and then by `REPEATS` more."""

REPEATS = 20
"""Queries of a filter after its first; one of them copies the codes of its rows."""

COMMITS = 30
"""Commits of another connection, each followed by two queries of the same filter."""

ALTERED = 16
"""Items that a commit alters."""

TIE = 1e-6
"""Scores that differ by less than this are equal."""

Made = TypeVar("Made")


def main() -> None:
    """Measure, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--folder", type=Path, help="folder of the gallery; made if it is missing")
    parser.add_argument("--json", type=Path, help="file for all figures")
    options = parser.parse_args()
    faiss.omp_set_num_threads(1)
    report = BenchmarkReport([])  # made first: it records the load of the machine
    drawn = synthetic(options.rows, queries=QUERIES)
    lots = FeatureGenerator(options.rows, queries=QUERIES).lots
    with ExitStack() as stack:
        place = (
            options.folder or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-bench-"))) / "g"
        )
        if not place.exists():
            make(place, drawn, lots)
        gallery = stack.enter_context(LocalGallery(place))
        bench = SideBySide(gallery, drawn, lots)
        print(f"{options.rows:,} rows of {' + '.join(str(space.dimension) for space in SPACES)}, k {K}\n")
        measured = [*bench.whole(), *bench.filtered(), *bench.committed()]
    print(f"\n{report.circumstances()}")
    if options.json:
        figures = {**report.to_json(), "count": options.rows, "k": K, "rows": measured}
        options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


def make(folder: Path, drawn: Features, lots: np.ndarray) -> None:
    """Make a gallery whose items have four attributes, one of them the number `lot`."""
    with LocalGallery(folder, create=True) as gallery:
        for start in range(0, len(drawn), BATCH):
            numbers = range(start, min(start + BATCH, len(drawn)))
            part = {name: rows[numbers.start : numbers.stop] for name, rows in drawn.gallery.items()}
            gallery.add([item_of(number, int(lots[number])) for number in numbers], part, spaces=SPACES)
        gallery.optimise()


def item_of(number: int, lot: int) -> Item:
    """Return an item of a shop."""
    told = {
        "lot": lot,
        "color": ["red", "blue", "green", "black", "white"][lot % 5],
        "title": f"Blouse {number}",
        "price": 9.5,
    }
    return Item(
        id=f"p{number:07}", photo=f"photos/{number}.jpg", root="/shop", product=str(number % 12000), attributes=told
    )


class SideBySide:
    """A gallery, and FAISS with the lists of its index.

    Args:
        gallery: Gallery of the drawn rows.
        drawn: Features of its rows, and queries.
        lots: (N,) attribute `lot` of each row.
    """

    def __init__(self, gallery: LocalGallery, drawn: Features, lots: np.ndarray) -> None:
        self.gallery, self.queries, self.lots = gallery, drawn.queries, lots
        rows = concatenate(drawn.gallery, SPACES)
        asked = scaled_query(drawn.queries, WEIGHTS, SPACES)
        drawn.gallery.clear()
        self.scores = asked @ rows.T
        scale = Scale(SPACES, multiple=2)
        self.asked = scale.queries(asked)
        self.rows = scale.rows(rows)
        self.lists = Ivf.build(rows, spaces=SPACES, settings=IndexSettings())._lists
        self.refined = faiss.IndexRefineFlat(self.lists, faiss.swig_ptr(self.rows))
        self.probes = Ivf.grouping(len(rows), SPACES).probes

    def ours(self, number: int, where: str | None = None) -> list[tuple[int, object]]:
        """Search, and read the id and an attribute of each item: what a shop asks for."""
        query = {name: rows[number : number + 1] for name, rows in self.queries.items()}
        found = self.gallery.search(query, SearchRequest(k=K, weights=WEIGHTS, where=where))
        rows = found.rows[0].tolist()
        items = self.gallery.items(rows, version=found.version)
        return [(int(items[row].id[1:]), items[row].attributes["lot"]) for row in rows]

    def bare(self, number: int, probes: int, selector: object = None) -> list[int]:
        """Search with FAISS alone."""
        inner = faiss.SearchParametersIVF(nprobe=probes, sel=selector)
        how = faiss.IndexRefineSearchParameters(k_factor=candidate_count(K) / K, base_index_params=inner)
        found: list[int] = self.refined.search(self.asked[number : number + 1], K, params=how)[1][0].tolist()
        return found

    def recall(self, answers: Mapping[int, Sequence[int]], allowed: Bool | None = None) -> float:
        """Recall of answers, by the number of their query; rows that tie with the last relevant one are relevant."""
        right = 0
        for number, answer in answers.items():
            scores: Float32 = self.scores[number] if allowed is None else np.where(allowed, self.scores[number], -2)
            right += int((scores[list(answer)] >= np.partition(scores, -K)[-K] - TIE).sum())
        return right / (K * len(answers))

    def whole(self) -> list[dict[str, JSON]]:
        """Print the table of searches without a filter, and return its figures."""
        recalls = (
            self.recall({number: [row for row, _ in self.ours(number)] for number in range(QUERIES)}),
            self.recall({number: self.bare(number, self.probes) for number in range(QUERIES)}),
        )
        ours, bare = Timed(), Timed()
        for number in range(2 * QUERIES):
            ours.call(lambda number=number: self.ours(number % QUERIES))
            bare.call(lambda number=number: self.bare(number % QUERIES, self.probes))
        print(f"| search and items | recall@10 | {HEADINGS} |")
        print("| --- | --- | --- | --- | --- | --- |")
        print(f"| `Gallery.search` and `items` | {recalls[0]:.4f} | {ours.cells(bare)} |")
        print(f"| FAISS alone | {recalls[1]:.4f} | {bare.cells(bare)} |")
        return [ours.figures("gallery", recalls[0]), bare.figures("FAISS alone", recalls[1])]

    def filtered(self) -> list[dict[str, JSON]]:
        """Print the table of searches with filters, and return its figures."""
        measured = []
        print(f"\n| a filter that passes | | recall@10 | {HEADINGS} |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for share in SHARES:
            first, again, bare = Timed(), Timed(), Timed()
            recalls, recalls_bare = [], []
            for number in range(FILTERS):
                low = 7 * number
                allowed = (self.lots >= low) & (self.lots < low + round(share * 1000))
                where = f"lot >= {low} and lot < {low + round(share * 1000)}"
                selector = faiss.IDSelectorBitmap(bits := np.packbits(allowed, bitorder="little"))
                answers, answers_bare = {}, {}
                for query in range(number, number + REPEATS + 1):
                    timed = first if query == number else again
                    answers[query] = [row for row, _ in timed.call(lambda q=query, w=where: self.ours(q, w))]
                    ask = lambda q=query, s=selector: self.bare(q, self.lists.nlist, s)  # noqa: E731
                    answers_bare[query] = bare.call(ask)
                recalls.append(self.recall(answers, allowed))
                recalls_bare.append(self.recall(answers_bare, allowed))
                del bits
            recall, recall_bare = float(np.mean(recalls)), float(np.mean(recalls_bare))
            print(f"| {share:.0%} | the first time | {recall:.4f} | {first.cells(bare)} |")
            print(f"| | repeated | {recall:.4f} | {again.cells(bare)} |")
            print(f"| | FAISS alone, all lists | {recall_bare:.4f} | {bare.cells(bare)} |")
            measured += [
                first.figures("gallery, a new filter", recall, share=share),
                again.figures("gallery, a repeated filter", recall, share=share),
                bare.figures("FAISS alone, all lists", recall_bare, share=share),
            ]
        return measured

    def committed(self) -> list[dict[str, JSON]]:
        """Print the table of searches after commits that leave the items as they are, and return its figures."""
        print(f"\n| a filter that passes | {AFTER} | the query after it, median | least, ms |")
        print("| --- | --- | --- | --- | --- |")
        measured = []
        with LocalGallery(self.gallery.folder) as writer:
            for share in (1.0, *SHARES):
                after, next_one = Timed(), Timed()
                where = None if share == 1 else f"lot >= 3 and lot < {3 + round(share * 1000)}"
                for number in range(REPEATS):
                    self.ours(number, where)
                for number in range(COMMITS):
                    altered = range(number * ALTERED, (number + 1) * ALTERED)
                    writer.update([item_of(row, int(self.lots[row])) for row in altered])
                    after.call(lambda n=number, w=where: self.ours(n, w))
                    next_one.call(lambda n=number, w=where: self.ours(n + 1, w))
                cells = f"{after.median:.3f} | {min(after.wall):.3f} | {next_one.median:.3f} | {min(next_one.wall):.3f}"
                print(f"| {share:.0%} | {cells} |")
                measured += [
                    after.figures("gallery, after a commit", None, share=share),
                    next_one.figures("gallery, the query after it", None, share=share),
                ]
        return measured


AFTER = f"after a commit of {ALTERED} items, median, ms of processor time | least, ms"
HEADINGS = "median, ms of processor time | least, ms | ratio of medians | of the least"


class Timed:
    """Durations of calls, in milliseconds: processor time of the process, and wall time."""

    def __init__(self) -> None:
        self.processor: list[float] = []
        self.wall: list[float] = []

    def call(self, ask: Callable[[], Made]) -> Made:
        """Call a function, and record how long it takes."""
        began, used = time.perf_counter(), time.process_time()
        made = ask()
        self.processor.append(1000 * (time.process_time() - used))
        self.wall.append(1000 * (time.perf_counter() - began))
        return made

    @property
    def median(self) -> float:
        """Median of the processor time, in milliseconds."""
        return float(np.median(self.processor))

    def cells(self, peer: Timed) -> str:
        """Cells of a table: `HEADINGS`."""
        medians = self.median, peer.median
        least = min(self.wall), min(peer.wall)
        return f"{medians[0]:.3f} | {least[0]:.3f} | {medians[0] / medians[1]:.2f} | {least[0] / least[1]:.2f}"

    def figures(self, what: str, recall: float | None, *, share: float | None = None) -> dict[str, JSON]:
        """Figures of a row of a table.

        Args:
            what: What was timed.
            recall: Recall of the answers, in [0, 1]; None where it was not measured.
            share: Fraction of the items that the filter passes; None without a filter.
        """
        return {
            "what": what,
            "share": share,
            "recall": recall,
            "processor_p50_ms": self.median,
            "p50_ms": float(np.median(self.wall)),
            "p99_ms": float(np.percentile(self.wall, 99)),
            "least_ms": min(self.wall),
        }


if __name__ == "__main__":
    main()
