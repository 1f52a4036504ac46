"""The original's colour descriptor, against a literal implementation of its recipe."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike.embedding.color_original import DIMENSION, color_original
from lookalike.errors import UsageError
from lookalike.types import Float32


def slowly(pixels: Float32, attention: Float32) -> list[np.float32]:
    """One photo, cell by cell."""
    cells = [(row, column) for row in range(7) for column in range(7)]
    cells.sort(key=lambda cell: -attention[cell])  # Python's sort keeps equal ones in their order
    values = []
    for channel in range(3):
        for row, column in cells[:10]:
            patch = pixels[channel, 32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
            values.append(np.float32(sum(float(value) for value in patch.ravel()) / 1024))
    return values


def test_it_is_the_recipe_bit_for_bit() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.normal(size=(3, 3, 224, 224)).astype(np.float32)
    attention = rng.random((3, 7, 7)).astype(np.float32).round(1)  # many ties
    rows = color_original(pixels, attention)
    assert rows.dtype == np.float32 and rows.shape == (3, DIMENSION)
    for row, photo, seen in zip(rows, pixels, attention, strict=True):
        assert row.tolist() == [float(value) for value in slowly(photo, seen)]


def test_cells_stand_by_attention_and_values_channel_after_channel() -> None:
    pixels = np.empty((1, 3, 224, 224), np.float32)
    numbers = np.arange(49).reshape(7, 7).repeat(32, axis=0).repeat(32, axis=1)
    for channel in range(3):
        pixels[0, channel] = 100 * channel + numbers
    attention = np.zeros((1, 7, 7), np.float32)
    attention[0, 6, 6], attention[0, 0, 3] = 2.0, 1.0
    places = [48, 3, 0, 1, 2, 4, 5, 6, 7, 8]
    expected = [100 * channel + place for channel in range(3) for place in places]
    assert color_original(pixels, attention).tolist() == [expected]


def test_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(B, 7, 7\) attention, got"):
        color_original(np.zeros((1, 3, 224, 224), np.float32), np.zeros((1, 4, 4), np.float32))
