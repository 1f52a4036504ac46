"""Database-side augmentation: a copy of a gallery with each item's neighbours added to its vectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.creation import new_gallery
from lookalike.gallery.opening import HasGallery, gallery_of
from lookalike.gallery.protocol import Gallery
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.expansion import expand
from lookalike.tuning.copied_rows import copy_rows
from lookalike.types import JSON, Float32, Item

MOST: Final = 100
"""Largest number of neighbours; more would make all items of a kind the same."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Result of `augment`.

    Attributes:
        items: Number of items.
        neighbours: Neighbours added to each item.
    """

    items: int
    neighbours: int

    def to_json(self) -> dict[str, JSON]:
        """Return the JSON of `lookalike augment --json`."""
        return {"items": self.items, "neighbours": self.neighbours}


def augment(
    gallery: HasGallery | str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    neighbours: int = 5,
    progress: Callable[[int, int], None] | None = None,
) -> Augmentation:
    """Copy a gallery with each item's nearest neighbours added to its vectors; see `lookalike.retrieval.expansion`.

    Neighbours come from an exact search by the gallery's default weights. Queries do not change. Items that are indexed
    into the copy later keep their own vectors.

    Args:
        gallery: Address of the gallery, or its retriever; the gallery is not changed.
        target: Address of the new gallery.
        neighbours: Neighbours per item, from 1 to 100.
        progress: Called with the number of items copied and in all.

    Raises:
        UsageError: The number of neighbours is out of range, or the target exists.
    """
    if not 1 <= neighbours <= MOST:
        raise UsageError(f"expected 1 to {MOST} neighbours, got {neighbours}")
    with gallery_of(gallery) as plain, new_gallery(os.fspath(target)) as (copy, photos):
        if plain.projections:
            copy.store_projections(plain.projections)
        if plain.model is not None:
            copy.remember_model(plain.model)
        change = partial(augmented, plain, neighbours=neighbours)
        copy_rows(plain, copy, change, spaces=plain.spaces, photos=photos, progress=progress)
        copy.optimise()
        return Augmentation(len(copy), neighbours)


def augmented(
    gallery: Gallery, items: Sequence[Item], vectors: Mapping[str, Float32], *, neighbours: int
) -> dict[str, Float32]:
    """Return the rows of items with those of their neighbours added, by space; only unit vectors change."""
    found = gallery.search(vectors, SearchRequest(k=neighbours + 1, index="exact"))
    places = found.rows.reshape(-1).tolist()
    names = gallery.items([row for row in set(places) if row >= 0], version=found.version)
    ids = np.array([names[row].id if row in names else "" for row in places]).reshape(found.rows.shape)
    borrowed = (found.rows >= 0) & (ids != np.array([item.id for item in items])[:, None])
    borrowed &= borrowed.cumsum(axis=1) <= neighbours  # the search returns one more, for the item itself
    near = gallery.unit_vectors(np.maximum(found.rows, 0).reshape(-1).tolist(), version=found.version)
    made: dict[str, Float32] = {}
    for name, rows in vectors.items():
        others = near[name].reshape(*found.rows.shape, -1)
        is_unit = np.isclose(np.linalg.norm(rows, axis=1, keepdims=True), 1.0, atol=1e-3)
        made[name] = np.where(is_unit, expand(rows, others, np.where(borrowed, found.scores, np.float32(0))), rows)
    return made
