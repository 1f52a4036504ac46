"""What the pipeline and the retriever need from whatever turns photos into vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeAlias

from PIL.Image import Image

from lookalike.spaces import Space
from lookalike.types import Float32

Prepared: TypeAlias = Mapping[str, Float32]
"""One photo made ready: arrays by name, such as the network's normalised input and finished colour rows."""


class Embedder(Protocol):
    """Turns photos into unit rows, one for each of its spaces."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """What it makes, in the order of the concatenated rows."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names the model exactly, such as `default@9f3c21ab`; the maker of its deep space."""
        ...

    @property
    def wanted_size(self) -> int:
        """Decode photos so that both sides keep at least this many pixels (the photo's own size permitting)."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may run the network at once, each on a processor of its own."""
        ...

    def prepare(self, photo: Image) -> Prepared:
        """Do all that is done photo by photo: resize, normalise, measure colour. Safe in several threads at once."""
        ...

    def embed_prepared(self, batch: Sequence[Prepared]) -> dict[str, Float32]:
        """Run the network on a batch of prepared photos: (B, D) float32 unit rows for each space."""
        ...

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and run: (B, D) float32 unit rows for each space, the same for a photo in any batch within 1e-5."""
        ...
