"""The original system's network on current torchvision: ResNet-50, average pooling, 512 dimensions, 20 classes.

It imports nothing of Lookalike, so that timings of the original system do not include it.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

SIZE = 224


class OriginalNetwork(nn.Module):
    """Network from (B, 3, 224, 224) to deep features (B, 512), not normalised, and mean feature maps, (B, 7, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(*list(resnet50(weights=None).children())[:-2])
        self.fc = nn.Linear(2048, 512)
        self.fc2 = nn.Linear(512, 20)

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Embed photos."""
        maps = self.backbone(photos)
        return self.fc(maps.mean(dim=(2, 3))), maps.mean(dim=1)


def make_network() -> OriginalNetwork:
    """Make the network with seeded random weights; its speed does not depend on them."""
    torch.manual_seed(0)
    return OriginalNetwork().eval()
