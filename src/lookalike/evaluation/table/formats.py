"""A table of evaluations as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from typing import Final

from lookalike.evaluation.table.content import Cell, TableContent, heading
from lookalike.evaluation.table.published import PublishedResult

LATEX: Final = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
"""Characters with a meaning in LaTeX, and what prints them."""


def intervals_note(resample: str) -> str:
    """Words on the intervals of a table.

    Args:
        resample: What those of single reports are over: `query` or `product`.
    """
    over = "products" if resample == "product" else "queries"
    return (
        f"Figures in %. 95 % intervals: over {over} (bootstrap) for one report; over seeds (Student's t) for several, "
        "whose standard deviation follows the mean."
    )


def markdown(table: TableContent) -> str:
    """Return the table in Markdown."""
    heads = [heading(name, protocol=table.protocol) for name in table.metrics]
    note = intervals_note(table.resample)
    lines = [
        f"`{table.protocol}`: {table.queries:,} queries, gallery of {table.gallery:,}. {note}",
        "",
        f"| method | seeds | {' | '.join(heads)} |",
        "|---|---:|" + "---|" * len(heads),
    ]
    for row in table.rows:
        cells = [cell_text(row.cells[name], plus_minus=" ± ") for name in table.metrics]
        lines.append(f"| {in_markdown(row.method)} | {len(row.models)} | {' | '.join(cells)} |")
    for number, one in enumerate(table.published, start=1):
        cells = [_percent_of(one, name) for name in table.metrics]
        lines.append(f"| {in_markdown(one.method)} [{number}] | | {' | '.join(cells)} |")
    if table.published:
        lines += ["", f"Published figures{table.published_queries}:", ""]
        lines += [f"{number}. {in_markdown(_source(one))}" for number, one in enumerate(table.published, start=1)]
    return "\n".join(lines) + "\n"


def latex(table: TableContent) -> str:
    """Return the table in LaTeX, for the package booktabs."""
    heads = [heading(name, protocol=table.protocol) for name in table.metrics]
    lines = [
        f"% {table.protocol}: {table.queries:,} queries, gallery of {table.gallery:,}.",
        f"% {intervals_note(table.resample)}",
        rf"\begin{{tabular}}{{lr{'l' * len(heads)}}}",
        r"\toprule",
        rf"method & seeds & {' & '.join(map(in_latex, heads))} \\",
        r"\midrule",
    ]
    for row in table.rows:
        cells = [cell_text(row.cells[name], plus_minus=r" $\pm$ ") for name in table.metrics]
        lines.append(rf"{in_latex(row.method)} & {len(row.models)} & {' & '.join(cells)} \\")
    if table.published:
        lines.append(r"\midrule")
        for one in table.published:
            cells = [_percent_of(one, name).replace("-", "--") for name in table.metrics]
            lines.append(rf"{in_latex(one.method)} & & {' & '.join(cells)} \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    if table.published:
        lines.append(f"% Published figures{table.published_queries}:")
    lines += [f"% {one.method}: {_source(one)}" for one in table.published]
    return "\n".join(lines) + "\n"


def comma_separated(table: TableContent) -> str:
    """Return the table as CSV, in fractions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    parts = ("", " deviation", " low", " high")
    columns = [f"{name}{part}" for name in table.metrics for part in parts]
    writer.writerow(["method", "seeds", *columns, "paper", "year", "source", "url", "note"])
    for row in table.rows:
        cells: list[object] = []
        for name in table.metrics:
            cell = row.cells[name]
            cells += [cell.mean, "" if cell.deviation is None else cell.deviation, *cell.interval]
        writer.writerow([row.method, len(row.models), *cells, "", "", "", "", ""])
    for one in table.published:
        cells = []
        for name in table.metrics:
            # Divided by 100 in decimals, so that 91.9 is 0.919
            cells += [round(one.figures[name] / 100, 6) if name in one.figures else "", "", "", ""]
        note = "; ".join(part for part in (one.note, table.published_queries.removeprefix(", ")) if part)
        writer.writerow([one.method, "", *cells, one.paper, one.year, one.source, one.url, note])
    return text.getvalue()


def in_latex(text: str) -> str:
    """Return a text as LaTeX prints it."""
    return "".join(LATEX.get(letter, letter) for letter in text)


def in_markdown(text: str) -> str:
    """Return a text as Markdown prints it."""
    return re.sub(r"([\\`*_|<>\[\]])", r"\\\1", text)


def cell_text(cell: Cell, *, plus_minus: str) -> str:
    """Return a figure in percent, with deviation and interval.

    Args:
        cell: The figure.
        plus_minus: Sign between mean and deviation.
    """
    low, high = (f"{100 * bound:.1f}" for bound in cell.interval)
    spread = "" if cell.deviation is None else f"{plus_minus}{100 * cell.deviation:.1f}"
    return f"{100 * cell.mean:.1f}{spread} ({low} to {high})"


def _percent_of(one: PublishedResult, name: str) -> str:
    if name not in one.figures:
        return "-"
    value = one.figures[name]
    return f"{value:.1f}" if value == round(value, 1) else f"{value:g}"


def _source(one: PublishedResult) -> str:
    parts: Sequence[str] = (f"{one.paper} ({one.year})", one.source, one.url, one.note)
    return "; ".join(part for part in parts if part)
