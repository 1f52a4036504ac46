"""Comparison of two evaluations of the same queries: differences, intervals and p-values."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from lookalike.errors import MismatchError, UsageError, short_reason
from lookalike.evaluation.intervals import bootstrap_intervals, paired_significance
from lookalike.evaluation.metrics import Float64
from lookalike.evaluation.option_checks import check_resample
from lookalike.evaluation.report.data import COUNT_PREFIX, FIGURES_FILE, QUERIES_FILE
from lookalike.storage.files import read_file
from lookalike.storage.toml_file import LONGEST_FILE
from lookalike.types import JSON


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of two evaluations.

    Attributes:
        a: Mean of the first evaluation, in [0, 1].
        b: Mean of the second evaluation, in [0, 1].
        difference: `b` minus `a`, in [-1, 1].
        interval: 95 % bootstrap interval of the difference.
        p_value: Two-sided p-value of a paired randomisation test, in (0, 1].
    """

    a: float
    b: float
    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two evaluations of the same queries, side by side.

    Attributes:
        protocol: Protocol of both.
        a: Report folder of the first evaluation.
        b: Report folder of the second evaluation.
        queries: Number of queries.
        resample: What the intervals resample and the tests exchange: `query` or `product`.
        metrics: Differences by metric, for the metrics that both have.
    """

    protocol: str
    a: str
    b: str
    queries: int
    resample: str
    metrics: Mapping[str, Difference]

    @property
    def caption(self) -> str:
        """What is compared, in a line."""
        products = "; resampled by product" if self.resample == "product" else ""
        return f"{self.protocol}: {self.queries:,} queries; A is {self.a}, B is {self.b}{products}"

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike evaluate --compare --json`."""
        metrics = {name: asdict(one) | {"interval": list(one.interval)} for name, one in self.metrics.items()}
        return {
            "protocol": self.protocol,
            "a": self.a,
            "b": self.b,
            "queries": self.queries,
            "resample": self.resample,
            "metrics": metrics,
        }

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows."""
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{one.a:.4f}</td><td>{one.b:.4f}</td><td>{one.difference:+.4f}</td>"
            f"<td>{one.interval[0]:+.4f} to {one.interval[1]:+.4f}</td><td>{one.p_value:.4f}</td></tr>"
            for name, one in self.metrics.items()
        )
        head = "<tr><th>metric</th><th>A</th><th>B</th><th>B - A</th><th>95 % interval</th><th>p</th></tr>"
        return f"<table><caption>{escape(self.caption)}</caption>{head}{rows}</table>"


@dataclass(frozen=True, slots=True)
class ReportedEvaluation:
    """An evaluation read from its report folder.

    Attributes:
        folder: Report folder.
        summary: JSON of the evaluation, as in `report.json`.
        queries: Ids of the Q queries.
        values: (Q,) float64 values by metric.
        counts: (Q,) float64 weights of the values in the mean, by metric; metrics without them weigh all queries
            equally.
        products: Product of each query, empty where it is unknown; None for queries in words.
    """

    folder: Path
    summary: dict[str, Any]
    queries: tuple[str, ...]
    values: dict[str, Float64]
    counts: dict[str, Float64]
    products: tuple[str, ...] | None = None


def compare_evaluations(
    first: str | os.PathLike[str], second: str | os.PathLike[str], *, resample: str = "query", seed: int = 0
) -> Comparison:
    """Compare two evaluations, query by query.

    Args:
        first: Report folder of one evaluation, from `evaluate(report=...)`.
        second: Report folder of the other; differences are its figures minus those of the first.
        resample: What the bootstrap draws and the randomisation test exchanges: `query`, or `product`, whose queries
            stay together.
        seed: Seed of the bootstrap and the randomisation test.

    Raises:
        UsageError: A folder is not a report, or products are to be resampled and its queries have none.
        UnknownNameError: There is no such `resample`.
        MismatchError: The evaluations differ in protocol, queries or gallery size, or have no metric in common.

    Source: Smucker, Allan, Carterette 2007, A Comparison of Statistical Significance Tests for Information Retrieval
    Evaluation.
    """
    check_resample(resample, in_words=False)
    one, other = read_report(Path(first)), read_report(Path(second))
    check_comparable(one, other)
    names = [name for name in one.values if name in other.values]
    if not names:
        raise MismatchError("the evaluations have no metric in common")
    places = {query: place for place, query in enumerate(other.queries)}
    order = [places[query] for query in one.queries]
    a, b = (np.stack([_weighted(each, name) for name in names], axis=1) for each in (one, other))
    b = b[order]
    groups = _products(one) if resample == "product" else ()
    intervals = bootstrap_intervals(b - a, groups=groups, seed=seed).tolist()
    p_values = paired_significance(a, b, groups=groups, seed=seed).tolist()
    means = zip(names, a.mean(axis=0).tolist(), b.mean(axis=0).tolist(), intervals, p_values, strict=True)
    return Comparison(
        protocol=one.summary["protocol"],
        a=str(one.folder),
        b=str(other.folder),
        queries=len(one.queries),
        resample=resample,
        metrics={name: Difference(x, y, y - x, (low, high), p) for name, x, y, (low, high), p in means},
    )


def read_report(folder: Path) -> ReportedEvaluation:
    """Read a report folder.

    Raises:
        UsageError: The folder is not a report, or the report is damaged.
    """
    try:
        summary = json.loads(read_file(folder / FIGURES_FILE, most=LONGEST_FILE))
        with (folder / QUERIES_FILE).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        metrics = list(summary["metrics"])
        values = {name: np.array([float(row[name]) for row in rows]) for name in metrics}
        counted = [name for name in metrics if rows and COUNT_PREFIX + name in rows[0]]
        counts = {name: np.array([float(row[COUNT_PREFIX + name]) for row in rows]) for name in counted}
        products = tuple(row["product"] for row in rows) if rows and "product" in rows[0] else None
        return ReportedEvaluation(folder, summary, tuple(row["query"] for row in rows), values, counts, products)
    except OSError as error:
        raise UsageError(
            f"{folder}: not a report of `lookalike evaluate --report`: {Path(error.filename).name}: {error.strerror}"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{folder}: the report is damaged: {short_reason(error)}; evaluate again") from None


def check_comparable(first: ReportedEvaluation, second: ReportedEvaluation) -> None:
    """Check that two evaluations have the same protocol, queries and gallery size.

    Raises:
        MismatchError: They differ.
    """
    protocols = [one.summary["protocol"] for one in (first, second)]
    if protocols[0] != protocols[1]:
        raise MismatchError(
            f"the evaluations have different protocols, {protocols[0]} and {protocols[1]}; evaluate both by the same"
        )
    if sorted(first.queries) != sorted(second.queries):
        only = [len({*one.queries} - {*other.queries}) for one, other in ((first, second), (second, first))]
        raise MismatchError(
            f"the evaluations have different queries: {only[0]:,} are only in {first.folder}, {only[1]:,} only in "
            f"{second.folder}; measure both on the same photos"
        )
    galleries = [one.summary["gallery"] for one in (first, second)]
    if galleries[0] != galleries[1]:
        raise MismatchError(
            f"the evaluations have galleries of {galleries[0]:,} and {galleries[1]:,} photos; "
            "evaluate both on the same photos"
        )


def _products(report: ReportedEvaluation) -> list[str]:
    """Return the group of each query: its product, or itself where that is unknown.

    Raises:
        UsageError: The report tells no products.
    """
    if report.products is None:
        raise UsageError(f"{report.folder}: its queries have no products; leave resample out")
    return [
        f"product {product}" if product else f"query {query}"
        for query, product in zip(report.queries, report.products, strict=True)
    ]


def _weighted(report: ReportedEvaluation, name: str) -> Float64:
    """Return values scaled by their weights, so that their plain mean over queries is the figure."""
    counts = report.counts.get(name)
    if counts is None or not counts.any():
        return report.values[name]
    weighted: Float64 = report.values[name] * counts / counts.mean()
    return weighted
