"""Benchmarks of searching, adding and opening against the original system, in one process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.benchmarking import ground_truth, original
from lookalike.benchmarking.features import SPACES, Features, synthetic
from lookalike.benchmarking.report import BenchmarkReport, Row
from lookalike.benchmarking.timing import TimedCall, time_in_turns, time_once
from lookalike.errors import LookalikeError, UsageError
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.spaces import DEFAULT_WEIGHTS, width
from lookalike.types import Float32, Int64, Item, Neighbours

K = 10
QUERIES = 500
NAIVE_QUERIES = 100
"""Number of queries of the original's naive search; it is slow, and these suffice for the median."""

ROWS = 139_709
MORE = 10_000
BATCH = 4096
WEIGHTS: Mapping[str, float] = {space.name: DEFAULT_WEIGHTS[space.name] for space in SPACES}
METRICS: Mapping[str, str] = dict.fromkeys(WEIGHTS, "euclidean")

NAIVE = "original, naive (SciPy)"
CLUSTERED = "original, clustered (scikit-learn)"
NO_CLUSTERS = "original, clustered: not run, scikit-learn is not installed"


def run(*, rows: int = ROWS, queries: int = QUERIES, say: Callable[[str], None] = lambda _: None) -> BenchmarkReport:
    """Measure the search of a gallery in a folder against the original system.

    The features are synthetic (see `lookalike.benchmarking.features`). Both sides answer the same queries, by turns.

    Args:
        rows: Photos in the gallery, at least 1,000.
        queries: Number of queries of each kind.
        say: Called with a line before each step.

    Raises:
        UsageError: `rows` is below 1,000.
    """
    if rows < 1000:
        raise UsageError(f"a benchmark needs at least 1000 rows, got {rows}")
    report = BenchmarkReport([])  # made first: it records the load of the machine
    say(f"generating {rows:,} features")
    drawn = synthetic(rows + min(MORE, rows), queries=queries)
    features = Features({name: made[:rows] for name, made in drawn.gallery.items()}, drawn.queries)
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as folder:
        place, size = Path(folder), f"{rows:,} x {width(SPACES)}"
        say("adding them to a gallery, and the original's clustering")
        added, clusters = measure_adding(place, features, size)
        say("opening the gallery")
        opened = measure_opening(place, features, size)
        asked = []
        with LocalGallery(place / "gallery") as gallery:
            for kind in query_kinds(features, clusters):
                say(f"asking: {kind.what}")
                asked.append(kind.measure(gallery, features, size))
        say("adding more")
        more = measure_adding_more(place, drawn, features)
    report.rows.extend([*asked, added, opened, more])
    return report


def add(gallery: LocalGallery, features: Features, *, first: int, last: int) -> None:
    """Add rows in batches, each durable; ids of the items are the numbers of the rows."""
    for start in range(first, last, BATCH):
        end = min(start + BATCH, last)
        items = [Item(id=str(number), photo=f"{number}.jpg") for number in range(start, end)]
        gallery.add(items, {name: rows[start:end] for name, rows in features.gallery.items()}, spaces=SPACES)


def fill(folder: Path, features: Features) -> None:
    """Make a gallery of all rows, with its segment files."""
    with LocalGallery(folder, create=True) as gallery:
        add(gallery, features, first=0, last=len(features))
        gallery.optimise()
        gallery.search(features.query(0), SearchRequest(k=K))


def numbers(gallery: LocalGallery, answers: Sequence[Neighbours]) -> list[Int64]:
    """Return the numbers of the rows in answers of one query each; -1 for missing answers."""
    found = []
    for answer in answers:
        rows = answer.rows[0].tolist()
        items = gallery.items([row for row in rows if row >= 0])
        found.append(np.array([int(items[row].id) if row in items else -1 for row in rows]))
    return found


@dataclass(frozen=True, slots=True)
class QueryKind:
    """A kind of query, with its baseline in the original system.

    Attributes:
        what: Short description.
        goal: Design goal, in words.
        truth: Ground truth of our answers.
        peer: Name of the baseline.
        ask_peer: Function that returns the baseline's k best rows; None when it cannot run.
        peer_truth: Ground truth of the baseline's answers.
        peer_queries: Number of queries of the baseline.
        index: Index of our search.
        metrics: Metrics of our search; None scores by cosines.
    """

    what: str
    goal: str
    truth: ground_truth.GroundTruth
    peer: str
    ask_peer: Callable[[Mapping[str, Float32], int], list[str]] | None
    peer_truth: ground_truth.GroundTruth
    peer_queries: int
    index: str = "auto"
    metrics: Mapping[str, str] | None = None

    def measure(self, gallery: LocalGallery, features: Features, size: str) -> Row:
        """Time both sides by turns, and compare their answers with the ground truth."""

        def ask(number: int) -> Neighbours:
            query = features.query(number)
            return gallery.search(query, SearchRequest(k=K, weights=WEIGHTS, index=self.index, metrics=self.metrics))

        answers = [ask(number) for number in range(len(self.truth.needed))]
        found = numbers(gallery, answers)
        self.truth.check(found, [answer.scores[0] for answer in answers])
        took = "" if answers[0].index == self.index or self.metrics else f" ({answers[0].index})"
        what = f"one query, {size}, {self.what}{took}"
        recall = self.truth.recall(found)
        ours = TimedCall(ask, len(answers))
        if self.ask_peer is None:
            time_in_turns(ours)
            return Row(what, self.goal, ours.timing, self.peer, recall=recall)
        ask_peer = self.ask_peer
        theirs = TimedCall(lambda number: ask_peer(features.query(number), K), self.peer_queries)
        time_in_turns(ours, theirs)
        named = [ask_peer(features.query(number), K) for number in range(self.peer_queries)]
        peer_recall = self.peer_truth.recall([np.array([*map(original.number_of, names)]) for names in named])
        return Row(what, self.goal, ours.timing, self.peer, theirs.timing, recall=recall, peer_recall=peer_recall)


def query_kinds(features: Features, clusters: original.Clusters | None) -> list[QueryKind]:
    """Return all kinds of query to measure."""
    names = [original.name_of(number) for number in range(len(features))]
    peer = original.Original(features.gallery["deep"], features.gallery["color-original"], names, clusters)
    cosines = ground_truth.from_cosines(features, WEIGHTS, k=K)
    distances = ground_truth.from_original(features, k=K)
    queries = len(features.queries["deep"])
    few = min(queries, NAIVE_QUERIES)
    own, clustered = (NO_CLUSTERS, None) if clusters is None else (CLUSTERED, peer.clustered)
    return [
        QueryKind("index auto", "300x, recall .99", cosines, NAIVE, peer.naive, distances, few),
        QueryKind("index exact", "8x", cosines, NAIVE, peer.naive, distances, few, "exact"),
        QueryKind("index kmeans", "20x, recall as the peer's", cosines, own, clustered, distances, queries, "kmeans"),
        QueryKind(
            "the original's own score", "recall 1", distances, NAIVE, peer.naive, distances, few, metrics=METRICS
        ),
    ]


def measure_adding(folder: Path, features: Features, size: str) -> tuple[Row, original.Clusters | None]:
    """Measure adding vectors, index included, against writing arrays and clustering as in the original.

    Returns:
        The row of the report, and the original's clusters; None without scikit-learn.
    """
    ours = time_once(lambda: fill(folder / "gallery", features))
    with LocalGallery(folder / "gallery") as gallery:
        raw = sum(rows.nbytes for rows in features.gallery.values())
        note = f"{gallery.stored_bytes() / raw:.2f} times the bytes of the float32 vectors on disk"
    what, goal = f"add {size}, index included", f"8 s at {ROWS:,}"
    clusters = []

    def write_as_original() -> None:
        for name, rows in features.gallery.items():
            np.save(folder / f"{name}.npy", rows)
        clusters.append(original.fit_clusters(features.gallery["deep"]))

    try:
        theirs = time_once(write_as_original)
    except ModuleNotFoundError:
        return Row(what, goal, ours, NO_CLUSTERS, note=note), None
    return Row(what, goal, ours, "original (numpy.save, scikit-learn)", theirs, note=note), clusters[0]


def measure_opening(folder: Path, features: Features, size: str) -> Row:
    """Measure the time from opening to the first answer."""

    def open_ours(_: int) -> None:
        with LocalGallery(folder / "gallery") as gallery:
            gallery.search(features.query(0), SearchRequest(k=K))

    def open_theirs(_: int) -> None:
        for name in features.gallery:
            np.load(folder / f"{name}.npy")

    ours, theirs = TimedCall(open_ours, 20), TimedCall(open_theirs, 20)
    time_in_turns(ours, theirs)
    what = f"open {size} and answer"
    return Row(what, f"50 ms at {ROWS:,}", ours.timing, "original (numpy.load)", theirs.timing)


def measure_adding_more(folder: Path, drawn: Features, features: Features) -> Row:
    """Measure the time from adding rows to an existing gallery to the first answer that finds them."""
    held, count = len(features), len(drawn) - len(features)
    last = {name: rows[-1:] for name, rows in drawn.gallery.items()}
    with LocalGallery(folder / "gallery") as gallery:
        gallery.search(last, SearchRequest(k=K))

        def add_more() -> None:
            add(gallery, drawn, first=held, last=held + count)
            answer = gallery.search(last, SearchRequest(k=1))
            if numbers(gallery, [answer])[0][0] != held + count - 1:
                raise LookalikeError("the last added row is not found")

        ours = time_once(add_more)
    what = f"add {count:,} more and find the last"
    return Row(what, f"1 s for {MORE:,}", ours)
