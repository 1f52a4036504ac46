"""Made-up features with the structure of a catalogue: kinds of garment, items of a kind, photos of an item."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32

PHOTOS_PER_ITEM = 139_709 / 12_000
"""The original's catalogue had 139,709 photos; about 12,000 items are supposed behind them."""

INTRINSIC = 48
"""The deep features vary along this many directions, as those of trained networks do, whatever their dimension."""

KINDS = 50
"""Kinds of garment, among which the items are spread."""

ITEM_SPREAD, PHOTO_SPREAD = 2.0, 0.4
"""How far items of one kind, and photos of one item, lie apart, in units of how far kinds do: so that the
original's clusters find about four of five right answers, as they did on features of photos."""

SPACES = (Space("deep", 512, "benchmark"), Space("color-original", 30, "benchmark"))
"""The original's two features, with its dimensions."""


@dataclass(frozen=True, slots=True)
class Features:
    """Unit rows of a catalogue, and of other photos of its items to ask with.

    Attributes:
        gallery: By space, (N, D) float32.
        queries: By space, (Q, D) float32.
    """

    gallery: dict[str, Float32]
    queries: dict[str, Float32]

    def __len__(self) -> int:
        return len(self.gallery["deep"])

    def query(self, number: int) -> dict[str, Float32]:
        """One query by space, (1, D) float32; numbers beyond the last begin again."""
        place = number % len(self.queries["deep"])
        return {name: rows[place : place + 1] for name, rows in self.queries.items()}


def synthetic(rows: int, *, queries: int, seed: int = 20) -> Features:
    """Draw the features of a catalogue and of queries to it.

    Args:
        rows: N, photos in the catalogue, at least 1.
        queries: Q, further photos of the same items.
        seed: The same seed draws the same features.
    """
    random = np.random.default_rng(seed)
    items = max(1, round(rows / PHOTOS_PER_ITEM))
    of_row = np.concatenate([random.permutation(rows) % items, random.integers(items, size=queries)])
    made = {"deep": _deep(random, items, of_row), "color-original": _color(random, items, of_row)}
    return Features(
        gallery={name: vectors[:rows] for name, vectors in made.items()},
        queries={name: vectors[rows:] for name, vectors in made.items()},
    )


def _deep(random: np.random.Generator, items: int, of_row: np.ndarray) -> Float32:
    kinds = random.standard_normal((KINDS, INTRINSIC), dtype=np.float32)
    centres = kinds[random.integers(KINDS, size=items)]
    centres += np.float32(ITEM_SPREAD) * random.standard_normal(centres.shape, dtype=np.float32)
    photos = centres[of_row]
    photos += np.float32(PHOTO_SPREAD) * random.standard_normal(photos.shape, dtype=np.float32)
    directions = random.standard_normal((INTRINSIC, SPACES[0].dimension), dtype=np.float32)
    return unit_rows(photos @ directions)


def _color(random: np.random.Generator, items: int, of_row: np.ndarray) -> Float32:
    """Ten cells of a photo, channel after channel: the item's colour, the photo's light and each cell's own shade."""
    colors = random.standard_normal((items, 3, 1), dtype=np.float32)
    cells = np.repeat(colors[of_row], SPACES[1].dimension // 3, axis=2)
    cells += np.float32(0.3) * random.standard_normal((len(of_row), 3, 1), dtype=np.float32)
    cells += np.float32(0.3) * random.standard_normal(cells.shape, dtype=np.float32)
    return unit_rows(cells.reshape(len(of_row), -1))
