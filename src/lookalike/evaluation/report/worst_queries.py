"""The worst queries: each with its first answers and its best-ranked right answer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from lookalike.evaluation.ranking import RetrievalResult
from lookalike.evaluation.task import value_of
from lookalike.render import lettering
from lookalike.render.montage import ACCENT, CARD, HAIRLINE, INK, PAPER, QUIET
from lookalike.render.saving import save_image
from lookalike.render.thumbnails import item_thumbnail
from lookalike.types import Int64, Item

QUERIES: Final = 12
ANSWERS: Final = 6
TILE: Final = (132, 168)
TEXT_HEIGHT: Final = 44
GAP: Final = 12
MARGIN: Final = 24
BREAK: Final = 30
"""Gap between the query, its answers and the right answer, in pixels."""

HEAD: Final = 40
RIGHT: Final = (63, 143, 95)


def worst_queries(retrieval: RetrievalResult, count: int) -> Int64:
    """Return the places of the queries with the lowest first metric, worst first; ties by the rank of the right answer.

    Queries without a right answer in the gallery come last.
    """
    values = retrieval.metric_values.values[:, 0]
    never = retrieval.first_rank == 0
    order: Int64 = np.lexsort((-retrieval.first_rank, values, never))[:count]
    return order


def draw_worst(path: Path, retrieval: RetrievalResult) -> None:
    """Draw the worst queries, a row each: the query, its first answers, the best-ranked right answer.

    Args:
        path: A .png file.
        retrieval: Answers of the queries.

    Raises:
        UsageError: The file cannot be written.
    """
    chosen = worst_queries(retrieval, QUERIES).tolist()
    step = TILE[0] + GAP
    first = MARGIN + TILE[0] + BREAK
    last = first + ANSWERS * step - GAP + BREAK
    tall = TILE[1] + TEXT_HEIGHT + GAP
    picture = Image.new("RGB", (last + TILE[0] + MARGIN, HEAD + len(chosen) * tall + MARGIN), PAPER)
    for x, words in ((MARGIN, "Query"), (first, "First answers"), (last, "Right answer")):
        _write(picture, (x, MARGIN // 2), words, size=15, color=INK)
    items = retrieval.task.items
    for row, query in enumerate(chosen):
        y = HEAD + row * tall
        asking = items[int(retrieval.task.queries[query])]
        value = retrieval.metric_values.values[query, 0]
        note = f"{retrieval.metric_values.metrics[0]} {value:.2f}"
        _draw(picture, (MARGIN, y), asking, lines=(_known(asking, retrieval), note), color=ACCENT)
        for column, place in enumerate(retrieval.answers[query, :ANSWERS].tolist()):
            if place >= 0:
                lines = (_known(items[place], retrieval), f"{retrieval.scores[query, column]:.3f}")
                color = RIGHT if _is_right(retrieval, query, place) else HAIRLINE
                _draw(picture, (first + column * step, y), items[place], lines=lines, color=color)
        right = int(retrieval.first_right[query])
        if right >= 0:
            lines = (_known(items[right], retrieval), f"rank {retrieval.first_rank[query]:,}")
            _draw(picture, (last, y), items[right], lines=lines, color=RIGHT)
        else:
            _write(picture, (last, y + TILE[1] // 2), "none in the gallery", size=12, color=QUIET)
    save_image(picture, path)


def _is_right(retrieval: RetrievalResult, query: int, place: int) -> bool:
    """Return whether an answer agrees with the query in every field."""
    asking = int(retrieval.task.queries[query])
    return all(labels[asking] >= 0 and labels[asking] == labels[place] for labels in retrieval.task.labels)


def _known(item: Item, retrieval: RetrievalResult) -> str:
    """Return the known fields of an item as a caption."""
    unknown = retrieval.task.unknown
    return ", ".join(value_of(item, name, unknown=unknown) or "?" for name in retrieval.task.fields)


def _draw(
    picture: Image.Image, corner: tuple[int, int], item: Item, *, lines: tuple[str, str], color: tuple[int, int, int]
) -> None:
    x, y = corner
    draw = ImageDraw.Draw(picture)
    width = 1 if color == HAIRLINE else 3
    draw.rectangle([x - width, y - width, x + TILE[0] + width - 1, y + TILE[1] + width - 1], fill=color)
    draw.rectangle([x, y, x + TILE[0] - 1, y + TILE[1] - 1], fill=CARD)
    shown = item_thumbnail(item, item.box, size=TILE)
    if shown.image is None:
        _write(picture, (x + 6, y + TILE[1] // 2), "no photo", size=12, color=QUIET)
    else:
        photo = shown.image
        picture.paste(photo, (x + (TILE[0] - photo.width) // 2, y + (TILE[1] - photo.height) // 2))
    for line, text in enumerate(lines):
        _write(picture, (x, y + TILE[1] + 6 + 16 * line), text, size=12, color=INK if line == 0 else QUIET)


def _write(picture: Image.Image, place: tuple[int, int], text: str, *, size: int, color: tuple[int, int, int]) -> None:
    line = lettering.fitted(text, width=TILE[0], size=size)
    lettering.write(ImageDraw.Draw(picture), place, line, size=size, color=color)
