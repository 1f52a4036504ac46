"""The embedder that the product uses: a network for what a garment is, and a descriptor for its colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL.Image import Image

from lookalike.embedding.color import Color
from lookalike.embedding.color_original import DIMENSION, SIDE, color_original
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
        deep = Space("deep", network.dimension, network.identity.maker)
        self.spaces: tuple[Space, ...] = (deep, self._color.space)
        if network.has_attention and (self._preprocessing.height, self._preprocessing.width) == (SIDE, SIDE):
            self.spaces += (Space("color-original", DIMENSION, network.identity.maker),)

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
        """Run the network on B prepared photos: (B, D) float32 for each space.

        Rows are of unit length, but for those of `color-original`, which are the original's numbers as they are.

        Raises:
            ModelError: The network's rows are not of unit length.
        """
        pixels = np.stack([prepared[INPUT] for prepared in batch])
        outputs = self.network.run(pixels)
        lengths = np.linalg.norm(outputs.embedding, axis=1)
        if not np.allclose(lengths, 1.0, atol=UNIT_TOLERANCE):
            raise ModelError(f"the model {self.fingerprint} gives rows of length {lengths[0]:.4g} instead of 1")
        color = self._color.space.name
        rows = {"deep": unit_rows(outputs.embedding), color: np.stack([prepared[color] for prepared in batch])}
        if len(self.spaces) > len(rows) and outputs.attention is not None:
            rows["color-original"] = color_original(pixels, outputs.attention)
        return rows

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and run: (B, D) float32 unit rows for each space."""
        return self.embed_prepared([self.prepare(photo) for photo in photos])
