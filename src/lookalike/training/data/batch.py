"""What is known of the photos of a batch, and what each of them was drawn for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

UNKNOWN = -1

EVERY_LOSS = -1
"""The role of a photo that takes part in all that is learnt."""

CLASSIFIED = -2
"""The role of a photo that takes part in the class heads only; those above are members of a drawn triplet."""


class View(NamedTuple):
    """One photo of a batch.

    Attributes:
        place: In the training data.
        seed: Of the change that is made to it.
        role: `EVERY_LOSS`, `CLASSIFIED`, or as `member` gives it.
    """

    place: int
    seed: int
    role: int = EVERY_LOSS


def member(triplet: int, part: int) -> int:
    """The role of an anchor (0), positive (1) or negative (2) of a triplet, which are numbered from 0 in each batch."""
    return 3 * triplet + part


@dataclass(frozen=True, slots=True)
class Batch:
    """What is known of the B photos of a whole batch, in the order of their embeddings.

    Attributes:
        roles: (B,) int64, what each was drawn for.
        products: (B,) int64 numbers from 0; -1 where a product takes no part in the metric losses.
        labels: For each class head, and each attribute that a metric loss is about: (B,) int64; -1 where unknown.
        tags: For each multi-label head: (B, T) float32, 1 where the photo has the tag, 0 where not, nan where unknown.
    """

    roles: Tensor
    products: Tensor
    labels: Mapping[str, Tensor]
    tags: Mapping[str, Tensor]
