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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.spaces import DTYPE_OF_MODELS, Space
from lookalike.types import Float32, Int64

Colors: TypeAlias = npt.NDArray[np.uint16]
"""Colours of the pixels of a reduced photo, (4096,), numbered as in `Bins`."""

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

    def among(self, colors: Int64, *, photos: int = 1) -> PresentColors:
        """Bins of the colours that occur, (M,) in ascending order; those of photo b are numbered from 4096 b."""
        photo, color = np.divmod(colors, LEVELS**3)
        return PresentColors(self.numbers[color] + self.count * photo[:, None], self.shares[color], photos, self.count)

    def histogram(self, amounts: npt.NDArray[Any]) -> Float32:
        """Sum amounts by colour, (4096,), into bins: (N,) float32 that sum to 1."""
        present = np.flatnonzero(amounts)
        summed: Float32 = self.among(present).histograms(amounts[present])[0]
        return summed


@dataclass(frozen=True, slots=True)
class PresentColors:
    """Bins of the M colours that occur in B photos; there are about a hundred in each.

    Attributes:
        numbers: (M, 8) int64, the bins of each colour; those of photo b are numbered from b N.
        shares: (M, 8) float32, its share in each bin.
        photos: B.
        count: N, number of bins.
    """

    numbers: Int64
    shares: Float32
    photos: int
    count: int

    def histograms(self, amounts: npt.NDArray[Any]) -> Float32:
        """Sum amounts by colour, (M,), into bins: (B, N) float32 whose rows sum to 1."""
        spread = (self.shares * amounts[:, None]).ravel()
        summed = np.bincount(self.numbers.ravel(), spread, self.photos * self.count).reshape(self.photos, self.count)
        return np.asarray(summed / summed.sum(axis=1, keepdims=True), dtype=np.float32)

    def spread(self, values: Float32) -> Float32:
        """Interpolate values of bins, (B, N), at each colour, (M,): the mean of its bins, weighted by its shares."""
        return np.asarray(np.einsum("cb,cb->c", self.shares, values.ravel()[self.numbers]), dtype=np.float32)


class Color:
    """Colour embedder. Thread-safe."""

    def __init__(self) -> None:
        self._bins, self._parameters = bins(), trained_parameters()
        edge = np.ones((SIDE, SIDE), dtype=np.bool_)
        edge[BORDER:, BORDER:-BORDER] = False  # a garment often extends beyond the lower edge
        self._edge = np.flatnonzero(edge)
        self._middle = _logistic(self._parameters.place).ravel()
        self.space = Space(SPACE_NAME, len(self._parameters.mapping), self._parameters.model_id, DTYPE_OF_MODELS)

    def embed(self, photo: Image.Image) -> Float32:
        """Embed an RGB photo: (D,) float32 of unit length."""
        row: Float32 = self.embed_colors([self.colors(photo)])[0]
        return row

    def colors(self, photo: Image.Image) -> Colors:
        """Colour of each pixel of an RGB photo that is reduced to 64 x 64, as a number below 4,096: (4096,)."""
        reduced = np.asarray(photo.resize((SIDE, SIDE), Image.Resampling.BOX)).reshape(-1, 3)
        red, green, blue = (reduced.astype(np.uint16) >> 4).T
        return np.asarray(red << 8 | green << 4 | blue, dtype=np.uint16)

    def embed_colors(self, photos: Sequence[Colors]) -> Float32:
        """Embed the `colors` of B photos: (B, D) float32 of unit length."""
        # Each row by itself, so that a photo has the same bits in any batch.
        rows = [self._parameters.mapping @ histogram for histogram in np.sqrt(self._histograms(photos))]
        return np.stack([np.asarray(row / np.linalg.norm(row), dtype=np.float32) for row in rows])

    def histogram(self, photo: Image.Image) -> Float32:
        """Histogram of the garment's colours: (N,) float32, which sums to 1."""
        histogram: Float32 = self._histograms([self.colors(photo)])[0]
        return histogram

    def weigh(self, photo: Image.Image) -> Float32:
        """Probability that each pixel of the reduced RGB photo belongs to the garment: (64, 64) float32 in (0, 1)."""
        return self._weights(*self._present([self.colors(photo)])).reshape(SIDE, SIDE)

    def _histograms(self, photos: Sequence[Colors]) -> Float32:
        places, present = self._present(photos)
        weights = self._weights(places, present).ravel()
        return present.histograms(np.bincount(places.ravel(), weights, len(present.shares)))

    def _present(self, photos: Sequence[Colors]) -> tuple[Int64, PresentColors]:
        """Place of each pixel's colour among those that occur, (B, 4096), and these."""
        every = LEVELS**3 * len(photos)
        colors = np.arange(0, every, LEVELS**3)[:, None] + np.stack(photos)
        present = np.flatnonzero(np.bincount(colors.ravel(), minlength=every) > 0)
        places = np.empty(every, dtype=np.int64)
        places[present] = np.arange(len(present))
        return places.take(colors), self._bins.among(present, photos=len(photos))

    def _weights(self, places: Int64, present: PresentColors) -> Float32:
        """Probability that each pixel belongs to the garment, (B, 4096), by the result of `_present`."""
        count = len(present.shares)
        border = present.histograms(np.bincount(places.take(self._edge, axis=1).ravel(), minlength=count))
        in_middle = np.bincount(places.ravel(), np.tile(self._middle, len(places)), count)
        contrast = np.log((border + RARE) / (present.histograms(in_middle) + RARE))
        odds = np.asarray(self._parameters.tint - self._parameters.contrast * contrast, dtype=np.float32)
        return _logistic(self._parameters.place.ravel() + present.spread(odds).take(places))


def _logistic(log_odds: Float32) -> Float32:
    return np.asarray(1.0 / (1.0 + np.exp(-log_odds)), dtype=np.float32)


@lru_cache(maxsize=1)
def trained_parameters() -> TrainedParameters:
    """Load the parameters from `color.npz` beside this module."""
    file = Path(__file__).with_name("color.npz").read_bytes()
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
