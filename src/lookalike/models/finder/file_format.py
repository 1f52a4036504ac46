"""Format of a finder's ONNX file: names, shapes and strides; this module imports no PyTorch."""

from __future__ import annotations

from typing import Final

FORMAT: Final = "finder 1"

INPUT: Final = "photos"
"""Input: one normalised photo, (1, 3, H, W) float32; H and W are multiples of 32."""

SCORES: Final = "scores"
"""Output: (1, A, K) float32, probability of each of K kinds at each of A locations.

The locations are the cells of the three maps, finest map first, each map row by row.
"""

SIDES: Final = "sides"
"""Output: (1, A, 4) float32, distances of each location to left, top, right and bottom, in input pixels."""

STRIDES: Final = (8, 16, 32)
"""Stride of each of the three maps, in input pixels."""
