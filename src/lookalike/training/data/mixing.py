"""Mixing of the photos of a batch, for class heads: mixup and CutMix."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lookalike.training.settings.photo_settings import AugmentationSettings


@dataclass(frozen=True, slots=True)
class Mixed:
    """A batch of mixed photos.

    Attributes:
        photos: (B, 3, H, W) float32.
        others: (B,) int64, the place in the batch of the photo that each was mixed with.
        share: Share of the first photo in each, in [0, 1].
    """

    photos: Tensor
    others: Tensor
    share: float


def draw_mixture(settings: AugmentationSettings) -> Tensor:
    """Draw how a batch is mixed, (4,) float32, by torch's random numbers.

    Returns:
        The share of the first photo; 1 if a rectangle is cut, else 0; and its centre, as fractions of the height and
        the width.
    """
    cut = settings.cutmix > 0 and (settings.mixup == 0 or float(torch.rand(())) < 0.5)
    alpha = settings.cutmix if cut else settings.mixup
    share = torch.distributions.Beta(alpha, alpha).sample()
    return torch.cat([torch.stack([share, torch.tensor(float(cut))]), torch.rand(2)])


def mix(photos: Tensor, mixture: Tensor) -> Mixed:
    """Mix each photo of a batch with another one.

    Sources: Zhang et al. 2018, mixup: Beyond Empirical Risk Minimization; Yun et al. 2019, CutMix.

    Args:
        photos: (B, 3, H, W) float32.
        mixture: Result of `draw_mixture`. When a rectangle is cut, its part of the area decides the share.
    """
    share, cut, y, x = mixture.tolist()
    others = torch.randperm(len(photos), device=photos.device)
    if not cut:
        return Mixed(share * photos + (1.0 - share) * photos[others], others, share)
    height, width = photos.shape[2:]
    down, across = (math.sqrt(1.0 - share) * side for side in (height, width))
    top, bottom = max(0, round(y * height - down / 2)), min(height, round(y * height + down / 2))
    left, right = max(0, round(x * width - across / 2)), min(width, round(x * width + across / 2))
    mixed = photos.clone()
    mixed[:, :, top:bottom, left:right] = photos[others][:, :, top:bottom, left:right]
    return Mixed(mixed, others, 1.0 - (bottom - top) * (right - left) / (height * width))
