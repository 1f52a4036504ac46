"""A gallery whose items borrow from their neighbours, made of another one: database-side augmentation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from lookalike.errors import UsageError
from lookalike.gallery.creation import new_gallery
from lookalike.gallery.opening import open_gallery
from lookalike.gallery.protocol import Gallery
from lookalike.retrieval.expansion import expand
from lookalike.tuning.pca import copy_rows
from lookalike.types import JSON, Float32, Item

MOST: Final = 100
"""Neighbours; more would make all items of a kind the same."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What was made.

    Attributes:
        items: How many there are.
        neighbours: How many of each item were added to it.
    """

    items: int
    neighbours: int

    def to_json(self) -> dict[str, JSON]:
        """As `lookalike augment --json` shows it."""
        return {"items": self.items, "neighbours": self.neighbours}


def augment(
    gallery: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    neighbours: int = 5,
    progress: Callable[[int, int], None] | None = None,
) -> Augmentation:
    """Copy a gallery, each item's nearest neighbours added to its own rows as `refine.expansion` does.

    Neighbours are found by the gallery's usual weights, and exactly. Queries stay as they are. Items that are indexed
    into the copy later come with their own rows only.

    Args:
        gallery: The address of the gallery; it stays as it is.
        target: That of a new one.
        neighbours: How many of each item, from 1 to 100.
        progress: Told how many items are copied, and how many there are.

    Raises:
        UsageError: The number of neighbours makes no sense, or there is a gallery at the target.
    """
    if not 1 <= neighbours <= MOST:
        raise UsageError(f"expected 1 to {MOST} neighbours, got {neighbours}")
    with open_gallery(os.fspath(gallery)) as plain, new_gallery(os.fspath(target)) as (copy, photos):
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
    """Rows of items of a gallery with those of their neighbours added, by space; only rows of unit length change."""
    found = gallery.search(vectors, k=neighbours + 1, index="exact")
    places = found.rows.reshape(-1).tolist()
    names = gallery.items([row for row in set(places) if row >= 0], version=found.version)
    ids = np.array([names[row].id if row in names else "" for row in places]).reshape(found.rows.shape)
    borrowed = (found.rows >= 0) & (ids != np.array([item.id for item in items])[:, None])
    borrowed &= borrowed.cumsum(axis=1) <= neighbours  # one more was asked for, in the item's own place
    near = gallery.unit_vectors(np.maximum(found.rows, 0).reshape(-1).tolist(), version=found.version)
    made: dict[str, Float32] = {}
    for name, rows in vectors.items():
        others = near[name].reshape(*found.rows.shape, -1)
        is_unit = np.isclose(np.linalg.norm(rows, axis=1, keepdims=True), 1.0, atol=1e-3)
        made[name] = np.where(is_unit, expand(rows, others, np.where(borrowed, found.scores, np.float32(0))), rows)
    return made
