"""Several evaluations by one protocol as a table: means, standard deviations and intervals over seeds."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from lookalike.errors import MismatchError, UnknownNameError, UsageError
from lookalike.evaluation.comparison import ReportedEvaluation, check_comparable, read_report
from lookalike.evaluation.intervals import CONFIDENCE
from lookalike.evaluation.metric_values import said
from lookalike.evaluation.table import formats
from lookalike.evaluation.table.content import Cell, Row, TableContent
from lookalike.evaluation.table.published import read_published

COLUMNS: Final[Mapping[str, Sequence[str]]] = {
    "inshop": ("hit_rate@1", "hit_rate@10", "hit_rate@20", "hit_rate@30", "map", "map@r"),
    "consumer2shop": ("hit_rate@1", "hit_rate@10", "hit_rate@20", "hit_rate@50", "map"),
    "sop": ("hit_rate@1", "hit_rate@10", "hit_rate@100", "hit_rate@1000", "map@r"),
    "cub": ("hit_rate@1", "hit_rate@2", "hit_rate@4", "hit_rate@8", "map@r"),
    "product": ("hit_rate@1", "hit_rate@10", "map", "map@r"),
}
"""Columns by protocol, as papers print them, and mean average precision."""

MOST_COLUMNS: Final = 6
"""Columns of other protocols: the first metrics of the reports."""

MOST_REPORTS: Final = 1000

MEASURED_WITH: Final = ("search", "weights", "boxes", "finder", "photos")
"""What the seeds of a method have in common, by the names in `report.json`."""


@dataclass(frozen=True, slots=True)
class EvaluationTable(TableContent):
    """Evaluations of the same queries by one protocol; `to_markdown`, `to_latex` and `to_csv` write it."""

    def to_markdown(self) -> str:
        """Return the table in Markdown, in percent, with the sources of published figures."""
        return formats.markdown(self)

    def to_latex(self) -> str:
        """Return the table for LaTeX with booktabs, in percent, with the sources as comments."""
        return formats.latex(self)

    def to_csv(self) -> str:
        """Return the table as CSV, in fractions, a row for each method and published result."""
        return formats.comma_separated(self)


Reports: TypeAlias = Mapping[str, str | os.PathLike[str] | Sequence[str | os.PathLike[str]]]
"""Report folders by the name of the method: one, or several."""


def tabulate_evaluations(
    reports: Reports,
    *,
    figures: Sequence[str] = (),
    published: str | os.PathLike[str] | None = None,
) -> EvaluationTable:
    """Make a table of several evaluations.

    Args:
        reports: Report folders of `evaluate(report=...)` by the name of the method: one, or one for each seed.
        figures: Metrics of the columns; empty takes those that papers print for the protocol.
        published: File of published results to show beside; `default` is that of the package, None shows none.

    Raises:
        UsageError: A folder is no report, two of a method are of one model, or no report is given.
        UnknownNameError: A report lacks a metric.
        MismatchError: The evaluations differ in protocol, queries or gallery size, or the seeds of a method in how they
            were measured.
        ConfigError: The file of published results is invalid.
    """
    read = read_reports(reports)
    everything = [one for several in read.values() for one in several]
    for other in everything[1:]:
        check_comparable(everything[0], other)
    summary = everything[0].summary
    metrics = _metrics(everything, figures, summary["protocol"])
    rows = [row_of(method, several, metrics) for method, several in read.items()]
    beside = [] if published is None else read_published(os.fspath(published), protocol=summary["protocol"])
    return EvaluationTable(
        protocol=summary["protocol"],
        queries=summary["queries"],
        gallery=summary["gallery"],
        metrics=metrics,
        rows=rows,
        published=[one for one in beside if any(name in one.figures for name in metrics)],
        whole=all(one.summary.get("whole") is True for one in everything),
        exact=not any(one.summary.get("search") for one in everything),
        usual_boxes=all(one.summary.get("usual_boxes") is True for one in everything),
        resample=resample_of(several[0] for several in read.values() if len(several) == 1),
    )


def read_reports(reports: Reports) -> dict[str, list[ReportedEvaluation]]:
    """Read the reports of a table, by the name of the method.

    Raises:
        UsageError: A folder is no report, or there is none, or too many.
    """
    folders = {
        method: [given] if isinstance(given, str | os.PathLike) else list(given) for method, given in reports.items()
    }
    if not folders or not all(folders.values()) or sum(map(len, folders.values())) > MOST_REPORTS:
        raise UsageError(f"a table is made of 1 to {MOST_REPORTS:,} report folders, and each method has one")
    return {method: [read_report(Path(one)) for one in several] for method, several in folders.items()}


def _metrics(reports: Sequence[ReportedEvaluation], wanted: Sequence[str], protocol: str) -> list[str]:
    common = common_metrics(reports)
    if wanted:
        return chosen_metrics(wanted, common)
    usual = COLUMNS.get(protocol.partition("=")[0])
    chosen = [name for name in usual if name in common] if usual else common[:MOST_COLUMNS]
    if not chosen:
        raise UsageError("the reports have no metric of the usual columns in common; name some with --figures")
    return chosen


def common_metrics(reports: Sequence[ReportedEvaluation]) -> list[str]:
    """Metrics that all reports have, in the order of the first."""
    return [name for name in reports[0].summary["metrics"] if all(name in one.summary["metrics"] for one in reports)]


def chosen_metrics(wanted: Sequence[str], common: Sequence[str]) -> list[str]:
    """Metrics that were asked for, each once.

    Raises:
        UnknownNameError: A report lacks one.
    """
    for name in wanted:
        if name not in common:
            raise UnknownNameError("metric of the reports", name, common)
    return list(dict.fromkeys(wanted))


def resample_of(reports: Iterable[ReportedEvaluation]) -> str:
    """What the intervals of single reports are over: `query` or `product`.

    Raises:
        MismatchError: They differ.
    """
    by_kind = {one.summary.get("resample", "query"): one for one in reports}
    if len(by_kind) > 1:
        one, other = by_kind.values()
        raise MismatchError(
            f"{one.folder} and {other.folder} have intervals of another --resample; measure both with the same"
        )
    return next(iter(by_kind), "query")


def row_of(method: str, reports: Sequence[ReportedEvaluation], metrics: Sequence[str]) -> Row:
    """Figures of a method, over its seeds.

    Raises:
        UsageError: Two reports are of one model.
        MismatchError: They were measured by other searches, weights, boxes or photos.
    """
    models = [str(one.summary["model"]) for one in reports]
    if len({*models}) < len(models):
        twice = next(model for model in models if models.count(model) > 1)
        raise UsageError(f"{method}: two of its reports are of the same model, {twice}, and not of two seeds")
    for one in reports[1:]:
        _check_alike(method, reports[0], one)
    return Row(method, models, {name: _cell([one.summary["metrics"][name] for one in reports]) for name in metrics})


def _cell(figures: Sequence[Mapping[str, object]]) -> Cell:
    values = np.array([float(str(figure["value"])) for figure in figures])
    if len(values) == 1:
        low, high = (float(bound) for bound in figures[0]["interval"])  # type: ignore[attr-defined]  # read from JSON
        return Cell(float(values[0]), None, (low, high))
    from scipy.stats import t

    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * deviation / len(values) ** 0.5
    return Cell(mean, deviation, (max(0.0, mean - half), min(1.0, mean + half)))


def _check_alike(method: str, first: ReportedEvaluation, other: ReportedEvaluation) -> None:
    """Check that two seeds were measured in one way.

    Raises:
        MismatchError: They were not.
    """
    for option in MEASURED_WITH:
        one, two = (report.summary.get(option) for report in (first, other))
        if one != two if option != "weights" else _shares(one) != _shares(two):
            raise MismatchError(
                f"{method}: {first.folder} is measured with {option} {_told(one)}, and {other.folder} with "
                f"{_told(two)}; measure all seeds of a method in one way, or give them other names"
            )


def _shares(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Parts of the score by space, without spaces of no weight."""
    total = sum((weights or {}).values()) or 1.0
    return {name: round(weight / total, 6) for name, weight in (weights or {}).items() if weight}


def _told(value: object) -> str:
    """Return an option of a report in words."""
    if isinstance(value, Mapping):
        return said(value) or "none"
    return "none" if value in (None, "") else str(value)
