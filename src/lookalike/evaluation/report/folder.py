"""The report folder of an evaluation: figures, a page and plots."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lookalike.evaluation.report import curves, gallery_map, worst_queries
from lookalike.evaluation.report.data import FIGURES_FILE, PAGE_FILE, QUERIES_FILE, page, queries_csv
from lookalike.storage.files import not_written, write_whole
from lookalike.types import Float32

if TYPE_CHECKING:
    from lookalike.evaluation.metric_values import MetricValues
    from lookalike.evaluation.ranking import RetrievalResult


def write_report(
    folder: Path,
    summary: Mapping[str, Any],
    metric_values: MetricValues,
    *,
    source: str,
    retrieval: RetrievalResult | None = None,
    rows: Float32 | None = None,
) -> None:
    """Write `report.json`, `report.md`, `queries.csv` and the plots; an existing report is replaced.

    Args:
        folder: Report folder, created if missing.
        summary: JSON of `lookalike evaluate --json`.
        metric_values: Values of the metrics by query.
        source: Labelled catalogue, as given by the user.
        retrieval: Answers of the queries, for curves, worst queries and the map; None for class scores.
        rows: (n, D) float32 unit vectors of the task's items, for the map.

    Raises:
        MissingExtraError: A package that the plots need is not installed.
        UsageError: The folder cannot be written.
        LookalikeError: The disk is full, damaged or read-only.
    """
    made = {
        "Source": f"`{source}`",
        "Made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by lookalike {version('lookalike')}",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = _draw(folder, metric_values, retrieval, rows)
        text = page(summary, title="How good the answers are", made=made, pictures=pictures)
        write_whole(folder / PAGE_FILE, text.encode())
        write_whole(folder / QUERIES_FILE, queries_csv(metric_values, retrieval).encode())
        whole = {**summary, **{name.lower(): value.strip("`") for name, value in made.items()}}
        write_whole(folder / FIGURES_FILE, f"{json.dumps(whole, indent=2, ensure_ascii=False)}\n".encode())
    except OSError as error:
        raise not_written(folder, "the report", error) from None


def _draw(
    folder: Path, metric_values: MetricValues, retrieval: RetrievalResult | None, rows: Float32 | None
) -> dict[str, str]:
    """Draw the plots; return their captions by file name."""
    pictures = {}
    if retrieval is not None:
        curves.draw_curves(folder / "curves.png", retrieval)
        pictures["curves.png"] = "Hit rate over k, and precision over recall"
    categories = metric_values.per_category()
    if len(categories) > 1:
        first = metric_values.metrics[0]
        curves.draw_categories(folder / "categories.png", categories, metric=first, by=metric_values.by)
        pictures["categories.png"] = f"{first} by {metric_values.by}"
    if retrieval is not None:
        worst_queries.draw_worst(folder / "worst.png", retrieval)
        pictures["worst.png"] = "The worst queries: query, first answers, best-ranked right answer"
    if retrieval is not None and rows is not None and len(retrieval.task.gallery) >= gallery_map.FEWEST_POINTS:
        pictures.update(_draw_maps(folder, retrieval, rows))
    return pictures


def _draw_maps(folder: Path, retrieval: RetrievalResult, rows: Float32) -> dict[str, str]:
    """Draw the maps of the gallery, as points and as photos; return their captions by file name."""
    task = retrieval.task
    gallery = task.gallery[np.abs(rows[task.gallery]).sum(axis=1) > 0]
    points = gallery[gallery_map.chosen_points(len(gallery))]
    if len(points) < gallery_map.FEWEST_POINTS:
        return {}
    items = [task.items[place] for place in points.tolist()]
    places = gallery_map.flattened(rows[points])
    labels = [task.category_of(item) for item in items]
    gallery_map.draw_map(folder / "map.png", places, labels=labels, by=task.category)
    shown = gallery_map.draw_photo_map(folder / "map-photos.png", places, items)
    drawn = (
        f"{len(points):,} of {len(gallery):,} photos of the gallery" if len(points) < len(gallery) else "The gallery"
    )
    return {
        "map.png": f"{drawn}, by t-SNE: near neighbours are similar; distances between groups have no meaning",
        "map-photos.png": f"The same with {shown:,} of its photos",
    }
