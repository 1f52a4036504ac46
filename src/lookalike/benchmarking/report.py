"""Benchmark reports as JSON, Markdown and tables for the terminal."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.benchmarking.timing import Timing
from lookalike.types import JSON

if TYPE_CHECKING:
    from rich.table import Table

LIBRARIES = ("lookalike", "numpy", "scipy", "faiss-cpu", "onnxruntime", "openvino", "scikit-learn", "torch")
VECTOR_INSTRUCTIONS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "asimd")


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison.

    Attributes:
        what: Description of the measurement.
        goal: Design goal in words; empty for none.
        ours: Our timing; None where no time was measured.
        peer: Name of the baseline; None for none.
        peer_timing: Timing of the baseline; None where it could not run, with the reason in `peer`.
        recall: Our recall, in [0, 1].
        peer_recall: Recall of the baseline, in [0, 1].
        note: Further results.
    """

    what: str
    goal: str = ""
    ours: Timing | None = None
    peer: str | None = None
    peer_timing: Timing | None = None
    recall: float | None = None
    peer_recall: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Median time of the baseline divided by ours."""
        if self.ours is None or self.peer_timing is None:
            return None
        return self.peer_timing.median_ms / self.ours.median_ms

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of one comparison in `lookalike bench --json`."""
        return {
            "what": self.what,
            "ours_ms": None if self.ours is None else self.ours.median_ms,
            "peer": self.peer,
            "peer_ms": None if self.peer_timing is None else self.peer_timing.median_ms,
            "ratio": self.ratio,
            "recall": self.recall,
            "ours_p99_ms": None if self.ours is None else self.ours.p99_ms,
            "peer_p99_ms": None if self.peer_timing is None else self.peer_timing.p99_ms,
            "peer_recall": self.peer_recall,
            "goal": self.goal,
            "note": self.note,
        }

    def cells(self) -> list[str]:
        """Return the cells of the row, one for each of `HEADINGS`."""
        return [
            self.what,
            _duration(self.ours),
            self.peer or "",
            _duration(self.peer_timing),
            "" if self.ratio is None else f"{self.ratio:,.0f}x" if self.ratio >= 20 else f"{self.ratio:.2g}x",
            _recall(self.recall) + (f" ({_recall(self.peer_recall)})" if self.peer_recall is not None else ""),
            self.goal,
            self.note,
        ]


HEADINGS = ("what", "ours, ms (p99)", "peer", "peer, ms (p99)", "ratio", "recall@10 (peer's)", "goal", "note")


@dataclass(frozen=True, slots=True)
class BenchmarkReport:
    """Results of a run, with the machine and the versions."""

    rows: list[Row]
    machine: Mapping[str, JSON] = field(default_factory=lambda: machine())
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike bench --json`."""
        return {
            "machine": dict(self.machine),
            "versions": dict(self.versions),
            "rows": [row.to_json() for row in self.rows],
        }

    def to_markdown(self) -> str:
        """Return a Markdown table, with a line about the machine below."""
        lines = [HEADINGS, ["---"] * len(HEADINGS), *(row.cells() for row in self.rows)]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{table}\n\n{self.circumstances()}"

    def to_table(self) -> Table:
        """Return a table for the terminal."""
        from rich.box import SIMPLE
        from rich.table import Table

        table = Table(box=SIMPLE, caption=self.circumstances(), caption_justify="left")
        rows = [row.cells() for row in self.rows]
        used = [number for number in range(len(HEADINGS)) if any(cells[number] for cells in rows)]
        for number in used:
            table.add_column(HEADINGS[number], justify="right" if number in {1, 3, 4} else "left")
        for cells in rows:
            table.add_row(*(cells[number] for number in used))
        return table

    def circumstances(self) -> str:
        """Machine and versions, in one line."""
        return ", ".join(f"{name} {value}" for name, value in (*self.machine.items(), *self.versions.items()))


def machine() -> dict[str, JSON]:
    """Describe the machine; `load` is the load average at the start of the run, in processors."""
    text = _read("/proc/cpuinfo")
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    named = {name.strip(): value.strip() for name, value in fields.items()}
    flags = (named.get("flags") or named.get("Features") or "").split()
    return {
        "processor": named.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": " ".join(name for name in VECTOR_INSTRUCTIONS if name in flags),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the installed libraries that affect the results."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _duration(timing: Timing | None) -> str:
    if timing is None:
        return ""
    several = f" ({_milliseconds(timing.p99_ms)})" if len(timing.calls_ms) > 1 else ""
    return _milliseconds(timing.median_ms) + several


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _recall(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
