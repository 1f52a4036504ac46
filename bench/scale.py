"""Benchmark a gallery in a folder by number of rows: building, size, memory, opening, searching, filters and changes.

Prints the table of docs/scale.md or writes it into the page, and draws its plots:

    python bench/scale.py --json growth.json --page docs/scale.md --pictures docs/images     # or: make bench-scale
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from time import monotonic
from typing import TYPE_CHECKING

import scale_phases as phases
from lookalike.benchmarking.features import SPACES
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.searching import ROWS
from lookalike.render.plots import GROUPS, plot
from lookalike.spaces import width
from performance_page import replaced
from scale_phases import OPENINGS, QUERIES, SHARES, Asked, Built, Changed, Filtered, Memory, Opened, Searched, fresh

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GB = 1e9
BEGAN = monotonic()


@dataclass(slots=True)
class Point:
    """Measurements of one gallery."""

    rows: int
    built: Built
    opened: list[Opened]
    opened_cold: list[Opened]
    memory: dict[str, Memory]
    attribute_index_s: float
    filtered: dict[float, Filtered]
    searched: Searched | None = None
    added: Changed | None = None
    removed: Changed | None = None

    @property
    def raw(self) -> int:
        """Size of the vectors as float32, in bytes."""
        return 4 * self.rows * width(SPACES)

    @property
    def on_disk(self) -> int:
        """Size of `gallery.db` and `derived/`, in bytes."""
        return self.built.database + self.built.derived

    @property
    def memory_used(self) -> Memory:
        """Memory after all queries."""
        return self.memory[f"{QUERIES} queries"]


def measure(sizes: Sequence[int], folder: Path) -> Iterator[list[Point]]:
    """Measure galleries of these sizes; yields all measurements so far after each step."""
    points, asked = [], {}
    for rows in sizes:
        place = folder / str(rows)
        say(f"{rows:,} rows: finding the right answers")
        asked[place] = fresh(phases.right_answers, rows)
        points.append(measure_one(place, rows, asked[place]))
        yield points
    say("searching them by turns")
    for point, searched in zip(points, fresh(phases.search, asked), strict=True):
        point.searched = searched
    yield points
    for point, (place, of_place) in zip(points, asked.items(), strict=True):
        say(f"{point.rows:,} rows: adding and removing while others search")
        change = phases.change_while_searching
        point.added = fresh(change, place, of_place.queries, phases.add, point.rows)
        point.removed = fresh(change, place, of_place.queries, phases.remove, point.rows)
        yield points


def measure_one(place: Path, rows: int, asked: Asked) -> Point:
    """Make a gallery, and measure everything that does not change it."""
    say(f"{rows:,} rows: building")
    built = fresh(phases.build, place, rows)
    say(f"{rows:,} rows: opening")
    first = phases.query_of(asked.queries, 0)
    cold = []
    for _ in range(OPENINGS):
        phases.forget_files(place)
        cold.append(fresh(phases.open_and_answer, place, first))
    fresh(phases.memory, place, asked.queries)  # reads the files into the page cache again
    opened = [fresh(phases.open_and_answer, place, first) for _ in range(OPENINGS)]
    used = fresh(phases.memory, place, asked.queries)
    say(f"{rows:,} rows: filters")
    attribute_index_s, filtered = fresh(phases.search_filtered, place, asked)
    return Point(rows, built, opened, cold, used, attribute_index_s, filtered)


def say(text: str) -> None:
    """Print the current step to standard error."""
    print(f"{monotonic() - BEGAN:,.0f} s: {text}", file=sys.stderr, flush=True)


Cell = Callable[[Point], str]


def table(points: Sequence[Point]) -> Iterator[tuple[str, Cell]]:
    """Yield the rows of the table: a heading, and a function from a point to the text of its cell."""
    smallest = points[0].searched
    yield "raw vectors, MB", lambda point: f"{point.raw / 1e6:,.0f}"
    yield "adding, s (rows/s)", lambda point: f"{point.built.add_s:,.1f} ({point.rows / point.built.add_s:,.0f})"
    yield "index, s", lambda point: f"{point.built.index_s:,.1f}"
    yield "most memory of its own while building, MB", lambda point: f"{point.built.peak_anonymous / 1e6:,.0f}"
    yield "`gallery.db`, MB", lambda point: f"{point.built.database / 1e6:,.0f}"
    yield "`derived/`, MB", lambda point: f"{point.built.derived / 1e6:,.0f}"
    yield "both, times the raw vectors", lambda point: f"{point.on_disk / point.raw:.2f}"
    yield "open, files in memory, ms; to the first answer", lambda point: openings(point.opened)
    yield "open, files on disk only, ms; to the first answer", lambda point: openings(point.opened_cold)
    yield "memory of its own after the first query, MB", lambda point: share(point, point.memory["one query"].anonymous)
    yield f"memory of its own after {QUERIES} queries, MB", lambda point: share(point, point.memory_used.anonymous)
    yield f"mapped files in memory after {QUERIES} queries, MB", lambda point: share(point, point.memory_used.mapped)
    yield "one query, p50 (p99), ms", lambda point: searched(point.searched)
    if smallest is not None:
        yield "times the smallest", lambda point: f"{p50(point.searched) / smallest.p50_ms:.2f}"
    yield "recall@10", lambda point: recall(point.searched)
    yield "first filter by an attribute, s", lambda point: f"{point.attribute_index_s:.2f}"
    for part in SHARES:
        what = f"filter that passes {part:.1%}"
        yield f"{what}, new, ms", partial(filtered, part=part, which="first")
        yield f"{what}, asked before, ms", partial(filtered, part=part, which="again")
        yield f"{what}, recall@10 (index)", partial(filtered, part=part, which="recall")
    yield "added a second while searched", lambda point: rate(point.added)
    yield "one query meanwhile, p50 (p99; longest), ms", lambda point: meanwhile(point.added)
    yield "removed a second while searched", lambda point: rate(point.removed)
    yield "one query meanwhile, p50 (p99; longest), ms", lambda point: meanwhile(point.removed)


def to_markdown(points: Sequence[Point]) -> str:
    """Return a Markdown table with a column for each point."""
    lines = [["", *(f"{point.rows:,} rows" for point in points)], ["---", *["---:"] * len(points)]]
    lines += [[what, *map(cell, points)] for what, cell in table(points)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def openings(opened: Sequence[Opened]) -> str:
    """Return median times of opening and of the first answer."""
    return f"{median(one.open_ms for one in opened):,.1f}; {median(one.answer_ms for one in opened):,.0f}"


def share(point: Point, size: int) -> str:
    """Return a size in MB and relative to the raw vectors."""
    return f"{size / 1e6:,.0f} ({size / point.raw:.0%})"


def searched(found: Searched | None) -> str:
    """Return the median and the 99th percentile."""
    return "" if found is None else f"{found.p50_ms:,.2f} ({found.p99_ms:,.2f})"


def filtered(point: Point, *, part: float, which: str) -> str:
    """Return a measurement of queries with a filter that passes a fraction of the rows."""
    found = point.filtered[part]
    if which == "recall":
        return f"{recall(found.first)} ({found.index})"
    return searched(found.first if which == "first" else found.again)


def p50(found: Searched | None) -> float:
    """Return the median, in milliseconds."""
    return float("nan") if found is None else found.p50_ms


def recall(found: Searched | None) -> str:
    """Return the recall."""
    return "" if found is None or found.recall is None else f"{found.recall:.4f}"


def rate(changed: Changed | None) -> str:
    """Return the items per second."""
    return "" if changed is None else f"{changed.per_s:,.0f}"


def meanwhile(changed: Changed | None) -> str:
    """Return the times of queries while the gallery is changed."""
    if changed is None:
        return ""
    return f"{searched(changed.searched)[:-1]}; {changed.searched.longest_ms:,.0f})"


def draw(points: Sequence[Point], folder: Path) -> None:
    """Draw `growth.png` and `growth-filters.png`."""
    rows = [point.rows for point in points]
    names = [f"{size / 1e6:.3g} M" for size in rows]
    searches = [point.searched for point in points if point.searched]
    with plot(folder / "growth.png", columns=3, size=(12.6, 4.0)) as (times, sizes, building):
        curve(times, rows, [one.p50_ms for one in searches], "p50")
        curve(times, rows, [one.p99_ms for one in searches], "p99", 1)
        times.set(title="One query, ms", ylim=(0, None))
        curve(sizes, rows, [point.on_disk / GB for point in points], "on disk", 3)
        curve(sizes, rows, [point.raw / GB for point in points], "raw vectors", 4)
        curve(sizes, rows, [point.memory_used.mapped / GB for point in points], "mapped files in memory")
        curve(sizes, rows, [point.memory_used.anonymous / GB for point in points], "memory of its own", 1)
        sizes.set(title="Size, GB", yscale="log", ylim=(None, 200))
        curve(building, rows, [point.built.add_s for point in points], "adding")
        curve(building, rows, [point.built.index_s for point in points], "index", 1)
        building.set(title="Building, s", ylim=(0, None))
        for axes in (times, sizes, building):
            finish(axes, "rows", rows, names)
    shares = [100 * part for part in SHARES]
    with plot(folder / "growth-filters.png", columns=2, size=(9.6, 4.0)) as (first, again):
        for number, point in enumerate(points):
            found = point.filtered.values()
            curve(first, shares, [one.first.p50_ms for one in found], f"{names[number]} rows", number)
            curve(again, shares, [one.again.p50_ms for one in found], f"{names[number]} rows", number)
        first.set(title="A new filter, p50, ms", yscale="log")
        again.set(title="A filter asked before, p50, ms", yscale="log")
        for axes in (first, again):
            finish(axes, "rows that pass", shares, [f"{part:.3g} %" for part in shares])


def curve(axes: Axes, x: Sequence[float], y: Sequence[float], label: str, color: int = 0) -> None:
    """Draw a line with markers."""
    axes.plot(x, y, color=GROUPS[color], linewidth=2, marker="o", markersize=5, label=label)


def finish(axes: Axes, label: str, places: Sequence[float], names: Sequence[str]) -> None:
    """Draw the axes and the legend, with labels at the measured positions."""
    axes.set(xscale="log", xlabel=label)
    axes.set_xticks(places, names)
    axes.set_xticks([], minor=True)
    if axes.get_yscale() == "log":
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("")
    axes.legend(frameon=False, loc="upper left")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[ROWS, 1_000_000, 5_000_000], help="rows of each gallery, ascending"
    )
    parser.add_argument("--json", type=Path, help="file for all figures, rewritten after each step")
    parser.add_argument("--page", type=Path, help="page whose table is replaced, in place of printing it")
    parser.add_argument("--pictures", type=Path, help="folder for the plots")
    options = parser.parse_args()
    report = BenchmarkReport([])  # made first: it records the load of the machine
    points: list[Point] = []
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as temporary:
        for points in measure(options.rows, Path(temporary)):
            if options.json:
                figures = {**report.to_json(), "rows": [asdict(point) for point in points]}
                options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
    lines = [to_markdown(points), "", f"measured {datetime.now(UTC):%Y-%m-%d}, {report.circumstances()}"]
    if options.page:
        text = options.page.read_text(encoding="utf-8")
        options.page.write_text(replaced(text, "growth", lines, by="make bench-scale"), encoding="utf-8")
    else:
        print("\n".join(lines))
    if options.pictures:
        draw(points, options.pictures)


if __name__ == "__main__":
    main()
