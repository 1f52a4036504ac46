"""Interfaces of embedders, and of what finds the garments to embed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt

from lookalike.kinds import KINDS
from lookalike.spaces import Space
from lookalike.types import Float32, Garment

if TYPE_CHECKING:
    from PIL.Image import Image

    from lookalike.embedding.calibration import Calibration
    from lookalike.images import Limits, Source

Prepared: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Prepared photo: arrays by name, such as the pixels for the network and the colours, and for some `KNOWN_KIND`."""

KNOWN_KIND: Final = "known kind"
"""Name of the place in `lookalike.kinds.KINDS` of the kind that a prepared photo is known to show."""


def with_kind(prepared: Prepared, kind: str | None) -> Prepared:
    """The same photo, known to show a garment of one of `lookalike.kinds.KINDS`; others and None say nothing."""
    return {**prepared, KNOWN_KIND: np.array(KINDS.index(kind))} if kind in KINDS else prepared


@dataclass(frozen=True, slots=True)
class Embeddings:
    """What an embedder computes of B photos.

    Attributes:
        vectors: (B, D) float32 by space.
        labels: (B, C) float32 by class head, probabilities of its classes; empty for a model without heads.
    """

    vectors: dict[str, Float32]
    labels: dict[str, Float32] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PhotoMap:
    """Last feature map of a photo, whose mean the embedding is made of.

    Attributes:
        cells: (h, w, C) float32.
        area: Left, top, right and bottom of the map, as fractions of the photo; beyond [0, 1] where the input of the
            network is filled.
    """

    cells: Float32
    area: tuple[float, float, float, float]


class GarmentFinder(Protocol):
    """Finds the garments to embed; `lookalike.finding.catalogue_finder.CatalogueFinder` does."""

    @property
    def model_id(self) -> str:
        """Name and fingerprint, such as `finder@9f3c21ab`."""
        ...

    def find(self, source: Source, *, limits: Limits) -> Sequence[Garment]:
        """Find the garments of a photo, the most prominent first. Thread-safe.

        Raises:
            PhotoError: The photo cannot be read.
        """
        ...


class Preparation(Protocol):
    """What is done to photos before the network runs."""

    @property
    def wanted_size(self) -> int:
        """Smallest side, in pixels, that photos need when decoded."""
        ...

    def prepare(self, photo: Image) -> Prepared:
        """Resize one photo for each network and for its colours. Thread-safe."""
        ...


class Embedder(Preparation, Protocol):
    """Embeds photos into one or more spaces."""

    @property
    def spaces(self) -> tuple[Space, ...]:
        """Spaces of the vectors, in the order of concatenation."""
        ...

    @property
    def fingerprint(self) -> str:
        """Model id, such as `default@9f3c21ab`."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may run the network in parallel."""
        ...

    @property
    def parallel_calls(self) -> int:
        """Number of threads that call `embed_prepared` in parallel to use all processors, at least 1."""
        ...

    @property
    def labels(self) -> Mapping[str, Sequence[str]]:
        """Class names by head, in the order of `Embeddings.labels`; empty for a model without heads."""
        ...

    @property
    def calibration(self) -> Calibration | None:
        """Calibration of the cosines of the space `deep`; None if there is none."""
        ...

    def embed_prepared(self, batch: Sequence[Prepared]) -> Embeddings:
        """Run the network on a batch of B prepared photos."""
        ...

    def embed(self, photos: Sequence[Image]) -> dict[str, Float32]:
        """Prepare and embed photos: (B, D) float32 unit vectors for each space, equal in any batch within 1e-5."""
        ...

    def map_of(self, photo: Image) -> PhotoMap:
        """Last feature map of a photo. Thread-safe where `embed_prepared` is.

        Raises:
            ModelError: The model gives no map.
        """
        ...


class SeparatePreparation(Preparation, Protocol):
    """Preparation that can be sent to other processes."""

    def finish(self, batch: Sequence[Prepared]) -> Sequence[Prepared]:
        """Do what else the network is not needed for, for B prepared photos; `embed_prepared` does the same."""
        ...


@runtime_checkable
class HasPreparation(Protocol):
    """Embedder whose photos other processes may prepare."""

    @property
    def preparation(self) -> SeparatePreparation | None:
        """What `prepare` does; None if other processes cannot do it."""
        ...
