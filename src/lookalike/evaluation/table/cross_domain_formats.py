"""A table of several models over several data sets as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from typing import Final

from lookalike.evaluation.table.content import heading
from lookalike.evaluation.table.cross_domain_content import CrossDomainContent, DataSet, DomainRow
from lookalike.evaluation.table.formats import cell_text, in_latex, in_markdown, intervals_note

MARK: Final = "\N{DAGGER}"
"""Mark of a figure on data of which the model has seen the training split."""

IN_LATEX: Final = r"$^\dagger$"

UNKNOWN: Final = "unknown"


def markdown(table: CrossDomainContent) -> str:
    """Return the table in Markdown."""
    heads = [in_markdown(head) for head in headings(table)]
    note = intervals_note(table.resample)
    lines = [
        f"{in_markdown(summary(table))} {MARK} in-domain: trained on data of this name. {note}",
        "",
        f"| method | trained on | seeds | {' | '.join(heads)} |",
        "|---|---|---:|" + "---|" * len(heads),
    ]
    for row in table.rows:
        cells = cells_of(row, table, plus_minus=" ± ", mark=f" {MARK}", absent="-")
        lines.append(
            f"| {in_markdown(row.method)} | {in_markdown(training_of(row))} | {len(row.models)} | {' | '.join(cells)} |"
        )
    return "\n".join(lines) + "\n"


def latex(table: CrossDomainContent) -> str:
    """Return the table in LaTeX, for the package booktabs."""
    heads = [in_latex(head) for head in headings(table)]
    lines = [
        f"% {summary(table)}",
        f"% A dagger is in-domain: trained on data of this name. {intervals_note(table.resample)}",
        rf"\begin{{tabular}}{{llr{'l' * len(heads)}}}",
        r"\toprule",
        rf"method & trained on & seeds & {' & '.join(heads)} \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = cells_of(row, table, plus_minus=r" $\pm$ ", mark=IN_LATEX, absent="--")
        about = f"{in_latex(row.method)} & {in_latex(training_of(row))} & {len(row.models)}"
        lines.append(rf"{about} & {' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def comma_separated(table: CrossDomainContent) -> str:
    """Return the table as CSV, in fractions: a row for each method and data set that it was measured on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"{name}{part}" for name in table.metrics for part in ("", " deviation", " low", " high")]
    writer.writerow(["method", "trained on", "seeds", "data", "protocol", "queries", "gallery", "in-domain", *columns])
    for row in table.rows:
        for data in table.data:
            if data.label not in row.cells:
                continue
            cells: list[object] = []
            for name in table.metrics:
                cell = row.cells[data.label][name]
                cells += [cell.mean, "" if cell.deviation is None else cell.deviation, *cell.interval]
            known = {True: "true", False: "false", None: ""}[row.is_in_domain(data)]
            trained_on = "" if row.trained_on is None else " ".join(row.trained_on)
            about = [data.name, data.protocol, data.queries, data.gallery, known]
            writer.writerow([row.method, trained_on, len(row.models), *about, *cells])
    return text.getvalue()


def summary(table: CrossDomainContent) -> str:
    """Words on the data sets of a table, and its metric if there is one alone."""
    sizes = [
        f"{one.label} ({'' if one.label == one.protocol else f'{one.protocol}, '}{one.queries:,} queries, gallery of "
        f"{one.gallery:,})"
        for one in table.data
    ]
    metric = f"{heading(table.metrics[0], protocol='')} on " if len(table.metrics) == 1 else ""
    return f"{metric}{', '.join(sizes)}."


def headings(table: CrossDomainContent) -> list[str]:
    """Heads of the columns: data sets, with the metric where there are several."""
    if len(table.metrics) == 1:
        return [one.label for one in table.data]
    return [f"{one.label} {heading(name, protocol='')}" for one in table.data for name in table.metrics]


def cells_of(row: DomainRow, table: CrossDomainContent, *, plus_minus: str, mark: str, absent: str) -> list[str]:
    """Texts of the cells of a row.

    Args:
        row: The row.
        table: The table.
        plus_minus: Sign between mean and deviation.
        mark: Mark of figures that are in-domain.
        absent: Text where there is no figure.
    """

    def text(data: DataSet, name: str) -> str:
        if data.label not in row.cells:
            return absent
        marked = mark if row.is_in_domain(data) else ""
        return cell_text(row.cells[data.label][name], plus_minus=plus_minus) + marked

    return [text(data, name) for data in table.data for name in table.metrics]


def training_of(row: DomainRow) -> str:
    """Words on what a method was trained on."""
    return UNKNOWN if row.trained_on is None else ", ".join(row.trained_on)
