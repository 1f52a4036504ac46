"""Search by words: the visual ranking and the full-text ranking of a gallery, fused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.request import FULL_TEXT
from lookalike.retrieval.fusion import fused
from lookalike.retrieval.text_query import SPACE, TextQuery
from lookalike.spaces import unit_rows
from lookalike.types import Float32, FullText, Int64, Neighbours

if TYPE_CHECKING:
    from lookalike.gallery.protocol import Gallery
    from lookalike.gallery.request import ResolvedRequest

DEPTH: Final = 200
"""Least length of the two rankings that are fused: an item far down in one may be the first of the other."""


def search_by_words(gallery: Gallery, query: TextQuery, request: ResolvedRequest) -> tuple[Neighbours, FullText | None]:
    """Search for one query with words.

    Args:
        gallery: Gallery to search.
        query: Words, and the vectors of the photo and the words.
        request: Resolved request.

    Returns:
        Neighbours in the fused order with `refined`, the values that they are ordered by, and the result of the full
        text, if it was searched. The scores are those of the query's vectors. Without full text the order is that of
        the scores, and `refined` is None. By full text alone the scores are its own. `by_space` has also the cosines of
        `query.parts`, and `full_text`, nan where an item has none of the words.

    Raises:
        UsageError: Only the full text is asked, and the gallery does not offer it.
    """
    letters = None
    if query.letters:
        letters = gallery.full_text(query.letters, k=max(request.k, DEPTH), where=request.where)
    if not query.vectors:
        if letters is None:
            raise UsageError(
                "this gallery does not look words up in texts; search by a photo, or by words it has learnt"
            )
        rows, scores = letters.rows[np.newaxis, : request.k], letters.scores[np.newaxis, : request.k]
        return Neighbours(rows, scores, {FULL_TEXT: scores}, index=FULL_TEXT, version=letters.version), letters
    depth = request.k if letters is None else max(request.k, DEPTH)
    visual = gallery.search(query.vectors, replace(request, k=depth))
    rows = visual.rows[0][visual.rows[0] >= 0]
    items, refined = gallery.item_rows(rows), None
    if letters is not None and len(letters.rows):
        rows, items, refined = fused_rows(rows, items, letters.rows)
    rows, items = rows[: request.k], items[: request.k]
    by_space = cosines(gallery, query, rows, visual.version)
    total = sum(weight for name, weight in request.weights.items() if name in query.vectors)
    scores = np.sum([by_space[name] * np.float32(request.weights[name] / total) for name in query.vectors], axis=0)
    counted = {name: part for name, part in by_space.items() if request.weights.get(name, 1.0) > 0}
    if letters is not None:
        counted[FULL_TEXT] = found_scores(items, letters.rows, letters.scores)
    neighbours = replace(
        visual,
        rows=rows[np.newaxis],
        scores=scores[np.newaxis],
        by_space={name: part[np.newaxis] for name, part in counted.items()},
        refined=None if refined is None else refined[np.newaxis, : request.k],
    )
    return neighbours, letters


def fused_rows(visual: Int64, items: Int64, found: Int64) -> tuple[Int64, Int64, Float32]:
    """Fuse the visual ranking with that of the full text, item by item.

    Args:
        visual: (K,) int64, rows of the visual ranking, best first.
        items: (K,) int64, rows of their items; an item that is embedded by its garments has a row for each.
        found: (M,) int64, rows of the items of the full-text ranking, best first.

    Returns:
        Rows, those of the visual ranking for the items that are in it; rows of their items; and the fused scores.
    """
    order, scores = fused([items, found])
    row_of = dict(zip(items.tolist(), visual.tolist(), strict=True))
    rows = np.array([row_of.get(item, item) for item in order.tolist()], dtype=np.int64)
    return rows, order, scores


def cosines(gallery: Gallery, query: TextQuery, rows: Int64, version: object) -> dict[str, Float32]:
    """Cosines of rows with the query by space, and with the photo and the text alone: (K,) float32 each."""
    units = gallery.unit_vectors(rows.tolist(), version=version)
    asked = {**{name: (name, row) for name, row in query.vectors.items()}}
    asked |= {name: (SPACE, row) for name, row in query.parts.items()}
    return {
        name: np.vecdot(units[space], unit_rows(np.asarray(row, dtype=np.float32)))
        for name, (space, row) in asked.items()
    }


def found_scores(items: Int64, found: Int64, scores: Float32) -> Float32:
    """Full-text score of each item by its row, (K,) float32; nan for items that were not found."""
    score_of = dict(zip(found.tolist(), scores.tolist(), strict=True))
    return np.array([score_of.get(row, np.nan) for row in items.tolist()], dtype=np.float32)
