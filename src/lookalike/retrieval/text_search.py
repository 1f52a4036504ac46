"""Search by words: the visual ranking and the full-text ranking of a gallery, fused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.gallery.request import FULL_TEXT
from lookalike.retrieval.fusion import fuse
from lookalike.retrieval.text_query import SPACE, TextQuery
from lookalike.spaces import unit_rows
from lookalike.types import Float32, Int64, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest

DEPTH: Final = 200
"""Least length of the two rankings that are fused: an item far down in one may be the first of the other."""


def search_by_words(gallery: Gallery, query: TextQuery, request: ResolvedRequest) -> Neighbours:
    """Search for one query with words.

    Args:
        gallery: Gallery to search.
        query: Words, and the vectors of the photo and the words.
        request: Resolved request.

    Returns:
        Neighbours in the fused order with `refined`, the values that they are ordered by; their scores are those of the
        query's vectors. Without letters the order is that of the scores, and `refined` is None. By letters alone, the
        scores are those of the full text. `by_space` has also the cosines of the `photo` and the `text` alone, and
        `full_text`, nan where an item has none of the words.
    """
    letters = gallery.full_text(query.letters, k=max(request.k, DEPTH), where=request.where) if query.letters else None
    if not query.vectors:
        assert letters is not None
        rows, scores = letters.rows[np.newaxis, : request.k], letters.scores[np.newaxis, : request.k]
        return Neighbours(rows, scores, {FULL_TEXT: scores}, index=FULL_TEXT, version=letters.version)
    depth = request.k if letters is None else max(request.k, DEPTH)
    visual = gallery.search(query.vectors, replace(request, k=depth))
    rows = visual.rows[0][visual.rows[0] >= 0]
    refined = None
    if letters is not None and len(letters.rows):
        rows, refined = fuse(rows, one_row_an_item(gallery, rows, letters.rows, visual.version))
    rows = rows[: request.k]
    by_space = cosines(gallery, query, rows, visual.version)
    total = sum(weight for name, weight in request.weights.items() if name in query.vectors)
    scores = sum(by_space[name] * np.float32(request.weights[name] / total) for name in query.vectors)
    counted = {name: part for name, part in by_space.items() if request.weights.get(name, 1.0) > 0}
    if letters is not None:
        counted[FULL_TEXT] = found_scores(rows, letters.rows, letters.scores)
    return replace(
        visual,
        rows=rows[np.newaxis],
        scores=np.asarray(scores, dtype=np.float32)[np.newaxis],
        by_space={name: part[np.newaxis] for name, part in counted.items()},
        refined=None if refined is None else refined[np.newaxis, : request.k],
    )


def cosines(gallery: Gallery, query: TextQuery, rows: Int64, version: object) -> dict[str, Float32]:
    """Cosines of rows with the query by space, and with the photo and the text alone: (K,) float32 each."""
    units = gallery.unit_vectors(rows.tolist(), version=version)
    asked = {**{name: (name, row) for name, row in query.vectors.items()}}
    asked |= {name: (SPACE, row) for name, row in query.parts.items()}
    return {
        name: np.vecdot(units[space], unit_rows(np.asarray(row, dtype=np.float32)))
        for name, (space, row) in asked.items()
    }


def one_row_an_item(gallery: Gallery, visual: Int64, found: Int64, version: object) -> Int64:
    """Rows of a full-text ranking, with the row of the visual ranking for each item that is in both.

    An item that is embedded by its garments has a row for each, and the two rankings may have different ones.
    """
    if not gallery.garment_count:
        return found
    items = gallery.items([*visual.tolist(), *found.tolist()], version=version)
    row_of = {items[row].id: row for row in reversed(visual.tolist()) if row in items}
    rows = [row_of.get(items[row].id, row) if row in items else row for row in found.tolist()]
    return np.array(rows, dtype=np.int64)


def found_scores(rows: Int64, found: Int64, scores: Float32) -> Float32:
    """Full-text score of each row, (K,) float32; nan for rows that were not found."""
    score_of = dict(zip(found.tolist(), scores.tolist(), strict=True))
    return np.array([score_of.get(row, np.nan) for row in rows.tolist()], dtype=np.float32)
