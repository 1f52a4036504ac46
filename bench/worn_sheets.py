"""Contact sheets of queries with their boxes and ten answers, for looking at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from lookalike.images import open_image
from lookalike.types import Float32
from worn_data import Shown

OF_SOURCE, ANSWERS, ACROSS = 20, 10, 5
TILE = (150, 200)
CAPTION = 16
RIGHT, WRONG, DRAWN = "#1a7f37", "#cf222e", "#ff2fd0"


def chosen(queries: Sequence[Shown]) -> list[int]:
    """Places of 20 queries of each source, in turn of each of its kinds; the same at each call."""
    places: list[int] = []
    for source in dict.fromkeys(query.source for query in queries):
        by_kind: dict[str, list[int]] = defaultdict(list)
        for place in np.random.default_rng(0).permutation(len(queries)).tolist():
            if queries[place].source == source:
                by_kind[queries[place].kind].append(place)
        most = max(map(len, by_kind.values()))
        turns = [kind[turn] for turn in range(most) for _, kind in sorted(by_kind.items()) if turn < len(kind)]
        places += turns[:OF_SOURCE]
    return places


def write_sheets(folder: Path, queries: Sequence[Shown], items: Sequence[Shown], *, likeness: Float32) -> None:
    """Write a JPEG for each of the chosen queries.

    Args:
        folder: Folder of the pictures; made if it is missing.
        queries: Q garments of street photos.
        items: N catalogue photos.
        likeness: (Q, N) scores.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, place in enumerate(chosen(queries)):
        query, scores = queries[place], likeness[place]
        best = np.argsort(-scores, kind="stable")[:ANSWERS]
        answers = [(items[answer], float(scores[answer])) for answer in best.tolist()]
        sheet(query, answers).save(folder / f"{number:02d}-{query.source}-{query.kind}.jpg", quality=88)


def sheet(query: Shown, answers: Sequence[tuple[Shown, float]]) -> Image.Image:
    """Picture of a query, left, and its answers; those of the right kind are framed in green, others in red."""
    rows = -(-len(answers) // ACROSS)
    tall = TILE[1] + CAPTION
    picture = Image.new("RGB", (2 * TILE[0] + ACROSS * TILE[0], rows * tall), "white")
    draw = ImageDraw.Draw(picture)
    photo = open_image(query.photo)
    if query.box is not None:
        ImageDraw.Draw(photo).rectangle(tuple(query.box.to_list()), outline=DRAWN, width=3)
    shown = ImageOps.contain(photo, (2 * TILE[0] - 8, rows * tall - CAPTION - 4))
    picture.paste(shown, (4, CAPTION))
    draw.text((4, 2), f"{query.source}: {query.kind} {query.type} {query.colour}", "black")
    for number, (item, score) in enumerate(answers):
        left, top = (2 + number % ACROSS) * TILE[0], number // ACROSS * tall
        small = ImageOps.contain(open_image(item.photo), (TILE[0] - 8, TILE[1] - 8))
        picture.paste(small, (left + 4, top + CAPTION + 4))
        frame = RIGHT if item.kind == query.kind else WRONG
        draw.rectangle((left + 1, top + CAPTION + 1, left + TILE[0] - 2, top + tall - 2), outline=frame, width=3)
        draw.text((left + 4, top + 2), f"{item.label} {item.colour} {score:.2f}", "black")
    return picture
