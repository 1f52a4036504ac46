"""Finder network: a backbone, a feature pyramid of three maps, and a kind head and a box head for each map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.config import Length, Range
from lookalike.errors import ConfigError
from lookalike.models.finder.file_format import STRIDES

PRIOR = 0.01
"""Score of every kind at every location before training, since nearly all locations show background."""


@dataclass(frozen=True, slots=True)
class FinderNetworkSettings:
    """Architecture of a finder.

    Attributes:
        backbone: MobileNetV2 or EfficientNet of timm.
        init: Pretrained weights, as for `lookalike.models.network.NetworkSettings`.
        init_names: Name table of the pretrained weights, likewise.
        channels: Channels of the pyramid.
        depth: Convolutions of a head before its output layer.
    """

    backbone: Annotated[str, Length(least=1, most=200)] = "mobilenetv2_100"
    init: str = "default"
    init_names: str = ""
    channels: Annotated[int, Range(least=1, most=4096)] = 96
    depth: Annotated[int, Range(least=0, most=64)] = 2


class FinderNetwork(nn.Module):
    """Predict, for each location of a photo, the kinds of garments and the distances to the sides of their box.

    Args:
        backbone: Backbone of timm; its layers after the last map are removed.
        channels: Channels of the pyramid.
        depth: Convolutions of a head before its output layer.
        kinds: Number of kinds, K.

    Raises:
        ConfigError: The backbone has another structure.

    Source: Lin et al. 2017, Feature Pyramid Networks for Object Detection; Tian et al. 2019, FCOS.
    """

    def __init__(self, backbone: nn.Module, *, channels: int, depth: int, kinds: int) -> None:
        super().__init__()
        levels = {level["reduction"]: level for level in cast(Any, getattr(backbone, "feature_info", ()))}
        if not hasattr(backbone, "conv_stem") or any(stride not in levels for stride in STRIDES):
            raise ConfigError("expected a MobileNetV2 or an EfficientNet of timm as backbone of a finder")
        for unused in ("conv_head", "bn2", "global_pool", "classifier"):
            setattr(backbone, unused, nn.Identity())
        self.backbone: Any = backbone
        self.stages = [int(levels[stride]["module"].removeprefix("blocks.")) for stride in STRIDES]
        widths = [int(levels[stride]["num_chs"]) for stride in STRIDES]
        self.lateral = nn.ModuleList(_pointwise(width, channels) for width in widths)
        self.smooth = nn.ModuleList(_separable(channels) for _ in widths)
        self.kinds = nn.ModuleList(_head(channels, depth, kinds) for _ in widths)
        self.sides = nn.ModuleList(_head(channels, depth, 4) for _ in widths)
        for head in self.kinds:
            nn.init.constant_(cast(Any, head)[-1].bias, float(torch.logit(torch.tensor(PRIOR))))

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Compute logits and distances.

        Args:
            photos: (B, 3, H, W) normalised; H and W are multiples of 32.

        Returns:
            Logits (B, A, K) of the kinds, and distances (B, A, 4) to left, top, right and bottom in pixels of the
            input. The A locations are the cells of the three maps, finest map first, each map row by row.
        """
        logits, distances = [], []
        for stride, level, kinds, sides in zip(STRIDES, self._pyramid(photos), self.kinds, self.sides, strict=True):
            logits.append(kinds(level).flatten(2))
            distances.append(functional.softplus(sides(level)).flatten(2) * stride)
        return torch.cat(logits, dim=2).transpose(1, 2), torch.cat(distances, dim=2).transpose(1, 2)

    def _pyramid(self, photos: Tensor) -> list[Tensor]:
        """The three maps, finest first, each with the coarser ones added."""
        levels = [lateral(level) for lateral, level in zip(self.lateral, self._backbone_maps(photos), strict=True)]
        for fine in range(len(levels) - 2, -1, -1):
            levels[fine] = levels[fine] + functional.interpolate(levels[fine + 1], scale_factor=2.0, mode="nearest")
        return [smooth(level) for smooth, level in zip(self.smooth, levels, strict=True)]

    def _backbone_maps(self, photos: Tensor) -> list[Tensor]:
        features = self.backbone.bn1(self.backbone.conv_stem(photos))
        maps = []
        for number, stage in enumerate(self.backbone.blocks):
            features = stage(features)
            if number in self.stages:
                maps.append(features)
        return maps


def boxes_of(centres: Tensor, distances: Tensor) -> Tensor:
    """Boxes (..., 4) as x1, y1, x2, y2 from centres (..., 2) and distances (..., 4) to left, top, right, bottom."""
    return torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], dim=-1)


def _pointwise(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU6())


def _separable(channels: int) -> nn.Sequential:
    """A 5x5 depthwise convolution and a pointwise one."""
    depthwise = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)
    return nn.Sequential(depthwise, nn.BatchNorm2d(channels), nn.ReLU6(), *_pointwise(channels, channels))


def _head(channels: int, depth: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(*(_separable(channels) for _ in range(depth)), nn.Conv2d(channels, outputs, 1))
