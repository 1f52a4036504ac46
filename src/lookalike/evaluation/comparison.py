"""Two runs over the same queries, side by side."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import MismatchError, UsageError
from lookalike.evaluation.intervals import bootstrap_intervals, paired_significance
from lookalike.evaluation.metrics import Float64
from lookalike.evaluation.report.data import COUNT_PREFIX, FIGURES_FILE, QUERIES_FILE
from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class Run:
    """A run as its report folder tells it.

    Attributes:
        folder: Of the report.
        facts: Its figures, as `lookalike evaluate --json` showed them.
        queries: Ids of the Q queries.
        values: (Q,) float64 by metric.
        counts: (Q,) float64 what the values count for in the mean, by metric; metrics that are not here count all
            queries alike.
    """

    folder: Path
    facts: dict[str, Any]
    queries: tuple[str, ...]
    values: dict[str, Float64]
    counts: dict[str, Float64]


def read_run(folder: Path) -> Run:
    """Read a report folder.

    Raises:
        UsageError: It is none.
    """
    try:
        facts = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
        with (folder / QUERIES_FILE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        metrics = list(facts["metrics"])
        values = {name: np.array([float(row[name]) for row in rows]) for name in metrics}
        counted = [name for name in metrics if rows and COUNT_PREFIX + name in rows[0]]
        counts = {name: np.array([float(row[COUNT_PREFIX + name]) for row in rows]) for name in counted}
        return Run(folder, facts, tuple(row["query"] for row in rows), values, counts)
    except OSError as error:
        raise UsageError(
            f"{folder}: not a report of `lookalike evaluate --report`: {Path(error.filename).name}: {error.strerror}"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}: this report is damaged: {error}; make it again") from None


def compare(first: Run, second: Run, *, seed: int = 0) -> dict[str, JSON]:
    """Put two runs side by side.

    Args:
        first: One run.
        second: The other; differences are this one's figures minus the first's.
        seed: Of intervals and significance.

    Returns:
        As `lookalike evaluate --compare --json` shows it: for each metric both figures, the difference with its 95 %
        bootstrap interval, and the p-value of a paired randomisation test.

    Raises:
        MismatchError: They have different protocols or queries, or no metric in common.
    """
    protocols = [run.facts["protocol"] for run in (first, second)]
    if protocols[0] != protocols[1]:
        raise MismatchError(f"the runs have different protocols, {protocols[0]} and {protocols[1]}: nothing to compare")
    if sorted(first.queries) != sorted(second.queries):
        only = [len({*one.queries} - {*other.queries}) for one, other in ((first, second), (second, first))]
        raise MismatchError(
            f"the runs have different queries: {only[0]:,} are only in {first.folder}, {only[1]:,} only in "
            f"{second.folder}; measure both on the same photos"
        )
    galleries = [run.facts["gallery"] for run in (first, second)]
    if galleries[0] != galleries[1]:
        raise MismatchError(
            f"the runs have galleries of {galleries[0]:,} and {galleries[1]:,} photos; the smaller one is the easier"
        )
    names = [name for name in first.values if name in second.values]
    if not names:
        raise MismatchError("the runs have no metric in common")
    places = {query: place for place, query in enumerate(second.queries)}
    order = [places[query] for query in first.queries]
    both = [np.stack([_scaled(run, name) for name in names], axis=1) for run in (first, second)]
    one, other = both[0], both[1][order]
    intervals = bootstrap_intervals(other - one, seed=seed).tolist()
    p_values = paired_significance(one, other, seed=seed).tolist()
    means = one.mean(axis=0).tolist(), other.mean(axis=0).tolist()
    return {
        "protocol": protocols[0],
        "a": str(first.folder),
        "b": str(second.folder),
        "queries": len(first.queries),
        "metrics": {
            name: {"a": a, "b": b, "difference": b - a, "interval": interval, "p_value": p_value}
            for name, a, b, interval, p_value in zip(names, *means, intervals, p_values, strict=True)
        },
    }


def _scaled(run: Run, name: str) -> Float64:
    """Values of which the plain mean over queries is the figure, also where they count differently."""
    counts = run.counts.get(name)
    if counts is None or not counts.any():
        return run.values[name]
    scaled: Float64 = run.values[name] * counts / counts.mean()
    return scaled
