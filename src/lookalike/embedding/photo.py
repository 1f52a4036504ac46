"""The embedder that the product uses: a network for what a garment is, and a descriptor for its colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from lookalike.embedding.color import Color
from lookalike.embedding.network import INPUT, Network
from lookalike.embedding.protocol import Prepared
from lookalike.errors import ModelError
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32

UNIT_TOLERANCE = 1e-3


class PhotoEmbedder:
    """Deep and colour rows of photos; implements `lookalike.embedding.protocol.Embedder`."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._preprocessing = network.identity.preprocessing
        self._color = Color()
        self.spaces: tuple[Space, ...] = (
            Space("deep", network.dimension, network.identity.maker),
            self._color.space,
        )

    @property
    def fingerprint(self) -> str:
        """Names the network, such as `default@9f3c21ab`."""
        return self.network.identity.maker

    @property
    def wanted_size(self) -> int:
        """Decode photos so that both sides keep at least this many pixels."""
        return max(self._preprocessing.height, self._preprocessing.width, self._preprocessing.short_side)

    def prepare(self, photo: Image) -> Prepared:
        """Resize, normalise and measure the colour of one photo. Safe in several threads at once."""
        return {INPUT: self._preprocessing(photo), self._color.space.name: self._color.describe(photo)}

    def embed_prepared(self, batch: Sequence[Prepared]) -> dict[str, Float32]:
        """Run the network on B prepared photos: (B, D) float32 unit rows for each space.

        Raises:
            ModelError: The network's rows are not of unit length.
        """
        outputs = self.network.run(np.stack([prepared[INPUT] for prepared in batch]))
        lengths = np.linalg.norm(outputs.embedding, axis=1)
        if not np.allclose(lengths, 1.0, atol=UNIT_TOLERANCE):
            raise ModelError(f"the model {self.fingerprint} gives rows of length {lengths[0]:.4g} instead of 1")
        color = self._color.space.name
        return {"deep": unit_rows(outputs.embedding), color: np.stack([prepared[color] for prepared in batch])}

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])
