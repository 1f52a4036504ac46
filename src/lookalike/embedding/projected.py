"""Embedder with the PCA projections of a gallery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from PIL.Image import Image

from lookalike.embedding.calibration import Calibration
from lookalike.embedding.protocol import Embedder, Embeddings, HasPreparation, PhotoMap, Prepared, SeparatePreparation
from lookalike.projection import Projection
from lookalike.spaces import Space
from lookalike.types import Float32


class ProjectedEmbedder:
    """Embedder with PCA projections of some of its spaces; implements `lookalike.embedding.protocol.Embedder`."""

    def __init__(self, embedder: Embedder, projections: Mapping[str, Projection]) -> None:
        """Wrap an embedder.

        Args:
            embedder: Embedder whose vectors are projected.
            projections: Projections by name of the space; other spaces stay as they are.
        """
        self._embedder = embedder
        self._projections = projections
        self.spaces: tuple[Space, ...] = tuple(
            projections[space.name].space(space) if self._fits(space) else space for space in embedder.spaces
        )

    @property
    def fingerprint(self) -> str:
        """Model id, such as `default@9f3c21ab`."""
        return self._embedder.fingerprint

    @property
    def wanted_size(self) -> int:
        """Smallest side, in pixels, that photos need when decoded."""
        return self._embedder.wanted_size

    @property
    def concurrent(self) -> bool:
        """Whether several threads may run the network in parallel."""
        return self._embedder.concurrent

    @property
    def parallel_calls(self) -> int:
        """Number of threads that call `embed_prepared` in parallel to use all processors."""
        return self._embedder.parallel_calls

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Class names by head."""
        return self._embedder.labels

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the model; None if its vectors are projected, since their cosines are others."""
        return None if "deep" in self._projections else self._embedder.calibration

    @property
    def preparation(self) -> SeparatePreparation | None:
        """What `prepare` does; None if other processes cannot do it."""
        return self._embedder.preparation if isinstance(self._embedder, HasPreparation) else None

    def prepare(self, photo: Image) -> Prepared:
        """Resize one photo for each network and for its colours. Thread-safe."""
        return self._embedder.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        """Run the network on a batch of B prepared photos, and project."""
        embedded = self._embedder.embed_prepared(batch)
        projected = {space.name for space in self._embedder.spaces if self._fits(space)}
        vectors = {
            name: self._projections[name].apply(part) if name in projected else part
            for name, part in embedded.vectors.items()
        }
        return replace(embedded, vectors=vectors)

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and embed photos: (B, D) float32 unit vectors for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos]).vectors

    def map_of(self, photo: Image) -> PhotoMap:
        """Last feature map of a photo, which is not projected."""
        return self._embedder.map_of(photo)

    def _fits(self, space: Space) -> bool:
        """Whether a space has a projection of its dimension; a mismatch is left to the compatibility check."""
        projection = self._projections.get(space.name)
        return projection is not None and len(projection.mean) == space.dimension
