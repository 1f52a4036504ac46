"""Colour feature of the original system, 30 numbers, for galleries with its files.

Source: deep-fashion-retrieval (2018): the network's normalised input, average-pooled to the 7x7 cells of its last
feature map; the 3 channels of the 10 cells with the largest attention. The original left the cells in the arbitrary
order of a partial sort; here the order is fixed.
"""

from __future__ import annotations

import numpy as np

from lookalike.errors import UsageError
from lookalike.types import Float32

SPACE_NAME = "color-original"
SIDE = 224  # pixels of the input
CELLS = 7  # cells of the feature map, in each direction
TAKEN = 10
DIMENSION = 3 * TAKEN
_CELL = SIDE // CELLS


def color_original(pixels: Float32, attention: Float32) -> Float32:
    """Take the colours of the 10 cells with the largest attention; rows are not of unit length.

    A cell's value is the sum of its 32x32 pixels in float64, divided by 1024, then rounded to float32. Cells are in
    descending order of attention, equal ones by their number (row by row from the top left).

    Args:
        pixels: (B, 3, 224, 224) float32, the network's normalised input.
        attention: (B, 7, 7) float32, mean over the channels of the last convolution's output.

    Returns:
        (B, 30) float32: 10 values of the first channel, 10 of the second, 10 of the third.

    Raises:
        UsageError: A shape is wrong.
    """
    batch = len(pixels)
    if pixels.shape != (batch, 3, SIDE, SIDE) or attention.shape != (batch, CELLS, CELLS):
        raise UsageError(
            f"the original's colours need (B, 3, {SIDE}, {SIDE}) pixels and (B, {CELLS}, {CELLS}) attention, "
            f"got {pixels.shape} and {attention.shape}"
        )
    parts = pixels.reshape(batch, 3, CELLS, _CELL, CELLS, _CELL)
    pooled = parts.sum(axis=(3, 5), dtype=np.float64).reshape(batch, 3, CELLS * CELLS) / _CELL**2
    order = np.argsort(-attention.reshape(batch, -1), axis=1, kind="stable")[:, :TAKEN]
    taken = np.take_along_axis(pooled, order[:, None, :], axis=2)
    return taken.reshape(batch, DIMENSION).astype(np.float32)
