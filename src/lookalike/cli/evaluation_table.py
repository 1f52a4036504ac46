"""`lookalike evaluate --table`: several reports as a table."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from lookalike.cli.console import write_json
from lookalike.errors import UnknownNameError, UsageError

FORMATS: Final[Mapping[str, str]] = {"markdown": "to_markdown", "latex": "to_latex", "csv": "to_csv"}


def show_table(
    given: Sequence[str],
    *,
    format: str | None,
    figures: str | None,
    published: str | None,
    cross_domain: bool,
    json: bool,
) -> int:
    """Print a table of reports.

    Args:
        given: Folders, each with the name of its method before an equals sign or without.
        format: One of `FORMATS`; None is Markdown.
        figures: Metrics of the columns, separated by commas.
        published: File of published results, or `default`.
        cross_domain: Whether the columns are data sets.
        json: Whether to print JSON.

    Raises:
        UnknownNameError: There is no such format.
        UsageError: A report has no name, or two options exclude each other.
    """
    if format is not None and format not in FORMATS:
        raise UnknownNameError("format of a table", format, FORMATS)
    if format is not None and json:
        raise UsageError("--json is a format of its own; leave --format out")
    if cross_domain and published is not None:
        raise UsageError("published figures are of one data set; leave --published or --cross-domain out")
    from lookalike.evaluation.comparison import read_report
    from lookalike.evaluation.table.cross_domain import CrossDomainTable, tabulate_cross_domain
    from lookalike.evaluation.table.table import EvaluationTable, tabulate_evaluations

    reports: dict[str, list[str]] = {}
    for text in given:
        method, equals, folder = text.partition("=")
        if not equals or Path(text).is_dir():
            method, folder = str(read_report(Path(text)).summary["model"]).rpartition("@")[0], text
        if not method or not folder:
            raise UsageError(f"--table expects a report folder, or NAME=FOLDER, got {text!r}")
        reports.setdefault(method, []).append(folder)
    names = [name.strip() for name in (figures or "").split(",") if name.strip()]
    table: EvaluationTable | CrossDomainTable
    if cross_domain:
        table = tabulate_cross_domain(reports, figures=names)
    else:
        table = tabulate_evaluations(reports, figures=names, published=published)
    if json:
        write_json(table.to_json())
    else:
        sys.stdout.write(getattr(table, FORMATS[format or "markdown"])())
    return 0
