"""Compare Lookalike with other engines: recall and time of searches and filters, building, size, opening, memory.

    make bench-peers                                       # with the engines in .venv/peers
    python bench/peers/measure.py --rows 20000 --only Lookalike "Qdrant Edge" --json peers.json

Each engine runs in processes of its own, without a network where the system allows that: it builds with all processors,
and searches in one that is bound to a single processor. In searches all engines take turns. Recall is computed here,
from exact scores of all rows. An engine that cannot run is reported with its error.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from engines import ENGINES, Answer, Engine, Passing
from lookalike.benchmarking.report import BenchmarkReport
from lookalike.benchmarking.searching import ROWS
from process import EngineError, EngineProcess, Launcher, offline_command
from questions import Calls, Questions, draw

QUERIES, SLOW_QUERIES, SLOW_MS = 500, 100, 10.0
"""Queries of each effort; those of an effort whose first queries took longer than `SLOW_MS`."""

ROUNDS, WARM = 10, 3
"""Turns of each engine, and queries that are not timed before each turn."""

OPENINGS = 3
SHARES = (0.01, 0.05, 0.2)
"""Fractions of the rows that the filters pass."""

FILTERS, REPEATS, FILTER_S = 20, 10, 6.0
"""Filters of each fraction, queries of a filter after its first, and seconds after which an engine gets no more."""

ENOUGH = 0.99
"""Recall without a filter from which an effort is measured with filters, which need a larger one for it."""

LEAST = 0.9
"""Recall below which `--check` fails; every engine that does what it is asked has more on few rows."""

BEGAN = monotonic()


def say(text: str) -> None:
    """Print the current step to standard error."""
    print(f"{monotonic() - BEGAN:,.0f} s: {text}", file=sys.stderr, flush=True)


class Comparison:
    """All engines on the same rows.

    Args:
        engines: Engines to compare.
        launcher: Starts their processes.
        questions: Queries with exact answers.

    Attributes:
        figures: Figures by engine.
    """

    def __init__(self, engines: Sequence[Engine], launcher: Launcher, questions: Questions) -> None:
        self.engines, self._launcher, self._questions = list(engines), launcher, questions
        self.figures: dict[str, dict[str, Any]] = {one.name: {"how": one.how, "effort": one.effort} for one in engines}
        self._processes: dict[str, EngineProcess] = {}

    def failed(self, engine: Engine, error: EngineError) -> None:
        """Leave an engine out from now on, and keep the reason."""
        say(f"{engine.name}: {error}")
        self.figures[engine.name]["failed"] = str(error)
        self.engines.remove(engine)
        if process := self._processes.pop(engine.name, None):
            process.close()

    def build(self) -> None:
        """Build each engine in a process with all processors."""
        for engine in list(self.engines):
            say(f"{engine.name}: building")
            try:
                with self._launcher.start(engine, single=False) as process:
                    self.figures[engine.name]["version"] = process.ask("version", engine.library)
                    self.figures[engine.name]["built"] = process.ask("build")
            except EngineError as error:
                self.failed(engine, error)

    def open(self) -> None:
        """Open each engine in new processes, the last of which searches from then on."""
        for engine in list(self.engines):
            opened = []
            try:
                for turn in range(OPENINGS):
                    process = self._launcher.start(engine, single=True)
                    self._processes[engine.name] = process
                    self.figures[engine.name]["memory_before"] = process.ask("memory")
                    opened.append(process.ask("open", engine.efforts[-1]))
                    if turn + 1 < OPENINGS:
                        process.close()
            except EngineError as error:
                self.failed(engine, error)
            self.figures[engine.name]["opened"] = opened

    def ask(
        self, engine: Engine, numbers: Sequence[int], effort: int, passing: Passing, warm: int
    ) -> list[tuple[Answer, float, float]] | None:
        """Search with one engine; None if it failed."""
        try:
            given = (list(numbers), effort, passing, list(numbers)[:warm])
            found: list[tuple[Answer, float, float]] = self._processes[engine.name].ask("search", *given)
        except EngineError as error:
            self.failed(engine, error)
            return None
        return found

    def search(self) -> None:
        """Search with all engines and efforts by turns."""
        calls = {(engine.name, effort): Calls() for engine in self.engines for effort in engine.efforts}
        counts = dict.fromkeys(calls, min(QUERIES, self._questions.count))
        for turn in range(ROUNDS):
            say(f"searching, turn {turn + 1} of {ROUNDS}")
            for engine in list(self.engines):
                for effort in engine.efforts:
                    key = (engine.name, effort)
                    numbers = range(counts[key] * turn // ROUNDS, counts[key] * (turn + 1) // ROUNDS)
                    found = self.ask(engine, numbers, effort, None, WARM)
                    if found is None:
                        break
                    calls[key].add(numbers, found)
                    if turn == 0 and calls[key].processor > SLOW_MS:
                        counts[key] = min(SLOW_QUERIES, counts[key])
        for engine in list(self.engines):
            told = [
                {"effort": effort, **calls[engine.name, effort].to_json(self._questions)} for effort in engine.efforts
            ]
            self.figures[engine.name]["searched"] = told
            try:
                self.figures[engine.name]["memory"] = self._processes[engine.name].ask("memory")
            except EngineError as error:
                self.failed(engine, error)

    def chosen(self, engine: Engine) -> list[int]:
        """Efforts that are measured with filters."""
        if 0 in engine.efforts:
            return [0]
        found = self.figures[engine.name]["searched"]
        first = next((one["effort"] for one in found if one["recall"] >= ENOUGH), engine.efforts[-1])
        return [effort for effort in engine.efforts if effort >= first]

    def filter(self) -> None:
        """Search with filters, all engines by turns; each filter is new to its engine when it is first asked."""
        efforts = {engine.name: self.chosen(engine) for engine in self.engines if engine.filters}
        for share in SHARES:
            say(f"filters that pass {share:.0%}")
            calls = {(name, effort): (Calls(), Calls()) for name, several in efforts.items() for effort in several}
            spent = dict.fromkeys(efforts, 0.0)
            for number in range(FILTERS):
                for engine in [one for one in self.engines if spent.get(one.name, FILTER_S) < FILTER_S]:
                    began = monotonic()
                    for place, effort in enumerate(efforts[engine.name]):
                        passing = self._questions.passing(len(engine.efforts) * number + place, share)
                        numbers = range(number, number + 1 + REPEATS)
                        found = self.ask(engine, numbers, effort, passing, 0)
                        if found is None:
                            break
                        first, again = calls[engine.name, effort]
                        first.add(numbers[:1], found[:1], passing)
                        again.add(numbers[1:], found[1:], passing)
                    spent[engine.name] += monotonic() - began
            for engine in self.engines:
                for effort in efforts.get(engine.name, ()):
                    first, again = (each.to_json(self._questions) for each in calls[engine.name, effort])
                    told = {"share": share, "effort": effort, "first": first, "again": again}
                    self.figures[engine.name].setdefault("filtered", []).append(told)

    def close(self) -> None:
        """End all processes."""
        for process in self._processes.values():
            process.close()


def faults(figures: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with engines: errors, and recall that is too low with the largest effort."""
    found = []
    for name, told in figures.items():
        if "failed" in told:
            found.append(f"{name}: {told['failed']}")
            continue
        most = {f"filter of {one['share']:.0%}": one["again"] for one in told.get("filtered", [])}
        most["all rows"] = told["searched"][-1]
        found += [f"{name}: recall {one['recall']:.3f}, {what}" for what, one in most.items() if one["recall"] < LEAST]
    return found


def main() -> int:
    """Measure, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--python", type=Path, required=True, help="interpreter with the engines of others")
    parser.add_argument("--only", nargs="+", choices=[one.name for one in ENGINES], help="engines to compare")
    parser.add_argument("--seconds", type=float, default=600, help="longest duration of a build or of a turn")
    parser.add_argument("--json", type=Path, help="file for all figures, rewritten after each step")
    parser.add_argument("--check", action="store_true", help="fail if an engine fails, or answers wrongly")
    options = parser.parse_args()
    engines = [one for one in ENGINES if not options.only or one.name in options.only]
    report = BenchmarkReport([])  # made first: it records the load of the machine
    with tempfile.TemporaryDirectory(prefix="lookalike-bench-") as temporary:
        folder, offline = Path(temporary), offline_command()
        say(f"drawing {options.rows:,} rows" + ("" if offline else "; the engines are not cut off from the network"))
        questions = draw(folder / "data", options.rows, QUERIES)
        comparison = Comparison(engines, Launcher(options.python, folder, options.seconds, offline), questions)
        try:
            for step in (comparison.build, comparison.open, comparison.search, comparison.filter):
                step()
                if options.json:
                    about = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "offline": bool(offline), "rows": options.rows}
                    figures = {**report.to_json(), **about, "engines": comparison.figures}
                    options.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")
        finally:
            comparison.close()
    print(f"{options.rows:,} rows, {', '.join(comparison.figures)}\n\n{report.circumstances()}")
    wrong = faults(comparison.figures) if options.check else []
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
