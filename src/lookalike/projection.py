"""PCA projections of a space's vectors, optionally whitened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO

import numpy as np

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
        """Space of the projected vectors: the same name, and a model id of model and projection."""
        digest = hashlib.sha256(self.mean.tobytes() + self.components.tobytes()).hexdigest()[:8]
        return Space(source.name, self.dimension, f"{source.model_id}/pca{self.dimension}@{digest}", source.dtype)

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
