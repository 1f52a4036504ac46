"""Relevance parts of the embedding, whose dot products are the expected graded relevance of two photos.

Photos that agree in the leading g of G labels have the graded relevance (2^g - 1) / (2^G - 1), as in NDCG
(`lookalike.evaluation.metrics`). Every combination of labels has a vector, so that the dot product of two vectors is
the relevance of their combinations. The vector of a photo is the mean of these vectors, weighted by the probabilities
of its class heads. The dot product of two photos is then their expected relevance, and a ranking by it is the best
that the heads allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor, nn

from lookalike.config import Length, Range
from lookalike.errors import ConfigError

COMBINATIONS = 2048
"""Largest number of combinations of labels, the most frequent ones."""

BALANCE = 0.5
"""Exponent of the frequency of a combination, its weight in the reduction of the vectors."""

SHARPNESS = 0.5
"""A photo's vector of length r <= 1 is scaled to the length r ** (1 - SHARPNESS). Shorter vectors leave more of the
embedding to the metric part, which disturbs the order; with 1, all vectors have unit length and uncertain photos rank
too high. Chosen on the default model's dev split."""


@dataclass(frozen=True, slots=True)
class RelevanceSettings:
    """Settings of a relevance part of the embedding.

    Attributes:
        labels: Class heads of the relevance, the leading one first.
        dimension: Largest dimension of the part.
        share: Largest fraction of the embedding's squared length, which is the part's weight.
    """

    labels: Annotated[tuple[str, ...], Length(least=1, most=100)]
    dimension: Annotated[int, Range(least=1, most=2048)] = 256
    share: Annotated[float, Range(above=0, below=1)] = 0.5


class RelevancePart(nn.Module):
    """Expected relevance from some of the class heads.

    Args:
        settings: Settings of the part.
        classes: Number of classes of each of its labels.

    Raises:
        ConfigError: The settings are invalid.
    """

    def __init__(self, settings: RelevanceSettings, *, classes: Mapping[str, int]) -> None:
        super().__init__()
        if not settings.labels or not 0 < settings.share < 1 or settings.dimension < 1:
            raise ConfigError(f"relevance needs labels, a share between 0 and 1, and a dimension above 0: {settings}")
        if unknown := [label for label in settings.labels if label not in classes]:
            raise ConfigError(f"relevance of {unknown[0]!r}: no class head of that name; heads: {sorted(classes)}")
        self.settings = settings
        self.places: Tensor
        self.vectors: Tensor
        self.make_room(combinations=1, dimension=settings.dimension)

    def make_room(self, *, combinations: int, dimension: int) -> None:
        """Reallocate the vectors; their values are lost."""
        self.register_buffer("places", torch.zeros(combinations, len(self.settings.labels), dtype=torch.int64))
        self.register_buffer("vectors", torch.zeros(combinations, dimension))

    def fit(self, labels: Tensor) -> None:
        """Compute the vectors of the combinations in the training data.

        Args:
            labels: (N, G) int64 class numbers of the training photos, a column for each label; -1 where unknown.

        Raises:
            ConfigError: No photo has all of the labels.
        """
        known = labels[(labels >= 0).all(dim=1)]
        if not len(known):
            raise ConfigError(f"relevance: no photo has all of the labels {', '.join(self.settings.labels)}")
        found, counts = torch.unique(known, dim=0, return_counts=True)
        kept = torch.sort(counts, descending=True, stable=True).indices[:COMBINATIONS]
        places, weights = found[kept], (counts[kept] / counts.sum()).double() ** (BALANCE / 2)
        # The best low-rank vectors for the relevance of frequent combinations: the leading eigenvectors.
        values, directions = torch.linalg.eigh(weights[:, None] * relevance(places) * weights[None, :])
        dimension = min(self.settings.dimension, len(places))
        lengths = values[-dimension:].clamp(min=0).sqrt()
        vectors = directions[:, -dimension:] * lengths / weights[:, None]
        self.make_room(combinations=len(places), dimension=dimension)
        self.places.copy_(places)
        self.vectors.copy_(vectors)

    def forward(self, scores: Sequence[Tensor]) -> Tensor:
        """Compute rows of length up to 1, (B, D), from the logits of each label's head, (B, classes) each."""
        belief: Tensor | None = None
        for column, score in enumerate(scores):
            factor = score.softmax(dim=1)[:, self.places[:, column]]
            belief = factor if belief is None else belief * factor
        assert belief is not None
        belief = belief / belief.sum(dim=1, keepdim=True).clamp(min=1e-12)
        rows = belief @ self.vectors
        length = rows.norm(dim=1, keepdim=True).clamp(min=1e-6)
        sharpened: Tensor = rows * length ** (-SHARPNESS)
        return sharpened


def relevance(places: Tensor) -> Tensor:
    """Return the graded relevance of every pair of combinations, (C, C) float64 in [0, 1].

    Args:
        places: (C, G) int64 class numbers, the leading label first.
    """
    agree = torch.ones(len(places), len(places), dtype=torch.bool)
    gain = torch.zeros(len(places), len(places), dtype=torch.float64)
    for column in range(places.shape[1]):
        agree &= places[:, None, column] == places[None, :, column]
        gain += agree * 2.0**column
    return gain / (2.0 ** places.shape[1] - 1)
