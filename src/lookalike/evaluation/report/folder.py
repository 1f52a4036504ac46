"""A report of an evaluation: a folder with figures, a page and pictures."""

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
    from lookalike.evaluation.measured import Measured
    from lookalike.evaluation.ranking import Outcome


def write_report(
    folder: Path,
    facts: Mapping[str, Any],
    measured: Measured,
    *,
    source: str,
    outcome: Outcome | None = None,
    rows: Float32 | None = None,
) -> None:
    """Write `report.json`, `report.md`, `queries.csv` and the pictures; a report that is there is replaced.

    Args:
        folder: Made if it is not there.
        facts: What `lookalike evaluate --json` shows.
        measured: The value of every metric for every query.
        source: What was measured on, as the user named it.
        outcome: The answers, where a gallery was asked: for curves, worst queries and the map.
        rows: (n, D) float32 unit rows of the outcome's items, by which they were compared, for the map.

    Raises:
        MissingExtraError: What draws the pictures is not installed.
        UsageError: The folder cannot be written.
        LookalikeError: The disk is full, bad or only to be read.
    """
    made = {
        "Source": f"`{source}`",
        "Made": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC by lookalike {version('lookalike')}",
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pictures = _draw(folder, measured, outcome, rows)
        text = page(facts, title="How good the answers are", made=made, pictures=pictures)
        write_whole(folder / PAGE_FILE, text.encode())
        write_whole(folder / QUERIES_FILE, queries_csv(measured, outcome).encode())
        whole = {**facts, **{name.lower(): value.strip("`") for name, value in made.items()}}
        write_whole(folder / FIGURES_FILE, f"{json.dumps(whole, indent=2, ensure_ascii=False)}\n".encode())
    except OSError as error:
        raise not_written(folder, "the report", error) from None


def _draw(folder: Path, measured: Measured, outcome: Outcome | None, rows: Float32 | None) -> dict[str, str]:
    """Draw what there is to draw; says which files, and what they show."""
    pictures = {}
    if outcome is not None:
        curves.draw_curves(folder / "curves.png", outcome)
        pictures["curves.png"] = "Hit rate over k, and precision over recall"
    categories = measured.per_category()
    if len(categories) > 1:
        first = measured.metrics[0]
        curves.draw_categories(folder / "categories.png", categories, metric=first, by=measured.by)
        pictures["categories.png"] = f"{first} by {measured.by}"
    if outcome is not None:
        worst_queries.draw_worst(folder / "worst.png", outcome)
        pictures["worst.png"] = "The worst queries: query, first answers, best-ranked right answer"
    if outcome is not None and rows is not None and len(outcome.task.gallery) >= gallery_map.FEWEST_POINTS:
        pictures.update(_draw_maps(folder, outcome, rows))
    return pictures


def _draw_maps(folder: Path, outcome: Outcome, rows: Float32) -> dict[str, str]:
    """Draw the gallery as points and as photos."""
    task = outcome.task
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
        "map.png": f"{drawn}, by t-SNE: near neighbours look alike, distances between groups mean nothing",
        "map-photos.png": f"The same with {shown:,} of its photos",
    }
