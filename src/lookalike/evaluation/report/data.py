"""The text files of a report: the Markdown page and the table of queries."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any, Final

from lookalike.evaluation.metric_values import OF_PRODUCT, MetricValues, said
from lookalike.evaluation.ranking import RetrievalResult

FIGURES_FILE: Final = "report.json"
PAGE_FILE: Final = "report.md"
QUERIES_FILE: Final = "queries.csv"
COUNT_PREFIX: Final = "count of "
CATEGORIES_SHOWN: Final = 30
METRICS_OF_CATEGORIES: Final = 6


def queries_csv(metric_values: MetricValues, retrieval: RetrievalResult | None = None) -> str:
    """Return a CSV table with a row for each query: category, product, metric values and answers.

    Args:
        metric_values: Values of the metrics.
        retrieval: Answers of the queries; None for class scores.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    counted = [] if metric_values.counts is None else [COUNT_PREFIX + name for name in metric_values.metrics]
    groups = metric_values.products
    products = [group.removeprefix(OF_PRODUCT) if group.startswith(OF_PRODUCT) else "" for group in groups]
    labelled = ["product"] if products else []
    answered = [] if retrieval is None else ["rank of first right", "first right", "answers"]
    writer.writerow(["query", "category", *labelled, *metric_values.metrics, *counted, *answered])
    for at, query in enumerate(metric_values.queries):
        row: list[object] = [
            query,
            metric_values.categories[at],
            *products[at : at + 1],
            *(repr(value) for value in metric_values.values[at].tolist()),
        ]
        if metric_values.counts is not None:
            row += [f"{count:g}" for count in metric_values.counts[at].tolist()]
        if retrieval is not None:
            items = retrieval.task.items
            rank, right = int(retrieval.first_rank[at]), int(retrieval.first_right[at])
            answers = " ".join(items[place].id for place in retrieval.answers[at].tolist() if place >= 0)
            row += [rank or "", items[right].id if rank else "", answers]
        writer.writerow(row)
    return text.getvalue()


def page(summary: Mapping[str, Any], *, title: str, made: Mapping[str, str], pictures: Mapping[str, str]) -> str:
    """Return the page of a report, in Markdown.

    Args:
        summary: JSON of `lookalike evaluate --json`.
        title: Title of the page.
        made: Origin of the figures, by name: source, date, version.
        pictures: Captions by file name.
    """
    lines = [f"# {title}", ""]
    weights = ", ".join(f"{name} {weight:g}" for name, weight in summary["weights"].items() if weight)
    answers = "products" if summary["search"].get("group") else "photos"
    about = {
        "Protocol": f"`{summary['protocol']}`",
        "Model": summary["model"],
        "Weights": weights,
        "Boxes": f"found by {summary['finder']}" if summary.get("finder") else "",
        "Searches": said(summary["search"]),
        "Queries": f"{summary['queries']:,}",
        "Gallery": f"{summary['gallery']:,} {answers}" if summary["gallery"] else "",
        **made,
    }
    lines += [f"- {name}: {value}" for name, value in about.items() if value]
    lines += [f"- {note[0].upper()}{note[1:]}" for note in summary["notes"]]
    lines += ["", "| metric | value | 95 % interval |", "|---|---:|---|"]
    for name, figure in summary["metrics"].items():
        low, high = figure["interval"]
        lines.append(f"| {name} | {figure['value']:.4f} | {low:.4f} to {high:.4f} |")
    lines += [
        "",
        f"Intervals: percentile bootstrap over the {'products' if summary['resample'] == 'product' else 'queries'}.",
        "",
    ]
    for file, caption in pictures.items():
        lines += [f"![{caption}]({file})", ""]
    if summary["per_category"]:
        lines += [f"## By {summary['by']}", "", *_category_table(summary["per_category"], list(summary["metrics"]))]
    return "\n".join(lines).rstrip() + "\n"


def _category_table(rows: Mapping[str, Mapping[str, float]], metrics: Sequence[str]) -> list[str]:
    """Return the table of the most frequent categories and the most important metrics."""
    shown = list(metrics)[:METRICS_OF_CATEGORIES]
    lines = ["| | queries | " + " | ".join(shown) + " |", "|---|" + "---:|" * (1 + len(shown))]
    for name, row in list(rows.items())[:CATEGORIES_SHOWN]:
        figures = " | ".join(f"{row[metric]:.3f}" for metric in shown)
        lines.append(f"| {name.replace('|', '/')} | {row['queries']:,.0f} | {figures} |")
    if len(rows) > CATEGORIES_SHOWN:
        lines += ["", f"and {len(rows) - CATEGORIES_SHOWN} more, in `{FIGURES_FILE}`"]
    return lines
