"""Made-up features with the structure of a catalogue: kinds of garment, items of a kind, photos of an item."""

from __future__ import annotations

from collections.abc import Iterator
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

BLOCK = 65_536
"""Rows that are drawn at once; it bounds the memory."""

LOTS = 1000
"""Values of an attribute to filter by: one of them passes a thousandth of the rows."""

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


class Drawing:
    """A catalogue's features, drawn block by block; a block can be drawn again, so nobody need keep those before it.

    The same seed draws the same features, in blocks or all together.

    Args:
        count: N, photos in the catalogue, at least 1.
        queries: Q, further photos of the same items.
        seed: Of what is drawn.

    Attributes:
        queries: By space, (Q, D) float32.
        lots: (N,) int16, a number from 0 to `LOTS` - 1 for each row, that has nothing to do with its features.
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
        """Draw all rows: where each block stands, and its rows by space, (`BLOCK` or fewer, D) float32."""
        for number, start in enumerate(range(0, len(self), BLOCK)):
            place = slice(start, min(start + BLOCK, len(self)))
            yield place, self._photos(np.random.default_rng([self._seed, number]), self._item_of_row[place])

    def _photos(self, random: np.random.Generator, items: np.ndarray) -> dict[str, Float32]:
        """A photo of each item; of its ten cells, channel after channel: the item's colour, the light, their shades."""
        photos = self._centres[items]
        photos += np.float32(PHOTO_SPREAD) * random.standard_normal(photos.shape, dtype=np.float32)
        cells = np.repeat(self._colors[items], SPACES[1].dimension // 3, axis=2)
        cells += np.float32(0.3) * random.standard_normal((len(items), 3, 1), dtype=np.float32)
        cells += np.float32(0.3) * random.standard_normal(cells.shape, dtype=np.float32)
        made = (photos @ self._directions, cells.reshape(len(items), -1))
        return {space.name: unit_rows(rows) for space, rows in zip(SPACES, made, strict=True)}


def synthetic(rows: int, *, queries: int, seed: int = 20) -> Features:
    """Draw the features of a catalogue and of queries to it; the arguments are those of `Drawing`."""
    drawing = Drawing(rows, queries=queries, seed=seed)
    gallery = {space.name: np.empty((rows, space.dimension), dtype=np.float32) for space in SPACES}
    for place, block in drawing.blocks():
        for name, drawn in block.items():
            gallery[name][place] = drawn
    return Features(gallery, drawing.queries)
