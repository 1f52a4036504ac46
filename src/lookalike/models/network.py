"""The network: backbone -> pooling -> embedding -> class heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError

Pooling = Literal["average", "gem"]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What a network is made of.

    Attributes:
        backbone: A name that timm knows.
        init: Where the backbone's weights come from: `timm` (its pretrained ones), a file (.npz, .pth, .safetensors,
            .onnx; relative to the TOML file), or empty for random ones.
        init_names: Table of two columns that translates the file's names into the backbone's; relative likewise.
        pooling: How the last map becomes one row.
        embedding: D, the length of the embedding.
        attention: Whether an exported model also gives the mean of its last map, which `color-original` is made from.
    """

    backbone: str = "mobilenetv2_100"
    init: str = ""
    init_names: str = ""
    pooling: Pooling = "average"
    embedding: int = 512
    attention: bool = False


class Network(nn.Module):
    """A backbone with an embedding on top, and on that the class heads that it is trained with.

    Args:
        settings: What it is made of; weights are random until `lookalike.models.initial` loads some.
        heads: Number of classes of each head.
        head_scale: Class scores are this times the cosine between embedding and class.
    """

    def __init__(self, settings: NetworkSettings, *, heads: Mapping[str, int], head_scale: float = 16.0) -> None:
        super().__init__()
        if settings.backbone not in timm.list_models():
            raise ConfigError(f"timm knows no backbone {settings.backbone!r}")
        self.settings = settings
        self.head_scale = head_scale
        self.backbone = timm.create_model(settings.backbone, pretrained=False, num_classes=0, global_pool="")
        self.power = nn.Parameter(torch.tensor(3.0)) if settings.pooling == "gem" else None
        channels: object = getattr(self.backbone, "head_hidden_size", self.backbone.num_features)
        self.embedding = nn.Linear(int(str(channels)), settings.embedding)
        self.heads = nn.ModuleDict(
            {_key(name): nn.Linear(settings.embedding, classes, bias=False) for name, classes in heads.items()}
        )

    def maps(self, photos: Tensor) -> Tensor:
        """The backbone's last map, (B, C, H, W), of normalised photos (B, 3, H, W)."""
        maps: Tensor = self.backbone(photos)
        return maps

    def embed_maps(self, maps: Tensor) -> Tensor:
        """Unit embeddings (B, D) of the backbone's last maps (B, C, H, W)."""
        if self.power is None:
            pooled = maps.mean(dim=(2, 3))
        else:
            pooled = maps.clamp(min=1e-6).pow(self.power).mean(dim=(2, 3)).pow(1.0 / self.power)
        return functional.normalize(self.embedding(pooled), dim=1)

    def forward(self, photos: Tensor) -> Tensor:
        """Unit embeddings (B, D) of normalised photos (B, 3, H, W)."""
        return self.embed_maps(self.maps(photos))

    def scores(self, head: str, embeddings: Tensor) -> Tensor:
        """Class scores (B, classes) of one head for unit embeddings (B, D): scaled cosines to the class centres."""
        centres = self.heads.get_parameter(f"{_key(head)}.weight")
        return self.head_scale * functional.linear(embeddings, functional.normalize(centres, dim=1))


def _key(head: str) -> str:
    """A head's name as a module's, where torch allows no dots and no names of its own methods, such as `type`."""
    return f"head_{head.replace('.', '_')}"
