"""A report as data: figures for programs, a page for people, and one row for each query."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lookalike.evaluation.measured import Measured
from lookalike.evaluation.ranking import Outcome

FIGURES_FILE: Final = "report.json"
PAGE_FILE: Final = "report.md"
QUERIES_FILE: Final = "queries.csv"
COUNT_PREFIX: Final = "count of "
CATEGORIES_SHOWN: Final = 30
METRICS_OF_CATEGORIES: Final = 6


def queries_csv(measured: Measured, outcome: Outcome | None = None) -> str:
    """One row for each query: its category, the value of every metric, and what was answered.

    Args:
        measured: The values.
        outcome: The answers, where a gallery was asked.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counted = [] if measured.counts is None else [COUNT_PREFIX + name for name in measured.metrics]
    answered = [] if outcome is None else ["rank of first right", "first right", "answers"]
    writer.writerow(["query", "category", *measured.metrics, *counted, *answered])
    for at, query in enumerate(measured.queries):
        row: list[object] = [query, measured.categories[at], *(repr(value) for value in measured.values[at].tolist())]
        if measured.counts is not None:
            row += [f"{count:g}" for count in measured.counts[at].tolist()]
        if outcome is not None:
            items = outcome.task.items
            rank, right = int(outcome.first_rank[at]), int(outcome.first_right[at])
            answers = " ".join(items[place].id for place in outcome.answers[at].tolist() if place >= 0)
            row += [rank or "", items[right].id if rank else "", answers]
        writer.writerow(row)
    return text.getvalue()


def page(facts: Mapping[str, Any], *, title: str, made: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    """A report in Markdown.

    Args:
        facts: What `lookalike evaluate --json` shows.
        title: Of the page.
        made: How the figures were made, by name: source, date, version.
        pictures: Captions by file name.
    """
    lines = [f"# {title}", ""]
    weights = ", ".join(f"{name} {weight:g}" for name, weight in facts["weights"].items() if weight)
    about = {
        "Protocol": f"`{facts['protocol']}`",
        "Model": facts["model"],
        "Weights": weights,
        "Queries": f"{facts['queries']:,}",
        "Gallery": f"{facts['gallery']:,} photos" if facts["gallery"] else "",
        **made,
    }
    lines += [f"- {name}: {value}" for name, value in about.items() if value]
    lines += [f"- {note[0].upper()}{note[1:]}" for note in facts["notes"]]
    lines += ["", "| metric | value | 95 % interval |", "|---|---:|---|"]
    for name, figure in facts["metrics"].items():
        low, high = figure["interval"]
        lines.append(f"| {name} | {figure['value']:.4f} | {low:.4f} to {high:.4f} |")
    lines += ["", "Intervals: percentile bootstrap over the queries.", ""]
    for file, caption in pictures.items():
        lines += [f"![{caption}]({file})", ""]
    if facts["per_category"]:
        lines += [f"## By {facts['by']}", "", *_category_table(facts["per_category"], list(facts["metrics"]))]
    return "\n".join(lines).rstrip() + "\n"


def _category_table(rows: Mapping[str, Mapping[str, float]], metrics: Sequence[str]) -> list[str]:
    """The most frequent categories, and the most telling metrics."""
    shown = list(metrics)[:METRICS_OF_CATEGORIES]
    lines = ["| | queries | " + " | ".join(shown) + " |", "|---|" + "---:|" * (1 + len(shown))]
    for name, row in list(rows.items())[:CATEGORIES_SHOWN]:
        figures = " | ".join(f"{row[metric]:.3f}" for metric in shown)
        lines.append(f"| {name.replace('|', '/')} | {row['queries']:,.0f} | {figures} |")
    if len(rows) > CATEGORIES_SHOWN:
        lines += ["", f"and {len(rows) - CATEGORIES_SHOWN} more, in `{FIGURES_FILE}`"]
    return lines
