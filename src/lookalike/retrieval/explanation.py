"""Why a match looks similar: the regions of query and match that agree most."""

from __future__ import annotations

import numpy as np

from lookalike.spaces import unit_rows
from lookalike.types import Float32


def agreement(cells: Float32, others: Float32) -> Float32:
    """How much each cell of a photo agrees with another photo, (h, w) float32 in [0, 1].

    The squared cosine between the cell and the most similar cell of the other photo, times the weight of the cell in
    its photo: its dot product with the mean cell, as a fraction of the largest one. Plain background has little weight.

    Args:
        cells: (h, w, C) float32, last feature map of the photo.
        others: (h', w', C) float32, last feature map of the other photo.

    Source: Stylianou, Souvenir, Pless 2019, Visualizing Deep Similarity Networks (the weight, which is their
        decomposition of the dot product of two averages, of a photo with itself).
    """
    mine, theirs = cells.reshape(-1, cells.shape[-1]), others.reshape(-1, others.shape[-1])
    weights = np.maximum(mine @ mine.mean(axis=0), 0.0)
    weights /= max(float(weights.max()), 1e-12)
    nearest = (unit_rows(mine) @ unit_rows(theirs).T).max(axis=1)
    agreed: Float32 = np.clip(nearest, 0.0, 1.0) ** 2 * weights
    return agreed.reshape(cells.shape[:2])
