"""Embedder with PCA projections, which a gallery stores and applies to queries too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL.Image import Image

from lookalike.embedding.protocol import Embedder, Prepared
from lookalike.projection import Projection
from lookalike.spaces import Space
from lookalike.types import Float32


class ProjectedEmbedder:
    """Embedder with PCA projections of some of its spaces; implements `lookalike.embedding.protocol.Embedder`."""

    def __init__(self, embedder: Embedder, projections: Mapping[str, Projection]) -> None:
        """Put projections behind an embedder.

        Args:
            embedder: Makes the rows.
            projections: By the name of the space; a space without one stays as it is.
        """
        self._embedder = embedder
        self._projections = projections
        self.spaces: tuple[Space, ...] = tuple(
            projections[space.name].space(space) if self._fits(space) else space for space in embedder.spaces
        )

    @property
    def fingerprint(self) -> str:
        """Names the model exactly."""
        return self._embedder.fingerprint

    @property
    def wanted_size(self) -> int:
        """Decode photos so that both sides keep at least this many pixels."""
        return self._embedder.wanted_size

    @property
    def concurrent(self) -> bool:
        """Whether several threads may run the network at once."""
        return self._embedder.concurrent

    def prepare(self, photo: Image) -> Prepared:
        """Do all that is done photo by photo. Safe in several threads at once."""
        return self._embedder.prepare(photo)

    def embed_prepared(self, batch: Sequence[Prepared]) -> dict[str, Float32]:
        """Run the model on a batch of prepared photos: (B, D) float32 unit rows for each space."""
        rows = self._embedder.embed_prepared(batch)
        projected = {space.name for space in self._embedder.spaces if self._fits(space)}
        return {name: self._projections[name].apply(part) if name in projected else part for name, part in rows.items()}

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])

    def _fits(self, space: Space) -> bool:
        """Whether there is a projection of rows of this length; of another model's there is none, and it is refused."""
        projection = self._projections.get(space.name)
        return projection is not None and len(projection.mean) == space.dimension
