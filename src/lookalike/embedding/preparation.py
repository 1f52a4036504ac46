"""Preparation of photos for networks and for the colour embedding, without the networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy.typing as npt
from PIL.Image import Image

from lookalike.embedding.color import Color
from lookalike.embedding.protocol import Prepared
from lookalike.models.preprocessing import Preprocessing
from lookalike.types import Float32, UInt8

COLORS: Final = "colors"
"""Name of the colours of a prepared photo. They are embedded in a batch, since their tables are in no cache after a
photo was decoded: 150 microseconds a photo in a batch of 4, and 330 alone."""


class PhotoPreparation:
    """Preparation of photos, also in other processes; implements `lookalike.embedding.protocol.SeparatePreparation`.

    Args:
        steps: Preprocessing by name of the space of each network.
    """

    def __init__(self, steps: Mapping[str, Preprocessing]) -> None:
        self._steps, self.color = dict(steps), Color()
        self.wanted_size = max(each.wanted_size for each in self._steps.values())

    def __reduce__(self) -> tuple[type[PhotoPreparation], tuple[Mapping[str, Preprocessing]]]:
        """Leave out the tables of the colour embedding, which each process reads from its own file."""
        return type(self), (self._steps,)

    def prepare(self, photo: Image) -> Prepared:
        """Resize one photo for each network, (3, H, W) uint8, and for its colours, `Color.colors`. Thread-safe."""
        done: dict[Preprocessing, UInt8] = {}
        prepared: dict[str, npt.NDArray[Any]] = {COLORS: self.color.colors(photo)}
        for name, steps in self._steps.items():
            if steps not in done:
                done[steps] = steps.pixels(photo)
            prepared[name] = done[steps]
        return prepared

    def finish(self, batch: Sequence[Prepared]) -> list[Prepared]:
        """Embed the colours of those of B photos that lack that: (D,) float32 by the name of the space."""
        begun = [each for each in batch if COLORS in each]
        rows = iter(self.color.embed_colors([each[COLORS] for each in begun]) if begun else ())
        return [self._with_colors(each, next(rows)) if COLORS in each else each for each in batch]

    def _with_colors(self, prepared: Prepared, row: Float32) -> Prepared:
        rest = {name: array for name, array in prepared.items() if name != COLORS}
        return {**rest, self.color.space.name: row}
