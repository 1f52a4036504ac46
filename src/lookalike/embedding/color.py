"""Colour embedding: a soft OKLab histogram of the pixels that likely belong to the garment.

The photo is reduced to 64x64 pixels. The probability that a pixel belongs to the garment is the logistic function of a
sum of three terms: its place, its colour (skin is rarely the garment), and how much more common its colour is along the
photo's border than in its middle (which marks background; a white shirt on white keeps the term of its place). The
square roots of the histogram are then mapped to 64 numbers, in which shades that people call by one name are close.

The three parts and the map were learned from catalogue photos, half of them pasted onto other photos, by
`bench/learn_colour.py`; docs/colour.md has the figures.

Source: the colour space, Björn Ottosson 2020, A perceptual color space for image processing (OKLab).
"""

from __future__ import annotations

import hashlib
import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.spaces import Space
from lookalike.types import Float32, Int64

SPACE_NAME = "color"
SIDE = 64  # side of the reduced photo, in pixels
BORDER = 4  # width of its border, in pixels
LEVELS = 16  # of each channel, 4 bits, between RGB and bins
RARE = 3e-4  # added to the share of every colour, so that the ratio to an absent colour stays finite
_STEPS = (0.1, 0.05, 0.05)  # distance of the bins along L, a and b


@dataclass(frozen=True, slots=True)
class TrainedParameters:
    """Parameters trained by `bench/learn_colour.py`.

    Attributes:
        place: (64, 64) float32, log-odds that a pixel belongs to the garment, by where it lies; rows go downwards.
        tint: (N,) float32, term added to the log-odds by the colour, for each bin.
        contrast: Weight of the term by which colours of the border count as background.
        mapping: (D, N) float32, from square roots of the histogram to the vector.
        model_id: Model id with a hash of the file, such as `color@9f3c21ab`.
    """

    place: Float32
    tint: Float32
    contrast: np.float32
    mapping: Float32
    model_id: str


@dataclass(frozen=True, slots=True)
class Bins:
    """Soft histogram grid in OKLab: each of 4,096 RGB colours is spread over the 8 bins around it.

    Attributes:
        numbers: (4096, 8) int64, the bins of each colour; colours count red slowest and blue fastest.
        shares: (4096, 8) float32, its share in each bin; the 8 shares sum to 1.
        count: N, number of bins.
    """

    numbers: Int64
    shares: Float32
    count: int

    def among(self, colors: Int64) -> Bins:
        """Bins of some of the colours, (M,), which are then counted from 0."""
        return Bins(self.numbers[colors], self.shares[colors], self.count)

    def histogram(self, amounts: npt.NDArray[Any]) -> Float32:
        """Sum amounts by colour, (4096,), into bins: (N,) float32 that sum to 1."""
        spread = self.shares * amounts[:, None]
        summed = np.bincount(self.numbers.ravel(), spread.ravel(), self.count)
        return np.asarray(summed / summed.sum(), dtype=np.float32)

    def spread(self, values: Float32) -> Float32:
        """Interpolate values of bins, (N,), at each colour: the mean of its bins, weighted by its shares."""
        return np.asarray(np.einsum("cb,cb->c", self.shares, values[self.numbers]), dtype=np.float32)


class Color:
    """Colour embedder. Thread-safe."""

    def __init__(self) -> None:
        self._bins, self._parameters = bins(), trained_parameters()
        edge = np.ones((SIDE, SIDE), dtype=np.bool_)
        edge[BORDER:, BORDER:-BORDER] = False  # a garment often extends beyond the lower edge
        self._edge = np.flatnonzero(edge)
        self._middle = _logistic(self._parameters.place).ravel()
        self.space = Space(SPACE_NAME, len(self._parameters.mapping), self._parameters.model_id)

    def embed(self, photo: Image.Image) -> Float32:
        """Embed an RGB photo: (D,) float32 of unit length."""
        row = self._parameters.mapping @ np.sqrt(self.histogram(photo))
        return np.asarray(row / np.linalg.norm(row), dtype=np.float32)

    def histogram(self, photo: Image.Image) -> Float32:
        """Histogram of the garment's colours: (N,) float32, which sums to 1."""
        colors, bins = self._colors(photo)
        return bins.histogram(np.bincount(colors, self._weights(colors, bins), len(bins.shares)))

    def weigh(self, photo: Image.Image) -> Float32:
        """Probability that each pixel of the reduced RGB photo belongs to the garment: (64, 64) float32 in (0, 1)."""
        return self._weights(*self._colors(photo)).reshape(SIDE, SIDE)

    def _colors(self, photo: Image.Image) -> tuple[Int64, Bins]:
        """Colours of the reduced photo: the number of each pixel's among those that occur, (64 * 64,), and their bins.

        A photo has about a hundred of the 4,096 colours, so that most of what follows is on short arrays.
        """
        reduced = photo.resize((SIDE, SIDE), Image.Resampling.BOX)
        levels = np.asarray(reduced).reshape(-1, 3).astype(np.uint16) >> 4
        colors = (levels[:, 0] << 8 | levels[:, 1] << 4 | levels[:, 2]).astype(np.int64)
        present = np.flatnonzero(np.bincount(colors, minlength=LEVELS**3) > 0)
        places = np.empty(LEVELS**3, dtype=np.int64)
        places[present] = np.arange(len(present))
        return places.take(colors), self._bins.among(present)

    def _weights(self, colors: Int64, bins: Bins) -> Float32:
        border = bins.histogram(np.bincount(colors.take(self._edge), minlength=len(bins.shares)))
        middle = bins.histogram(np.bincount(colors, self._middle, len(bins.shares)))
        contrast = np.log((border + RARE) / (middle + RARE))
        odds = np.asarray(self._parameters.tint - self._parameters.contrast * contrast, dtype=np.float32)
        return _logistic(self._parameters.place.ravel() + bins.spread(odds).take(colors))


def _logistic(log_odds: Float32) -> Float32:
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float32)


@lru_cache(maxsize=1)
def trained_parameters() -> TrainedParameters:
    """Load the parameters from `color.npz` beside this module."""
    file = files("lookalike.embedding").joinpath("color.npz").read_bytes()
    model_id = f"{SPACE_NAME}@{hashlib.sha256(file).hexdigest()[:8]}"
    with np.load(BytesIO(file), allow_pickle=False) as arrays:
        place, tint, contrast, mapping = (
            arrays[name].astype(np.float32) for name in ("place", "tint", "contrast", "mapping")
        )
        return TrainedParameters(place, tint, np.float32(contrast), mapping, model_id)


@lru_cache(maxsize=1)
def bins() -> Bins:
    """Grid of the histogram."""
    level = ((np.arange(LEVELS) + 0.5) * (256 / LEVELS) - 0.5) / 255
    red, green, blue = np.meshgrid(level, level, level, indexing="ij")
    place = oklab(np.stack([red, green, blue], axis=-1).reshape(-1, 3)) / np.asarray(_STEPS)
    corner = np.floor(place)
    inside = place - corner
    steps = [np.asarray(step) for step in itertools.product((0, 1), repeat=3)]
    cells = np.stack([corner + step for step in steps], axis=1)
    shares = np.stack([np.where(step == 1, inside, 1.0 - inside).prod(axis=1) for step in steps], axis=1)
    # Bins are numbered in the order of L, a, b, by a table of all cells; sorting them would take 25 ms of each search.
    offset = (cells - cells.min(axis=(0, 1))).astype(np.int64)
    extent = tuple((offset.max(axis=(0, 1)) + 1).tolist())
    cell = np.ravel_multi_index((offset[..., 0], offset[..., 1], offset[..., 2]), extent)
    used = np.zeros(math.prod(extent), dtype=np.int64)
    used[cell] = 1
    return Bins(np.cumsum(used)[cell] - 1, shares.astype(np.float32), int(used.sum()))


def oklab(rgb: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Convert sRGB in [0, 1] to OKLab, L in [0, 1], a and b in about [-0.4, 0.4]: (N, 3) to (N, 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cones = linear @ np.array(
        [
            [0.4122214708, 0.2119034982, 0.0883024619],
            [0.5363325363, 0.6806995451, 0.2817188376],
            [0.0514459929, 0.1073969566, 0.6299787005],
        ]
    )
    return np.asarray(
        np.cbrt(cones)
        @ np.array(
            [
                [0.2104542553, 1.9779984951, 0.0259040371],
                [0.7936177850, -2.4285922050, 0.7827717662],
                [-0.0040720468, 0.4505937099, -0.8086757660],
            ]
        )
    )
