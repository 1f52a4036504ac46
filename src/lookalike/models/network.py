"""The network: backbone, pooling, embedding and heads."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookalike.config import Length, Range
from lookalike.errors import ConfigError
from lookalike.models.backbones import Pooling, make_backbone
from lookalike.models.relevance import RelevancePart, RelevanceSettings

HeadKind = Literal["cosine", "linear"]


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Settings of a network.

    Attributes:
        backbone: Name of a backbone: a timm model, `torchvision:resnet50`, or `open_clip:ViT-B-32`; see
            `lookalike.models.backbones`.
        init: Pretrained weights: empty for random ones; `default` for those of the default model, whose backbone is
            `mobilenetv2_100`; a file (.npz, .pth, .pth.tar, .safetensors, .onnx; relative to the TOML file), which may
            be a saved model of the original system; or a name in the backbone's library: `timm`, torchvision's
            `IMAGENET1K_V2`, or a tag of open_clip such as `laion2b_s34b_b79k`.
        init_names: CSV table of two columns that maps the file's tensor names to the backbone's; relative to the TOML
            file.
        pooling: Pooling of maps or tokens: `average`, `gem` (generalised mean), `cls` (the class token), or `own`, the
            backbone's own.
        embedding: Dimension of the embedding layer; 0 uses the pooled row.
        normalise: Whether embeddings are scaled to unit length; those of the original system are not.
        heads: Class scores: `cosine`, `head_scale` times the cosine between embedding and class, or `linear`, with a
            bias.
        head_scale: Scale of the scores of `cosine` heads.
        relevance: Additional parts of the embedding with the expected relevance; see `lookalike.models.relevance`.
            The heads then read the pooled row, and the metric losses use the first part, of dimension `embedding`.
        attention: Whether a model also returns the channel mean of its last map, for the space `color-original`.
    """

    backbone: Annotated[str, Length(least=1, most=200)] = "mobilenetv2_100"
    init: str = ""
    init_names: str = ""
    pooling: Pooling = "average"
    embedding: Annotated[int, Range(least=0, most=65_536)] = 512
    normalise: bool = True
    heads: HeadKind = "cosine"
    head_scale: Annotated[float, Range(above=0, most=10_000)] = 16.0
    relevance: Annotated[tuple[RelevanceSettings, ...], Length(most=100)] = ()
    attention: bool = False


class Network(nn.Module):
    """A backbone with pooling, an embedding layer, and the class heads of training.

    Args:
        settings: Settings of the network; weights are random until `lookalike.models.pretrained` loads some.
        heads: Number of classes, or of tags, of each head.
        config: Architecture of the backbone, from a checkpoint; empty to look it up by name.

    Raises:
        UnknownNameError: The backbone is unknown.
        ConfigError: The settings contradict each other.
    """

    def __init__(self, settings: NetworkSettings, *, heads: Mapping[str, int], config: str = "") -> None:
        super().__init__()
        self.settings = settings
        self.backbone, self.shape = make_backbone(settings.backbone, settings.pooling, config=config)
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
        """D, dimension of the embedding with all its parts."""
        return self.metric_dimension + sum(part.vectors.shape[1] for part in self.relevance_parts)

    @property
    def relevance_parts(self) -> list[RelevancePart]:
        """Relevance parts of the embedding."""
        return [part for part in self.relevance if isinstance(part, RelevancePart)]

    def maps(self, photos: Tensor) -> Tensor:
        """Run the backbone on normalised photos (B, 3, H, W); returns maps, tokens or rows, as in `shape`."""
        features: Tensor = self.backbone(photos)
        return features.permute(0, 3, 1, 2) if self.shape.last else features

    def pooled(self, maps: Tensor) -> Tensor:
        """Pool the output of `maps` to rows (B, C)."""
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
        """Return the metric embeddings of pooled rows, unit vectors if `normalise` is set."""
        rows: Tensor = self.embedding(pooled)
        return functional.normalize(rows, dim=1) if self.settings.normalise else rows

    def read_rows(self, pooled: Tensor, metric: Tensor) -> Tensor:
        """Return the input of the heads: pooled rows if there are relevance parts, else the metric embeddings."""
        return pooled if self.settings.relevance else metric

    def embed_maps(self, maps: Tensor) -> Tensor:
        """Compute embeddings (B, D) from the output of `maps`, unit vectors if `normalise` is set."""
        return self.embed_pooled(self.pooled(maps))

    def embed_pooled(self, pooled: Tensor, evidence: Mapping[str, Tensor] | None = None) -> Tensor:
        """Compute embeddings (B, D) from pooled rows, unit vectors if `normalise` is set.

        Args:
            pooled: (B, C) pooled rows.
            evidence: (B, classes) by head, added to the logits of the relevance parts.
        """
        metric = self.metric_rows(pooled)
        if not self.settings.relevance:
            return metric
        parts = [
            math.sqrt(part.settings.share)
            * part([self.scores(label, pooled, evidence) for label in part.settings.labels])
            for part in self.relevance_parts
        ]
        expected = torch.cat(parts, dim=1)
        left = (1.0 - (expected * expected).sum(dim=1, keepdim=True)).clamp(min=0.0).sqrt()
        return torch.cat([expected, left * metric], dim=1)

    def forward(self, photos: Tensor) -> Tensor:
        """Compute embeddings (B, D) of normalised photos (B, 3, H, W)."""
        return self.embed_maps(self.maps(photos))

    def scores(self, head: str, read: Tensor, evidence: Mapping[str, Tensor] | None = None) -> Tensor:
        """Compute the logits (B, classes) of one head from `read_rows`, for a softmax, or for tags a sigmoid.

        Args:
            head: Name of the head.
            read: (B, R) rows, as of `read_rows`.
            evidence: (B, classes) by head, added to its logits.
        """
        scores = self._scores(head, read)
        return scores + evidence[head] if evidence and head in evidence else scores

    def _scores(self, head: str, read: Tensor) -> Tensor:
        layer = self.heads.get_submodule(head_key(head))
        assert isinstance(layer, nn.Linear)
        if self.settings.heads == "linear":
            scores: Tensor = layer(read)
            return scores
        centres = functional.normalize(layer.weight, dim=1)
        return self.settings.head_scale * functional.linear(functional.normalize(read, dim=1), centres)

    def probabilities(self, heads: Sequence[str], read: Tensor) -> Tensor:
        """Compute class probabilities from `read_rows`: (B, C), the classes of each head one after the other."""
        return torch.cat([self.scores(head, read).softmax(dim=1) for head in heads], dim=1)


def head_key(head: str) -> str:
    """Return the module name of a head; torch allows neither dots nor names of its methods, such as `type`."""
    return f"head_{head.replace('.', '_')}"
