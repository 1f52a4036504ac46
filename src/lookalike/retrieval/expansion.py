"""Alpha-weighted query expansion; on the gallery's side, database-side augmentation."""

from __future__ import annotations

import numpy as np

from lookalike.spaces import unit_rows
from lookalike.types import Float32

ALPHA = 3.0
"""Exponent of Radenovic et al.; larger values give far neighbours less weight."""


def expand(row: Float32, neighbours: Float32, scores: Float32, *, alpha: float = ALPHA) -> Float32:
    """Add neighbours to a vector, each weighted by its score to the power of alpha.

    Applied to the gallery's vectors with their own neighbours, this is database-side augmentation.

    Args:
        row: (..., D) float32 unit vectors.
        neighbours: (..., K, D) float32 unit vectors.
        scores: (..., K) float32 in [-1, 1]; neighbours with negative scores have no weight.
        alpha: At least 0; 0 is the plain mean.

    Returns:
        (..., D) float32 unit rows.

    Source: Radenovic et al. 2018, Fine-tuning CNN Image Retrieval with No Human Annotation, section 3.4; for the
    gallery's side Arandjelovic and Zisserman 2012, Three Things Everyone Should Know to Improve Object Retrieval.
    """
    shares = np.where(scores > 0, np.abs(scores) ** np.float32(alpha), np.float32(0))
    summed = row + np.einsum("...k,...kd->...d", shares, neighbours)
    return unit_rows(summed.reshape(-1, summed.shape[-1]).astype(np.float32)).reshape(summed.shape)
