"""A batch of views with its labels, and the role of each photo in the losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

UNKNOWN = -1

EVERY_LOSS = -1
"""Role of a photo in all losses."""

CLASSIFIED = -2
"""Role of a photo in the class heads only; roles from 0 are members of drawn triplets."""


class View(NamedTuple):
    """One augmented view of a photo.

    Attributes:
        place: Row of the photo in the training data.
        seed: Seed of the augmentation.
        role: `EVERY_LOSS`, `CLASSIFIED`, or the result of `member`.
    """

    place: int
    seed: int
    role: int = EVERY_LOSS


def member(triplet: int, part: int) -> int:
    """Return the role of the anchor (0), positive (1) or negative (2) of a triplet, numbered from 0 in each batch."""
    return 3 * triplet + part


@dataclass(frozen=True, slots=True)
class Batch:
    """Labels of the B photos of a whole batch, in the order of their embeddings.

    Attributes:
        roles: (B,) int64, role of each photo in the losses.
        products: (B,) int64 product numbers from 0; -1 for products outside the metric losses.
        labels: (B,) int64 class numbers by label of a class head or metric loss; -1 where unknown.
        tags: (B, T) float32 by multi-label head: 1 where the photo has the tag, 0 where not, nan where unknown.
        targets: (B, T) float32, embeddings of the teacher, nan where it has none; None without a teacher.
    """

    roles: Tensor
    products: Tensor
    labels: Mapping[str, Tensor]
    tags: Mapping[str, Tensor]
    targets: Tensor | None = None
