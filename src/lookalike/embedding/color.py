"""What colours a garment has: a soft histogram in OKLab of the pixels that are likely the garment's.

The photo shrinks to a few hundred pixels. Each is weighted by how near the centre it is and by how much rarer its
colour is along the photo's border than in its middle, so that a plain or busy background counts for little; a white
shirt on white keeps the weight of its place.

Source: Björn Ottosson 2020, A perceptual color space for image processing (OKLab).
"""

from __future__ import annotations

import itertools
from functools import lru_cache

import numpy as np
from PIL import Image

from lookalike.spaces import Space
from lookalike.types import Float32, Int64

SPACE_NAME = "color"
MAKER = "color@1"
_SIDE = 32
_LEVELS = 16  # of each channel, in the table from RGB to bins
_STEP = (0.15, 0.08, 0.08)  # of the bins in OKLab


class Color:
    """Describes the colours of the garment in a photo. Safe in several threads at once."""

    def __init__(self) -> None:
        self._bins, self._shares = _bins()
        self.space = Space(SPACE_NAME, int(self._bins.max()) + 1, MAKER)
        self._prior = _centre_prior()
        self._border = np.ones((_SIDE, _SIDE), dtype=np.float32)
        self._border[2:, 2:-2] = 0.0

    def weigh(self, photo: Image.Image) -> Float32:
        """How likely each cell of the photo belongs to the garment, (32, 32) in [0, 1]; rows go downwards."""
        return self._weights(self._codes(photo)).reshape(_SIDE, _SIDE)

    def describe(self, photo: Image.Image) -> Float32:
        """Describe an RGB photo: (D,) float32 of unit length."""
        codes = self._codes(photo)
        histogram = self._histogram(codes, self._weights(codes))
        row = np.sqrt(histogram / histogram.sum())
        return np.asarray(row / np.linalg.norm(row), dtype=np.float32)

    def _codes(self, photo: Image.Image) -> Int64:
        pixels = np.asarray(photo.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.int64) * _LEVELS // 256
        return np.ravel((pixels[..., 0] * _LEVELS + pixels[..., 1]) * _LEVELS + pixels[..., 2])

    def _histogram(self, codes: Int64, weights: Float32) -> Float32:
        spread = self._shares[codes] * weights[:, None]
        return np.bincount(self._bins[codes].ravel(), spread.ravel(), self.space.dimension).astype(np.float32)

    def _weights(self, codes: Int64) -> Float32:
        prior = self._prior.ravel()
        border = self._histogram(codes, self._border.ravel())
        middle = self._histogram(codes, prior)
        ratio = (border / border.sum() + 1e-4) / (middle / middle.sum() + 1e-4)
        odds = (ratio[self._bins[codes]] * self._shares[codes]).sum(axis=1)
        return np.asarray(prior / (prior + (1.0 - prior) * odds), dtype=np.float32)


def _centre_prior() -> Float32:
    place = (np.arange(_SIDE, dtype=np.float32) + 0.5) / _SIDE - 0.5
    return np.asarray(
        0.8 * np.exp(-0.5 * ((place[None, :] / 0.25) ** 2 + (place[:, None] / 0.33) ** 2)), dtype=np.float32
    )


@lru_cache(maxsize=1)
def _bins() -> tuple[Int64, Float32]:
    """For each of 4,096 RGB values the 8 bins around it in OKLab, (4096, 8), and its share in each, (4096, 8)."""
    level = (np.arange(_LEVELS) + 0.5) / _LEVELS
    rgb = np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3)
    place = oklab(rgb) / np.asarray(_STEP) + np.asarray([0, 50, 50])
    corner = np.floor(place).astype(np.int64)
    inside = place - corner
    numbers, shares = [], []
    for step in itertools.product((0, 1), repeat=3):
        at = corner + np.asarray(step)
        numbers.append((at[:, 0] * 101 + at[:, 1]) * 101 + at[:, 2])
        shares.append(np.prod(np.where(np.asarray(step) == 1, inside, 1.0 - inside), axis=1))
    _, bins = np.unique(np.stack(numbers, axis=1), return_inverse=True)
    return bins.reshape(-1, 8).astype(np.int64), np.stack(shares, axis=1).astype(np.float32)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """Turn sRGB in [0, 1] into OKLab: (..., 3) to (..., 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.asarray(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    lab: np.ndarray = np.cbrt(cones) @ np.asarray(
        [
            [0.2104542553, 1.9779984951, 0.0259040371],
            [0.7936177850, -2.4285922050, 0.7827717662],
            [-0.0040720468, 0.4505937099, -0.8086757660],
        ]
    )
    return lab
