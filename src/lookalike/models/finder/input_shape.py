"""Input size of the finder: the aspect ratio of the photo and a fixed number of pixels."""

from __future__ import annotations

import math

STRIDE = 32
"""Both sides of an input are multiples of this, in pixels: the stride of the coarsest map."""

LONGEST = 3.0
"""Largest aspect ratio of an input; photos with a larger one are squeezed."""


def input_shape(width: int, height: int, *, pixels: int) -> tuple[int, int]:
    """Height and width of the input for a photo, in pixels.

    Args:
        width: Width of the photo, in pixels.
        height: Height of the photo, in pixels.
        pixels: Approximate number of pixels of the input.

    >>> input_shape(1000, 1500, pixels=98304)
    (384, 256)
    """
    ratio = min(max(height / width, 1.0 / LONGEST), LONGEST)
    sides = math.sqrt(pixels * ratio), math.sqrt(pixels / ratio)
    down, across = (max(STRIDE, round(side / STRIDE) * STRIDE) for side in sides)
    return down, across
