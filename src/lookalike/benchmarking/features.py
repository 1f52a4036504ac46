"""Synthetic features with the structure of a catalogue: kinds of garment, items of a kind, photos of an item."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from lookalike.spaces import DTYPE_OF_MODELS, Space, unit_rows
from lookalike.types import Float32

PHOTOS_PER_ITEM = 139_709 / 12_000
"""Average number of photos of an item: the original's catalogue had 139,709 photos of an estimated 12,000 items."""

INTRINSIC = 48
"""Rank of the deep features, which is below their dimension, as in trained networks."""

KINDS = 50
"""Number of kinds of garment."""

ITEM_SPREAD, PHOTO_SPREAD = 2.0, 0.4
"""Standard deviations of the items of a kind, and of the photos of an item, relative to that of the kinds; chosen so
that the original's clusters find about four of five right answers, as on features of photos."""

BLOCK = 65_536
"""Rows drawn at once, which bounds the memory."""

LOTS = 1000
"""Number of values of the attribute `lot`; a filter for one value passes a thousandth of the rows."""

SPACES = (Space("deep", 512, "benchmark", DTYPE_OF_MODELS), Space("color-original", 30, "benchmark", DTYPE_OF_MODELS))
"""Spaces of the original's two features, with its dimensions."""


@dataclass(frozen=True, slots=True)
class Features:
    """Unit vectors of a catalogue, and of other photos of its items as queries.

    Attributes:
        gallery: (N, D) float32 by space.
        queries: (Q, D) float32 by space.
    """

    gallery: dict[str, Float32]
    queries: dict[str, Float32]

    def __len__(self) -> int:
        return len(self.gallery["deep"])

    def query(self, number: int) -> dict[str, Float32]:
        """Return a query, (1, D) float32 by space; numbers wrap around after the last query."""
        place = number % len(self.queries["deep"])
        return {name: rows[place : place + 1] for name, rows in self.queries.items()}


class FeatureGenerator:
    """Generator of a catalogue's features, block by block.

    The same seed gives the same features, in blocks or all at once, so blocks can be generated again instead of kept.

    Args:
        count: N, number of photos in the catalogue, at least 1.
        queries: Q, number of further photos of the same items.
        seed: Seed of the features.

    Attributes:
        queries: (Q, D) float32 by space.
        lots: (N,) int16 attribute of each row from 0 to `LOTS` - 1, independent of its features.
    """

    def __init__(self, count: int, *, queries: int, seed: int = 20) -> None:
        random = np.random.default_rng(seed)
        items = max(1, round(count / PHOTOS_PER_ITEM))
        kinds = random.standard_normal((KINDS, INTRINSIC), dtype=np.float32)
        self._seed = seed
        self._centres = kinds[random.integers(KINDS, size=items)]
        self._centres += np.float32(ITEM_SPREAD) * random.standard_normal(self._centres.shape, dtype=np.float32)
        self._colors = random.standard_normal((items, 3, 1), dtype=np.float32)
        self._directions = random.standard_normal((INTRINSIC, SPACES[0].dimension), dtype=np.float32)
        self._item_of_row = (random.permutation(count) % items).astype(np.int32)
        self.lots = random.integers(LOTS, size=count, dtype=np.int16)
        self.queries = self._photos(random, random.integers(items, size=queries))

    def __len__(self) -> int:
        return len(self._item_of_row)

    def blocks(self) -> Iterator[tuple[slice, dict[str, Float32]]]:
        """Yield the slice of each block, and its rows by space, (`BLOCK` or fewer, D) float32."""
        for number, start in enumerate(range(0, len(self), BLOCK)):
            place = slice(start, min(start + BLOCK, len(self)))
            yield place, self._photos(np.random.default_rng([self._seed, number]), self._item_of_row[place])

    def _photos(self, random: np.random.Generator, items: np.ndarray) -> dict[str, Float32]:
        """Return features of a photo of each item, (B, D) by space.

        The colour features are those of ten cells, channel by channel: the item's colour plus noise for the light of
        the photo and for each cell.
        """
        photos = self._centres[items]
        photos += np.float32(PHOTO_SPREAD) * random.standard_normal(photos.shape, dtype=np.float32)
        cells = np.repeat(self._colors[items], SPACES[1].dimension // 3, axis=2)
        cells += np.float32(0.3) * random.standard_normal((len(items), 3, 1), dtype=np.float32)
        cells += np.float32(0.3) * random.standard_normal(cells.shape, dtype=np.float32)
        made = (photos @ self._directions, cells.reshape(len(items), -1))
        return {space.name: unit_rows(rows) for space, rows in zip(SPACES, made, strict=True)}


def synthetic(rows: int, *, queries: int, seed: int = 20) -> Features:
    """Draw all features of a catalogue and its queries; see `FeatureGenerator` for the arguments."""
    generator = FeatureGenerator(rows, queries=queries, seed=seed)
    gallery = {space.name: np.empty((rows, space.dimension), dtype=np.float32) for space in SPACES}
    for place, block in generator.blocks():
        for name, drawn in block.items():
            gallery[name][place] = drawn
    return Features(gallery, generator.queries)
