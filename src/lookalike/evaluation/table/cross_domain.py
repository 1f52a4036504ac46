"""Several models over several data sets: what each was trained on, and how far that carries to the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike.errors import MismatchError, UsageError
from lookalike.evaluation.comparison import ReportedEvaluation, check_comparable
from lookalike.evaluation.table import cross_domain_formats as formats
from lookalike.evaluation.table.content import Row
from lookalike.evaluation.table.cross_domain_content import CrossDomainContent, DataSet, DomainRow
from lookalike.evaluation.table.table import Reports, chosen_metrics, common_metrics, read_reports, resample_of, row_of

USUAL = "hit_rate@1"
"""Metric of the columns, where all reports have it."""


@dataclass(frozen=True, slots=True)
class CrossDomainTable(CrossDomainContent):
    """Several models over several data sets; `to_markdown`, `to_latex` and `to_csv` write it."""

    def to_markdown(self) -> str:
        """Return the table in Markdown, in percent."""
        return formats.markdown(self)

    def to_latex(self) -> str:
        """Return the table for LaTeX with booktabs, in percent."""
        return formats.latex(self)

    def to_csv(self) -> str:
        """Return the table as CSV, in fractions, a row for each method and data set."""
        return formats.comma_separated(self)


def tabulate_cross_domain(reports: Reports, *, figures: Sequence[str] = ()) -> CrossDomainTable:
    """Make a table of models over data sets.

    Args:
        reports: Report folders of `evaluate(report=...)` by the name of the method: of each data set one, or one for
            each seed. A data set that a method lacks stays empty.
        figures: Metrics of each data set; empty takes `hit_rate@1`, or else the first that all reports have.

    Raises:
        UsageError: A folder is no report, two of a method on one data set are of one model, or nothing is in common.
        UnknownNameError: A report lacks a metric.
        MismatchError: Reports of one data set differ in queries or gallery, or a method has other models on another
            data set, or models of different training data.
    """
    read = read_reports(reports)
    everything = [one for several in read.values() for one in several]
    common = common_metrics(everything)
    if not common:
        raise UsageError("the reports have no metric in common; a table over data sets needs one")
    metrics = chosen_metrics(figures, common) if figures else [USUAL if USUAL in common else common[0]]
    sets: dict[tuple[str, str], ReportedEvaluation] = {}
    for report in everything:
        first = sets.setdefault(_key(report), report)
        check_comparable(first, report)
    names = [name for name, _ in sets]
    labels = {key: key[0] if names.count(key[0]) == 1 else f"{key[0]}, {key[1]}" for key in sets}
    data = [
        DataSet(labels[key], *key, queries=one.summary["queries"], gallery=one.summary["gallery"])
        for key, one in sets.items()
    ]
    rows = [_row(method, several, metrics, labels) for method, several in read.items()]
    seeds = Counter((method, _key(one)) for method, several in read.items() for one in several)
    alone = (one for method, several in read.items() for one in several if seeds[method, _key(one)] == 1)
    return CrossDomainTable(data=data, metrics=metrics, rows=rows, resample=resample_of(alone))


def _key(report: ReportedEvaluation) -> tuple[str, str]:
    """Name of the data set of a report, and protocol.

    Raises:
        UsageError: The report was made before it told its data set.
    """
    summary = report.summary
    if not isinstance(summary.get("data"), str) or "trained_on" not in summary:
        raise UsageError(f"{report.folder}: the report does not tell its data set and training data; evaluate again")
    return summary["data"], summary["protocol"]


def _row(
    method: str,
    reports: Sequence[ReportedEvaluation],
    metrics: Sequence[str],
    labels: Mapping[tuple[str, str], str],
) -> DomainRow:
    """Figures of a method on each data set.

    Raises:
        MismatchError: Its models or their training data differ, or how they were measured on a data set.
        UsageError: Two reports of a data set are of one model.
    """
    by_set: dict[str, list[ReportedEvaluation]] = {}
    for report in reports:
        by_set.setdefault(labels[_key(report)], []).append(report)
    found: dict[str, Row] = {label: row_of(method, several, metrics) for label, several in by_set.items()}
    first, models = next((label, sorted(row.models)) for label, row in found.items())
    for label, row in found.items():
        if sorted(row.models) != models:
            raise MismatchError(
                f"{method}: its models on {label} are {', '.join(sorted(row.models))}, and on {first} "
                f"{', '.join(models)}; measure the same seeds on each data set, or give them other names"
            )
    known = {None if one.summary["trained_on"] is None else tuple(one.summary["trained_on"]) for one in reports}
    if len(known) > 1:
        told = " and ".join(sorted("unknown data" if one is None else ", ".join(one) for one in known))
        raise MismatchError(f"{method}: its models were trained on {told}; give them other names")
    (trained_on,) = known
    return DomainRow(method, found[first].models, trained_on, {label: row.cells for label, row in found.items()})
