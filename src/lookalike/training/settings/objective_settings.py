"""What a training run is told of its losses, its heads and its batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lookalike.errors import ConfigError

SamplerName = Literal["products", "balanced", "triplets"]
DRAWN_TRIPLETS = "DrawnTripletLoss"


@dataclass(frozen=True, slots=True)
class LossSettings:
    """One metric loss; several are summed.

    Attributes:
        name: Of a loss of pytorch-metric-learning, such as `SupConLoss`, `TripletMarginLoss`, `ArcFaceLoss` or
            `ProxyAnchorLoss`; or `DrawnTripletLoss`, over the triplets that the sampler `triplets` draws.
        weight: Of this loss in the sum.
        labels: What photos of one class have in common: `product`, or an attribute.
        arguments: Passed to it, such as `{temperature = 0.1}`; `distance` and `reducer` are given by their names,
            with arguments as `{name = "LpDistance", normalize_embeddings = false}`. The number of classes and the
            length of the embedding are filled in.
        miner: Of pytorch-metric-learning, such as `BatchHardMiner`, or `TripletMarginMiner` with
            `{type_of_triplets = "semihard"}`; empty for none.
        miner_arguments: Passed to it; it measures by the loss's `distance` where that is given.
        memory: How many photos of earlier batches are compared with, too (cross-batch memory); 0 for none.
    """

    name: str
    weight: float = 1.0
    labels: str = "product"
    arguments: Mapping[str, object] = field(default_factory=dict)
    miner: str = ""
    miner_arguments: Mapping[str, object] = field(default_factory=dict)
    memory: int = 0


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """How class heads and multi-label heads are learnt.

    Attributes:
        label_smoothing: Of the class heads' cross entropy.
        positive_weight: Of a tag that a photo has, beside one that it has not, in the multi-label heads.
    """

    label_smoothing: float = 0.05
    positive_weight: float = 1.0


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """How batches are drawn.

    Attributes:
        name: `products`: P products with K photos each; `balanced`: the same, each value of `balance` as often as any
            other; `triplets`: as the original system did, photos to classify and, beside them, triplets.
        balance: Attribute for `balanced`.
        classified: For `triplets`: photos of the catalogues with heads, for the class heads.
        triplets: For `triplets`: of anchor, positive and negative, all from one catalogue.
    """

    name: SamplerName = "products"
    balance: str = ""
    classified: int = 32
    triplets: int = 32


def check_losses(losses: Sequence[LossSettings], sampler: SamplerSettings, *, batch: int, where: str) -> None:
    """Refuse losses that the batches cannot serve.

    Args:
        losses: All of a run.
        sampler: Draws its batches.
        batch: Photos in a batch of the samplers `products` and `balanced`.
        where: Named in errors.

    Raises:
        ConfigError: They cannot.
    """
    if sampler.name == "balanced" and not sampler.balance:
        raise ConfigError(f"{where}: the sampler 'balanced' needs `balance`, the attribute to balance by")
    if min(sampler.classified, sampler.triplets) < 0 or sampler.classified + sampler.triplets == 0:
        raise ConfigError(f"{where}: expected [sampler] classified and triplets >= 0, and one above 0")
    for loss in losses:
        drawn = loss.name == DRAWN_TRIPLETS
        if drawn != (sampler.name == "triplets"):
            wants = "'triplets'" if drawn else "'products' or 'balanced'"
            raise ConfigError(f"{where}: the loss {loss.name!r} needs the sampler {wants}, not {sampler.name!r}")
        if 0 < loss.memory < batch:
            raise ConfigError(f"{where}: the memory of {loss.name!r} must hold a batch of {batch} photos at least")
