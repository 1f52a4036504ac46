"""How different two photos are, pixel by pixel, where one may be a copy of the other: compressed, resized or cropped.

Embeddings say that two photos show similar garments. Whether they are one photo is a question of colours at places: a
copy differs a little everywhere, another garment of the same cut differs much somewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Final, TypeAlias

import numpy as np
from PIL import Image

from lookalike.types import Float32, Int64, UInt8

KEPT: Final = 96
"""Side of the small copy of a photo that is kept, pixels; its shape is that of the photo squeezed into a square."""

SIDE: Final = 32
BLOCK: Final = 4
"""Side of the squares that are compared, and of the blocks whose mean differences count, pixels."""

GRID_SIDE: Final = 8
GRID_CELLS: Final = 3 * GRID_SIDE**2
"""Numbers of a grid: red, green and blue of 8 x 8 cells."""

CHUNK: Final = 100_000
"""Pairs whose grids are compared at a time."""

PartBox: TypeAlias = tuple[float, float, float, float]
WHOLE: Final[PartBox] = (0.0, 0.0, float(KEPT), float(KEPT))

HOPELESS: Final = 16.0
"""Mean difference of the best rough fit, 0 to 255, from which no better one is looked for."""

STEPS: Final = (1.0, 0.5)
"""Steps by which the edges of a part are moved, pixels of the small copy."""

LEAST_PART: Final = 0.85
"""Least side of a part, as a fraction of the photo's."""

CROPS: Final = (0.96, 0.92, 0.88)
"""Sides of the parts that a copy may show, as fractions of the photo's."""

PLACES: Final = (0.0, 0.5, 1.0)
"""Places of such a part, as fractions of what is cut off."""


def small_copy(photo: Image.Image) -> Image.Image:
    """Small copy of a photo, for `difference`."""
    return photo.convert("RGB").resize((KEPT, KEPT), Image.Resampling.BOX, reducing_gap=3.0)


def grid_of(photo: Image.Image) -> UInt8:
    """Mean colours of a small copy in 8 x 8 cells, (192,) uint8, for `grid_difference`."""
    cells = np.asarray(photo.resize((GRID_SIDE, GRID_SIDE), Image.Resampling.BOX), dtype=np.uint8)
    return cells.reshape(-1)


def grid_difference(grids: UInt8, first: Int64, second: Int64) -> Float32:
    """Mean absolute difference of the mean colours of pairs of photos: (P,) float32, 0 to 255.

    Args:
        grids: (N, 192) uint8, of `grid_of`.
        first: (P,) row numbers of one of each pair.
        second: (P,) row numbers of the other.
    """
    found = np.empty(len(first), dtype=np.float32)
    for start in range(0, len(first), CHUNK):
        part = slice(start, start + CHUNK)
        found[part] = np.abs(grids[first[part]].astype(np.int16) - grids[second[part]]).mean(axis=1)
    return found


def difference(one: Image.Image, other: Image.Image) -> float:
    """Largest difference of a place, for the best fit of one photo to a part of the other.

    Args:
        one: Small copy of a photo.
        other: Small copy of another one.

    Returns:
        Mean absolute difference of the colours of the most different block of 4 x 4 of 32 x 32 pixels, 0 to 255.
    """
    return round(min(best_fit(one, other), best_fit(other, one)), 3)


def best_fit(whole: Image.Image, part: Image.Image) -> float:
    """Largest difference of a place, where the second photo is taken for a part of the first."""
    wanted = pixels(part, WHOLE)
    boxes = [WHOLE, *coarse_boxes()]
    coarse = np.stack([pixels(whole, box) for box in boxes])
    means = np.abs(coarse - wanted).mean(axis=(1, 2, 3))
    best = int(means.argmin())
    if means[best] > HOPELESS:
        return float(worst_block(coarse[best] - wanted))
    return float(worst_block(pixels(whole, refined(whole, wanted, boxes[best], float(means[best]))) - wanted))


def coarse_boxes() -> Iterator[PartBox]:
    """Parts of a photo that a copy may show, roughly."""
    for share in CROPS:
        side = KEPT * share
        for x in PLACES:
            for y in PLACES:
                left, top = (KEPT - side) * x, (KEPT - side) * y
                yield left, top, left + side, top + side


def refined(whole: Image.Image, wanted: Float32, box: PartBox, mean: float) -> PartBox:
    """The part of a photo that fits best, near a first one: each edge is moved as long as that helps."""
    for step in STEPS:
        better = True
        while better:
            better = False
            for edge, way in product(range(4), (-step, step)):
                moved = [*box]
                moved[edge] += way
                if not (min(moved) >= 0 and max(moved) <= KEPT and is_large(moved)):
                    continue
                left, top, right, bottom = moved
                found = float(np.abs(pixels(whole, (left, top, right, bottom)) - wanted).mean())
                if found < mean:
                    box, mean, better = (left, top, right, bottom), found, True
    return box


def is_large(box: Sequence[float]) -> bool:
    """Whether a part is as large as a slight crop leaves."""
    left, top, right, bottom = box
    return min(right - left, bottom - top) >= LEAST_PART * KEPT


def pixels(photo: Image.Image, box: PartBox) -> Float32:
    """A part of a photo, (32, 32, 3) float32."""
    return np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box), dtype=np.float32)


def worst_block(differences: Float32) -> float:
    """Mean absolute difference of the most different block of (32, 32, 3)."""
    count = SIDE // BLOCK
    return float(np.abs(differences).reshape(count, BLOCK, count, BLOCK, 3).mean(axis=(1, 3, 4)).max())
