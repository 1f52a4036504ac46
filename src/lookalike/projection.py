"""PCA projections of a space's vectors, optionally whitened."""

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
    """PCA projection of vectors to unit vectors of a smaller dimension.

    Attributes:
        mean: (D,) float32 mean of the training vectors.
        components: (D, d) float32 principal components, as columns; if whitened, divided by standard deviations.
        kept: Fraction of the variance in the d components, in [0, 1].
    """

    mean: Float32
    components: Float32
    kept: float

    @property
    def dimension(self) -> int:
        """Dimension of the projected vectors."""
        return int(self.components.shape[1])

    def apply(self, rows: Float32) -> Float32:
        """Project vectors, (B, D) float32, to unit vectors, (B, d) float32."""
        return unit_rows(((rows - self.mean) @ self.components).astype(np.float32))

    def space(self, source: Space) -> Space:
        """The space of the projected rows: of the same name, and made by both the model and this projection."""
        digest = hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()[:8]
        return Space(source.name, self.dimension, f"{source.model_id}/pca{self.dimension}@{digest}")

    def to_bytes(self) -> bytes:
        """Serialise the projection, for a gallery."""
        file = BytesIO()
        np.savez(file, mean=self.mean, components=self.components, kept=np.float64(self.kept))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Projection:
        """Deserialise a projection."""
        with np.load(BytesIO(data), allow_pickle=False) as arrays:
            return cls(arrays["mean"], arrays["components"], float(arrays["kept"]))


def learn_projection(blocks: Callable[[], Iterable[Float32]], *, dimension: int, whiten: float = 0.0) -> Projection:
    """Learn a PCA projection.

    Args:
        blocks: Returns an iterator over the vectors, in blocks of (B, D) float32; called twice.
        dimension: d, at least 1, at most D, and less than the number of vectors.
        whiten: Exponent of the standard deviation that each component is divided by, in [0, 1]: 0 keeps the variances,
            1 makes them equal.

    Raises:
        UsageError: There are too few vectors, their rank is below `dimension`, or a number is out of range.

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
    taken = taken * np.sign(taken[largest, np.arange(dimension)])  # fix the signs, which are arbitrary
    components = (taken / variances[:dimension] ** (whiten / 2)).astype(np.float32)
    return Projection(mean.astype(np.float32), components, float(variances[:dimension].sum() / variances.sum()))
