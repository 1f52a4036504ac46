"""Decoding of finder outputs into boxes, kinds and scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from lookalike.finding.boxes import suppress_duplicates
from lookalike.models.finder.file_format import STRIDES
from lookalike.types import Float32, Int64

LEAST = 0.05
"""Lowest score that is decoded."""

LISTED: Final = 0.22
"""Lowest score of a listed garment, unless another is asked for: as many are listed as there are. On dev photos of
people F1 is .69 (masks) and .75 (boxes) instead of .67 and .76 from 0.3 on, and recall .65 and .76 instead of .60 and
.73 (`bench/least_scores.py`)."""

SURE: Final = 0.3
"""Lowest score of a garment that `auto` chooses, that is indexed, or that takes the place of a given box."""

MOST = 300
"""Number of highest scored candidates before duplicates are removed."""

SAME, OTHER = 0.6, 0.8
"""Thresholds of `suppress_duplicates` for boxes of one kind and of different kinds."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Garments of one photo, highest score first.

    Attributes:
        boxes: (N, 4) float32: x1, y1, x2, y2 as fractions of the photo's width and height.
        kinds: (N,) int64, positions in the kinds of the finder.
        scores: (N,) float32 in [0, 1].
    """

    boxes: Float32
    kinds: Int64
    scores: Float32

    def of_score(self, least: float) -> Decoded:
        """Those of at least a score; removing duplicates first gives the same, as only higher scores remove lower."""
        kept = self.scores.round(4) >= least  # as scores are told
        return Decoded(self.boxes[kept], self.kinds[kept], self.scores[kept])


def decode(scores: Float32, distances: Float32, *, size: tuple[int, int], least: float = LEAST) -> Decoded:
    """Decode the outputs for one photo.

    Args:
        scores: (A, K) in [0, 1].
        distances: (A, 4) to left, top, right and bottom, in input pixels.
        size: (height, width) of the input, in pixels.
        least: Lowest score of the result; at least `LEAST` is used.
    """
    places, kinds = np.nonzero(scores >= max(least, LEAST))
    found = scores[places, kinds]
    if len(found) > MOST:
        best = np.argpartition(-found, MOST)[:MOST]
        places, kinds, found = places[best], kinds[best], found[best]
    centres = centres_of(*size)[places]
    boxes = np.concatenate([centres - distances[places, :2], centres + distances[places, 2:]], axis=1)
    height, width = size
    boxes = (boxes / np.array([width, height, width, height], dtype=np.float32)).clip(0, 1)
    kept = suppress_duplicates(boxes, found, kinds, same=SAME, other=OTHER)
    return Decoded(boxes[kept], kinds[kept].astype(np.int64), found[kept])


def centres_of(height: int, width: int) -> Float32:
    """Centres of the locations, (A, 2) float32 as x and y in input pixels, in the order of the scores."""
    centres = []
    for stride in STRIDES:
        down, across = (np.arange(side // stride, dtype=np.float32) * stride + stride / 2 for side in (height, width))
        y, x = np.meshgrid(down, across, indexing="ij")
        centres.append(np.stack([x, y], axis=-1).reshape(-1, 2))
    return np.concatenate(centres)
