"""The hits-and-misses grid for TensorBoard: dev queries with their first answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from lookalike.errors import PhotoError
from lookalike.evaluation.ranking import RetrievalResult
from lookalike.images import open_image
from lookalike.types import Bool, Int64, Item

TILE = (84, 112)
GAP = 8
TEXT = 14
ANSWERS = 5
NDCG = "ndcg@10"
"""Metric that orders the queries; all protocols with photos as queries have it."""
PAPER, INK = (246, 246, 243), (28, 30, 34)
RIGHT, WRONG = (34, 110, 190), (214, 96, 30)
"""Blue and orange, safe for most forms of colour blindness."""


def draw_hits_and_misses_grid(searched: RetrievalResult, *, each: int = 4, label: str) -> Image.Image:
    """Draw queries whose first answer is right, then the worst queries whose first answer is wrong.

    Args:
        searched: Queries and answers of a dev split; an answer is right if it agrees in the leading grade.
        each: Largest number of hits, and of misses.
        label: Attribute in the caption of each photo.

    Returns:
        RGB image; right answers have a blue frame, wrong ones an orange one.
    """
    items, queries, answers = searched.task.items, searched.task.queries, searched.answers[:, :ANSWERS]
    leading = searched.task.labels[0]
    right: Bool = (answers >= 0) & (leading[answers] == leading[queries][:, None])
    measured = searched.metric_values
    by_ndcg = np.argsort(measured.values[:, measured.metrics.index(NDCG)], kind="stable")
    hit = right[by_ndcg, 0]
    hits, misses = by_ndcg[hit][::-1], by_ndcg[~hit]
    # The best hits look the same; an even spread shows more.
    chosen = np.concatenate([_spread(hits, each), misses[:each]])
    step = (TILE[0] + GAP, TILE[1] + TEXT + GAP)
    columns = min(ANSWERS, len(searched.task.gallery))
    size = (GAP * 3 + step[0] * (1 + columns), GAP + step[1] * max(1, len(chosen)))
    picture = Image.new("RGB", size, PAPER)
    for row, query in enumerate(chosen):
        top = GAP + row * step[1]
        _draw(picture, (GAP, top), items[queries[query]], label=label, frame=INK)
        for column in np.flatnonzero(answers[query] >= 0):
            corner = (GAP * 3 + step[0] * (1 + int(column)), top)
            item = items[answers[query, column]]
            _draw(picture, corner, item, label=label, frame=RIGHT if right[query, column] else WRONG)
    return picture


def _spread(places: Int64, count: int) -> Int64:
    if len(places) <= count:
        return places
    chosen: Int64 = places[np.linspace(0, len(places) - 1, count).astype(int)]
    return chosen


def _draw(picture: Image.Image, corner: tuple[int, int], item: Item, *, label: str, frame: Sequence[int]) -> None:
    try:
        photo = open_image(item, at_least=max(TILE), box=item.box)
        picture.paste(ImageOps.pad(photo, TILE, color=(255, 255, 255)), corner)
    except PhotoError:  # removed since the measure; the caption remains
        pass
    draw = ImageDraw.Draw(picture)
    x, y = corner
    draw.rectangle([x - 2, y - 2, x + TILE[0] + 1, y + TILE[1] + 1], outline=tuple(frame), width=2)
    value = item.product if label == "product" else item.id if label == "id" else item.attributes.get(label)
    text, font = str(value), ImageFont.load_default(11)
    while font.getlength(text) > TILE[0] and len(text) > 1:
        text = text[:-1]
    draw.text((x, y + TILE[1] + 3), text, fill=INK, font=font)
