"""A part of the embedding that holds what photos probably are, so that dot products are expected relevance.

Photos whose leading g of G labels agree have the graded relevance (2^g - 1) / (2^G - 1), as NDCG counts it
(`lookalike.evaluation.metrics`). Every combination of labels gets a vector such that the dot products of two vectors
are the relevance of their combinations. A photo lies where the vectors lie that its class heads expect, each as much
as they believe in it. So the dot product of two photos is the relevance that is to be expected of them, and a ranking
by it is the best one that the heads can give.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lookalike.errors import ConfigError

COMBINATIONS = 2048
"""So many of the most frequent combinations of labels are known; rarer ones lie between them."""

BALANCE = 0.5
"""How much the frequent combinations decide what a shortened vector keeps: their frequency to this power."""

SHARPNESS = 0.5
"""A photo's vector, of length r <= 1, is made r ** (1 - SHARPNESS) long. Shorter vectors leave more of the embedding to
what photos look like, which disturbs the order; with 1, all would be of length 1 and doubtful photos would rank too
high. Chosen on the default model's dev split."""


@dataclass(frozen=True, slots=True)
class RelevanceSettings:
    """One part of the embedding.

    Attributes:
        labels: The leading one first; each is a class head.
        dimension: Most numbers of it.
        share: Of the squared length of the embedding, at most: how much it counts beside the other parts.
    """

    labels: tuple[str, ...]
    dimension: int = 256
    share: float = 0.5


class RelevancePart(nn.Module):
    """What photos probably are, by some of the heads.

    Args:
        settings: Of the part.
        classes: Number of classes of each of its labels.

    Raises:
        ConfigError: The settings make no sense.
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
        """Give the vectors another number and length; what they hold is lost."""
        self.register_buffer("places", torch.zeros(combinations, len(self.settings.labels), dtype=torch.int64))
        self.register_buffer("vectors", torch.zeros(combinations, dimension))

    def fit(self, labels: Tensor) -> None:
        """Make the vectors of the combinations that occur.

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
        # The best short vectors for the relevance of frequent combinations: its leading eigenvectors.
        values, directions = torch.linalg.eigh(weights[:, None] * relevance(places) * weights[None, :])
        dimension = min(self.settings.dimension, len(places))
        lengths = values[-dimension:].clamp(min=0).sqrt()
        vectors = directions[:, -dimension:] * lengths / weights[:, None]
        self.make_room(combinations=len(places), dimension=dimension)
        self.places.copy_(places)
        self.vectors.copy_(vectors)

    def forward(self, scores: Sequence[Tensor]) -> Tensor:
        """Rows of a length up to 1, (B, D), for the scores of each label's head, (B, classes) each."""
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
    """The graded relevance of every combination for every other, (C, C) float64 in [0, 1].

    Args:
        places: (C, G) class numbers, the leading label first.
    """
    agree = torch.ones(len(places), len(places), dtype=torch.bool)
    gain = torch.zeros(len(places), len(places), dtype=torch.float64)
    for column in range(places.shape[1]):
        agree &= places[:, None, column] == places[None, :, column]
        gain += agree * 2.0**column
    return gain / (2.0 ** places.shape[1] - 1)
