"""Goals of docs/performance.md: what was reached, and why not where a goal is missed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from index_feeding import H100
from performance_engines import OURS, Told, at_recall, filtered_at_recall

Figures = Mapping[str, Told]
"""Figures by part; parts that were not measured are missing."""


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal and what was reached.

    Attributes:
        what: What is measured.
        limit: The goal.
        most: Whether the goal is an upper limit; a lower one otherwise.
        value: What was reached; None where it was not measured.
        unit: Unit after the number, empty for ratios.
        why: Reason, if it is missed.
    """

    what: str
    limit: float
    most: bool
    value: float | None
    unit: str = ""
    why: str = ""

    @property
    def reached(self) -> bool:
        """Whether the goal is reached."""
        return self.value is not None and (self.value <= self.limit if self.most else self.value >= self.limit)

    @property
    def short(self) -> float:
        """Factor by which the goal is missed, above 1."""
        assert self.value is not None
        return self.value / self.limit if self.most else self.limit / self.value

    def cells(self) -> list[str]:
        """Return the cells of its row."""
        limit = f"at {'most' if self.most else 'least'} {self.limit:g}{self.unit}"
        if self.value is None:
            return [self.what, limit, "not measured", ""]
        verdict = "reached" if self.reached else f"missed by a factor of {self.short:.2f}"
        return [self.what, limit, f"{self.value:.3g}{self.unit}", verdict]


def goals(figures: Figures) -> Iterator[Goal]:
    """Yield all goals."""
    yield from _of_searches(figures.get("peers"))
    yield from _of_filters(figures.get("peers"))
    yield from _of_one_shot(figures.get("one-shot"))
    yield from _of_serving(figures.get("serving"))
    yield from _of_indexing(figures.get("indexing"))
    training = figures.get("training")
    yield Goal(
        "processor time of training steps, against a plain loop",
        1.03,
        True,
        _value(training, lambda told: told["rows"]["processor time"]["ratio_of_sums"]),
        why="labels, logs and measures of each step that the plain loop leaves out",
    )
    yield from _of_growth(figures.get("growth"))


def reasons(found: Sequence[Goal]) -> list[str]:
    """Return a list in Markdown of why goals are missed; those with one reason are one point."""
    missed: dict[str, list[str]] = {}
    for goal in found:
        if goal.value is not None and not goal.reached:
            missed.setdefault(goal.why, []).append(goal.what)
    return [f"- *{'; '.join(whats)}*: {why}." for why, whats in missed.items()]


def _value(part: Told | None, of: Callable[[Told], float]) -> float | None:
    """Return a figure of a part; None if the part was not measured."""
    return None if part is None else of(part)


def _of_searches(peers: Told | None) -> Iterator[Goal]:
    reasons = {
        "FAISS IVF-RaBitQ": "a call of ours also checks its request and reads ten items, with their checksums, from "
        "SQLite, which takes a fifth of it; and its steps in Python find other data in the processor's cache when "
        "FAISS is done: one step of NumPy then takes 10 microseconds more",
        "Qdrant Edge": "it is compiled code from end to end, and its graph visits few rows for such a recall",
    }
    steps = (
        "our lists alone, which the row of FAISS IVF-RaBitQ shows, take less than a third of a call; the rest are "
        "steps in Python, and the items"
    )
    limits = {"FAISS IVF-RaBitQ": (1.3, True), "Qdrant Edge": (2.0, False)}
    limits |= dict.fromkeys(("LanceDB", "Chroma", "sqlite-vec"), (10.0, False))
    for name, (limit, most) in limits.items():
        value = None
        if peers is not None and (found := at_recall(peers, name)) and (mine := at_recall(peers, OURS)):
            times = mine["processor_ms"], found["processor_ms"]
            value = times[0] / times[1] if most else times[1] / times[0]
        words = f"our time over that of {name}" if most else f"time of {name} over ours"
        what = f"search and items: {words}"
        yield Goal(what, limit, most, value, why=reasons.get(name, steps))


def _of_filters(peers: Told | None) -> Iterator[Goal]:
    reasons = {
        "first": "the first time, the filter is compiled, and the rows that pass are listed and become a bitmap, which "
        "takes about a tenth; most is the search without copied codes, which scores each of these rows where 1 % pass, "
        "and reads the codes of all rows where 5 % or 20 % pass",
        "again": "its index of the attribute is a part of its graph, so that a search visits few other rows",
    }
    for when, words in (("first", "new"), ("again", "repeated")):
        for share in (0.01, 0.05, 0.2):
            for name in ("Qdrant Edge", "LanceDB"):
                value = None
                if peers is not None:
                    mine, theirs = (filtered_at_recall(peers, each, share) for each in (OURS, name))
                    if mine is not None and theirs is not None:
                        value = theirs[when]["processor_ms"] / mine[when]["processor_ms"]
                what = f"{words} filter that passes {100 * share:g} %: time of {name} over ours"
                yield Goal(what, 1.0, False, value, why=reasons[when])
    mine = None if peers is None else filtered_at_recall(peers, OURS, 0.05)
    value = None if mine is None else mine["again"]["p50_ms"]
    why = (
        "on a slow processor a search without a filter takes more than that, too; the codes of the filter are copied "
        "at the fourth query"
    )
    yield Goal("repeated filter that passes 5 %", 1.0, True, value, " ms", why)


def _of_one_shot(part: Told | None) -> Iterator[Goal]:
    beside = {} if part is None else {row["peer"].split()[0]: row for row in part["rows"]}
    imports = beside.get("importing")
    why = (
        "importing Typer, NumPy, ONNX Runtime, FAISS and our modules alone takes most of that, in one thread of "
        "Python; a third of the processor time is the system's, which gives new memory in 40,000 page faults, so that "
        "reading the networks still earlier, beside the imports, gains 2 %"
    )
    value = None if imports is None else imports["ours_ms"] / imports["peer_ms"]
    yield Goal("`lookalike search` over importing PyTorch and torchvision", 0.2, True, value, why=why)
    value = None if imports is None else imports["ours_ms"]
    yield Goal("`lookalike search` in a new process", 250, True, value, " ms", why)


def _of_serving(part: Told | None) -> Iterator[Goal]:
    rest = (
        "a search is also HTTP, a form, the index, items and JSON, in many small steps: 1.5 ms of processor time on "
        "the event loop, and 1.5 to find, read and judge ten items, the largest step of which takes 0.45 (busy machine)"
    )
    queue = "random arrivals queue: two processors with a constant service time alone have 3.9 (the queue M/D/2)"
    for processes, limit, why in (
        (
            1,
            0.85,
            f"{rest}; all of them hold the lock of one interpreter, for which threads take turns 150 times a search",
        ),
        (2, 0.95, f"{rest}; the clients share the processors"),
    ):
        rows = [] if part is None else [row for row in part["rows"] if row["processes"] == processes]
        value = rows[0]["ratio"] if rows else None
        what = f"serving at full load over the embedder alone, processes: {processes}"
        yield Goal(what, limit, False, value, why=why)
        value = rows[0]["random"]["p99_ms"] / rows[0]["random"]["p50_ms"] if rows else None
        what = f"p99 over p50 at 80 % load, random arrivals, processes: {processes}"
        yield Goal(what, 2.5, True, value, why=queue)


def _of_indexing(part: Told | None) -> Iterator[Goal]:
    value = None
    if part is not None:
        told = [
            row["ratio"]
            for row in part["rows"]
            if row["what"].startswith("index") and "default model, processor time" in row["what"]
        ]
        value = min(told, default=None)
    why = (
        "decoding, resizing to the network's input and reducing for colours take the most of the rest, mostly in "
        "compiled code of libjpeg-turbo and Pillow"
    )
    yield Goal("indexing JPEGs: share of the bare network's rate, processor time", 0.8, False, value, why=why)
    feeding = {} if part is None else part["stages"]["processes that decode"]
    why = "one process feeds the network, and what it does for a photo is not done by several"
    value = feeding.get("of linear")
    yield Goal("indexing on 16 cores beside a GPU: share of linear, computed", 0.7, False, value, why=why)
    value = feeding["photos a second"] / H100 if feeding else None
    yield Goal("indexing on 16 cores: part of the time that an H100 is busy, computed", 0.6, False, value, why=why)


def _of_growth(part: Told | None) -> Iterator[Goal]:
    points = {} if part is None else {point["rows"]: point for point in part["rows"]}
    for rows, limit in ((1_000_000, 0.8), (5_000_000, 1.8)):
        searched = points.get(rows, {}).get("searched")
        value = searched["p50_ms"] if searched and searched["recall"] >= 0.98 else None
        why = "reading centroids and codes from memory takes the most of it"
        yield Goal(f"one query among {rows:,} rows, p50 at recall .98", limit, True, value, " ms", why)
    million = points.get(1_000_000, {})
    added = million.get("added")
    value = added["searched"]["p99_ms"] if added else None
    why = "a commit makes the next query read what is new, and the writer uses the other core"
    yield Goal("one query while rows are added to 1,000,000, p99", 10, True, value, " ms", why)
    built = million.get("built")
    value = (built["database"] + built["derived"]) / (4 * 542 * 1_000_000) if built else None
    why = "the database has the rows, and the segment files have them again beside their codes"
    yield Goal("disk of 1,000,000 rows over raw vectors", 1.3, True, value, why=why)
