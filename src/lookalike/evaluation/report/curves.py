"""Plots of an evaluation: hit rate, precision over recall, and figures by category."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lookalike.evaluation.metrics import RECALL_TENTHS
from lookalike.evaluation.ranking import RetrievalResult
from lookalike.render.plots import LINE, QUIET, plot

MOST_ANSWERS = 50
BARS = 25
LONGEST_NAME = 28


def draw_curves(path: Path, retrieval: RetrievalResult) -> None:
    """Draw the hit rate over k, and precision over recall.

    Args:
        path: A .png file.
        retrieval: Answers of the queries.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: The file cannot be written.
    """
    ks = np.arange(1, min(MOST_ANSWERS, len(retrieval.task.gallery)) + 1)
    rates = retrieval.hit_rates(len(ks))
    same = ", ".join(retrieval.task.fields)
    with plot(path, columns=2, size=(9.6, 4.2)) as (hits, precision):
        hits.plot(ks, rates, color=LINE, linewidth=2)
        for k in (1, 5, 10, 20, 50):
            if k <= len(ks):
                hits.plot([k], [rates[k - 1]], "o", color=LINE, markersize=5)
                hits.annotate(
                    f"{rates[k - 1]:.3f}", (k, rates[k - 1]), xytext=(4, -13), textcoords="offset points", fontsize=9
                )
        hits.set(title=f"Hit rate: the same {same}", xlabel="k answers", xlim=(0, len(ks) * 1.13), ylim=(0, 1.02))
        recall = RECALL_TENTHS / 10
        precision.plot(recall, retrieval.recall_precision, color=LINE, linewidth=2, marker="o", markersize=4)
        precision.set(
            title="Precision, interpolated",
            xlabel="recall (fraction of relevant items found)",
            xlim=(-0.02, 1.02),
            ylim=(0, 1.02),
        )


def draw_categories(path: Path, rows: Mapping[str, Mapping[str, float]], *, metric: str, by: str) -> None:
    """Draw a bar for each of the most frequent categories, the highest figure at the top.

    Args:
        path: A .png file.
        rows: Figures by category, the most frequent first.
        metric: Metric to draw.
        by: Attribute of the categories.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UsageError: The file cannot be written.
    """
    chosen = sorted(list(rows.items())[:BARS], key=lambda row: row[1][metric])
    values = [row[metric] for _, row in chosen]
    with plot(path, size=(7.6, 1.2 + 0.27 * len(chosen))) as axes:
        axes.barh(range(len(chosen)), values, color=LINE, height=0.72)
        axes.set_yticks(range(len(chosen)), [_short(name) for name, _ in chosen])
        axes.tick_params(axis="y", length=0, labelcolor="black")
        axes.grid(axis="y", visible=False)
        for place, (_, row) in enumerate(chosen):
            text = f"{row[metric]:.2f}   n = {row['queries']:,.0f}"
            axes.annotate(
                text,
                (row[metric], place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=QUIET,
            )
        more = "" if len(rows) <= BARS else f", the {BARS} most frequent of {len(rows)}"
        axes.set(title=f"{metric} by {by}{more}", xlim=(0, max([*values, 0.01]) * 1.16), ylim=(-0.6, len(chosen) - 0.4))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"
