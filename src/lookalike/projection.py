"""Shorter rows: principal components of a gallery's rows, and whitened, if that is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np

from lookalike.errors import UsageError
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32


@dataclass(frozen=True, slots=True, eq=False)
class Projection:
    """From rows of one length to unit rows of a smaller one.

    Attributes:
        mean: (D,) float32, of the rows that it was learned from.
        components: (D, d) float32, a column for each new dimension; whitened, it is divided by its standard deviation.
        kept: Share of the rows' variance that the d components hold, in [0, 1].
    """

    mean: Float32
    components: Float32
    kept: float

    @property
    def dimension(self) -> int:
        """Length of the projected rows."""
        return int(self.components.shape[1])

    def apply(self, rows: Float32) -> Float32:
        """Project rows: (B, D) float32 to (B, d) float32 unit rows."""
        return unit_rows(((rows - self.mean) @ self.components).astype(np.float32))

    def space(self, source: Space) -> Space:
        """The space of the projected rows: of the same name, and made by both the model and this projection."""
        digest = hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()[:8]
        return Space(source.name, self.dimension, f"{source.model_id}/pca{self.dimension}@{digest}")

    def to_bytes(self) -> bytes:
        """As a gallery keeps it."""
        file = BytesIO()
        np.savez(file, mean=self.mean, components=self.components, kept=np.float64(self.kept))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """Read what `to_bytes` wrote."""
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["mean"], arrays["components"], float(arrays["kept"]))


def learn_projection(blocks: Callable[[], Iterable[Float32]], *, dimension: int, whiten: float = 0.0) -> Projection:
    """Find the directions in which rows vary most.

    Args:
        blocks: Starts over with the rows each time it is called; each block is (B, D) float32.
        dimension: d, at least 1, at most D; there must be more rows than that.
        whiten: In [0, 1], the power of its standard deviation that each direction is divided by: 0 leaves all as they
            are, 1 makes all vary alike.

    Raises:
        UsageError: There are too few rows, they vary in fewer directions, or a number is out of range.

    Source: Jegou and Chum 2012, Negative Evidences and Co-occurrences in Image Retrieval: the Benefit of PCA and
    Whitening.
    """
    if not 0 <= whiten <= 1:
        raise UsageError(f"whiten must be between 0 and 1, got {whiten:g}")
    sums = [(len(block), block.sum(axis=0, dtype=np.float64)) for block in blocks()]
    count = sum(rows for rows, _ in sums)
    if count <= dimension:
        raise UsageError(f"{dimension} dimensions need more than {dimension} rows to learn from, and there are {count}")
    mean = np.sum([total for _, total in sums], axis=0) / count
    products = np.zeros((len(mean), len(mean)))
    for block in blocks():
        centred = block.astype(np.float64) - mean
        products += centred.T @ centred
    if not 1 <= dimension <= len(mean):
        raise UsageError(f"rows of {len(mean)} numbers can be reduced to 1 to {len(mean)}, and not to {dimension}")
    variances, directions = np.linalg.eigh(products / count)
    variances, directions = variances[::-1], directions[:, ::-1]
    varied = int((variances > variances[0] * 1e-9).sum()) if variances[0] > 0 else 0
    if varied < dimension:
        raise UsageError(f"the rows vary in {varied} directions only; reduce them to at most that many dimensions")
    taken = directions[:, :dimension]
    largest = np.abs(taken).argmax(axis=0)
    taken = taken * np.sign(taken[largest, np.arange(dimension)])  # else their signs are chance
    components = (taken / variances[:dimension] ** (whiten / 2)).astype(np.float32)
    return Projection(mean.astype(np.float32), components, float(variances[:dimension].sum() / variances.sum()))
