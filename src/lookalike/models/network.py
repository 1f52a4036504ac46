"""The network: backbone -> pooling -> heads and embedding, which may hold what the heads expect."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ConfigError
from lookalike.models.backbones import Pooling, make_backbone
from lookalike.models.relevance import RelevancePart, RelevanceSettings

HeadKind = Literal["cosine", "linear"]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What a network is made of.

    Attributes:
        backbone: A name that timm knows, `torchvision:resnet50`, or `open_clip:ViT-B-32`; see
            `lookalike.models.backbones`.
        init: Where the first weights come from: empty for random ones; `default` for those of the model that is
            shipped, whose backbone is `mobilenetv2_100`; a file (.npz, .pth, .pth.tar, .safetensors,
            .onnx; relative to the TOML file), which may be a model that the original system saved; or the name that
            pretrained weights have in the backbone's library: `timm`, torchvision's `IMAGENET1K_V2`, or a tag of
            open_clip such as `laion2b_s34b_b79k`.
        init_names: Table of two columns that translates the file's names into the backbone's; relative likewise.
        pooling: How maps or tokens become one row: `average`, `gem` (generalised mean), `cls` (the class token), or
            `own`, whatever the backbone itself does.
        embedding: D, the length of the embedding; 0 takes the pooled row as it is.
        normalise: Whether embeddings are scaled to length 1; the original's are not.
        heads: Class scores are `head_scale` times the cosine between embedding and class, or a `linear` function of
            the embedding with a bias.
        head_scale: See `heads`.
        relevance: Parts of a longer embedding that hold what photos probably are; see `lookalike.models.relevance`.
            The heads then read the pooled row, and the metric losses the rest of the embedding, `embedding` numbers.
        attention: Whether a model also gives the mean of its last map, which `color-original` is made from.
    """

    backbone: str = "mobilenetv2_100"
    init: str = ""
    init_names: str = ""
    pooling: Pooling = "average"
    embedding: int = 512
    normalise: bool = True
    heads: HeadKind = "cosine"
    head_scale: float = 16.0
    relevance: tuple[RelevanceSettings, ...] = ()
    attention: bool = False


class Network(nn.Module):
    """A backbone with an embedding on top, and on that the heads that it is trained with.

    Args:
        settings: What it is made of; weights are random until `lookalike.models.weight_readers` loads some.
        heads: Number of classes, or of tags, of each head.
        described: What the backbone is made of, as a checkpoint has it; empty to look it up by its name.

    Raises:
        UnknownNameError: There is no such backbone.
        ConfigError: The settings do not go together.
    """

    def __init__(self, settings: NetworkSettings, *, heads: Mapping[str, int], described: str = "") -> None:
        super().__init__()
        self.settings = settings
        self.backbone, self.shape = make_backbone(settings.backbone, settings.pooling, described=described)
        if settings.attention and self.shape.kind != "maps":
            raise ConfigError(f"{settings.backbone}: gives no maps, and `attention` is made of them")
        self.power = nn.Parameter(torch.tensor(3.0)) if settings.pooling == "gem" else None
        self.metric_dimension = settings.embedding or self.shape.channels
        self.embedding = nn.Linear(self.shape.channels, self.metric_dimension) if settings.embedding else nn.Identity()
        self.relevance = nn.ModuleList(RelevancePart(part, classes=heads) for part in settings.relevance)
        if settings.relevance and (sum(part.share for part in settings.relevance) >= 1 or not settings.normalise):
            raise ConfigError("the shares of relevance must sum to less than 1, of embeddings that are normalised")
        read = self.shape.channels if settings.relevance else self.metric_dimension
        self.heads = nn.ModuleDict(
            {
                head_key(name): nn.Linear(read, classes, bias=settings.heads == "linear")
                for name, classes in heads.items()
            }
        )

    @property
    def dimension(self) -> int:
        """D, the length of the embedding with all its parts."""
        return self.metric_dimension + sum(part.vectors.shape[1] for part in self.relevance_parts)

    @property
    def relevance_parts(self) -> list[RelevancePart]:
        """The parts that hold what photos probably are."""
        return [part for part in self.relevance if isinstance(part, RelevancePart)]

    def maps(self, photos: Tensor) -> Tensor:
        """What the backbone gives for normalised photos (B, 3, H, W): maps, tokens or rows, as `shape` says."""
        features: Tensor = self.backbone(photos)
        return features.permute(0, 3, 1, 2) if self.shape.last else features

    def pooled(self, maps: Tensor) -> Tensor:
        """One row for each photo, (B, C), of what `maps` gives."""
        if self.settings.pooling == "own":
            return maps
        if self.settings.pooling == "cls":
            return maps[:, 0]
        # Some backbones without a class token, such as MLP-Mixer, give tokens too.
        cells = maps.flatten(2) if maps.ndim == 4 else maps[:, self.shape.prefix :].transpose(1, 2)
        if self.power is None:
            return cells.mean(dim=2)
        return cells.clamp(min=1e-6).pow(self.power).mean(dim=2).pow(1.0 / self.power)

    def metric_rows(self, pooled: Tensor) -> Tensor:
        """What the metric losses are about, for pooled rows: of length 1 unless the settings leave them as they are."""
        rows: Tensor = self.embedding(pooled)
        return functional.normalize(rows, dim=1) if self.settings.normalise else rows

    def read_rows(self, pooled: Tensor, metric: Tensor) -> Tensor:
        """What the heads read: pooled rows, where the embedding holds what they expect; otherwise the metric rows."""
        return pooled if self.settings.relevance else metric

    def embed_maps(self, maps: Tensor) -> Tensor:
        """Embeddings (B, D) of what `maps` gives; of length 1 unless the settings leave them as they are."""
        pooled = self.pooled(maps)
        metric = self.metric_rows(pooled)
        if not self.settings.relevance:
            return metric
        parts = [
            math.sqrt(part.settings.share) * part([self.scores(label, pooled) for label in part.settings.labels])
            for part in self.relevance_parts
        ]
        expected = torch.cat(parts, dim=1)
        left = (1.0 - (expected * expected).sum(dim=1, keepdim=True)).clamp(min=0.0).sqrt()
        return torch.cat([expected, left * metric], dim=1)

    def forward(self, photos: Tensor) -> Tensor:
        """Embeddings (B, D) of normalised photos (B, 3, H, W)."""
        return self.embed_maps(self.maps(photos))

    def scores(self, head: str, read: Tensor) -> Tensor:
        """Scores (B, classes) of one head for `read_rows`: what a softmax, or for tags a sigmoid, is taken of."""
        layer = self.heads.get_submodule(head_key(head))
        assert isinstance(layer, nn.Linear)
        if self.settings.heads == "linear":
            scores: Tensor = layer(read)
            return scores
        centres = functional.normalize(layer.weight, dim=1)
        return self.settings.head_scale * functional.linear(functional.normalize(read, dim=1), centres)


def head_key(head: str) -> str:
    """A head's name as a module's, where torch allows no dots and no names of its own methods, such as `type`."""
    return f"head_{head.replace('.', '_')}"
