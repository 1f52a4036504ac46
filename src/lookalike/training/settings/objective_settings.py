"""Settings of the losses, the heads and the batches of a training run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from lookalike.config import Range
from lookalike.errors import ConfigError
from lookalike.training.settings.limits import Arguments, FractionBelowOne, Weight, Word

ClassWeights = Literal["equal", "balanced"]
SamplerName = Literal["products", "balanced", "triplets"]
DRAWN_TRIPLETS = "DrawnTripletLoss"


@dataclass(frozen=True, slots=True)
class LossSettings:
    """Settings of one metric loss; several are summed.

    Attributes:
        name: Name of a loss of pytorch-metric-learning, such as `SupConLoss`, `TripletMarginLoss`, `ArcFaceLoss` or
            `ProxyAnchorLoss`; or `DrawnTripletLoss`, over the triplets that the sampler `triplets` draws.
        weight: Weight of this loss in the sum.
        labels: Classes of the loss: `product`, or an attribute.
        arguments: Arguments of the loss, such as `{temperature = 0.1}`; `distance` and `reducer` are given by name,
            with arguments as `{name = "LpDistance", normalize_embeddings = false}`. The number of classes and the
            length of the embedding are filled in.
        miner: Miner of pytorch-metric-learning, such as `BatchHardMiner`, or `TripletMarginMiner` with
            `{type_of_triplets = "semihard"}`; empty for none.
        miner_arguments: Arguments of the miner; it uses the loss's `distance`, if one is given.
        memory: Number of embeddings of earlier batches to compare with (cross-batch memory); 0 for none.
    """

    name: Word
    weight: Weight = 1.0
    labels: Word = "product"
    arguments: Arguments = field(default_factory=dict)
    miner: str = ""
    miner_arguments: Arguments = field(default_factory=dict)
    memory: Annotated[int, Range(least=0, most=1_000_000)] = 0


@dataclass(frozen=True, slots=True)
class HeadSettings:
    """Settings of class heads and multi-label heads.

    Attributes:
        class_weights: `equal`, or `balanced`: photos of rare classes weigh more, so that all classes weigh the same.
        label_smoothing: Label smoothing of the class heads' cross entropy, in [0, 1).
        positive_weight: Weight of the positive tags of a photo against its negative ones in the multi-label heads.
    """

    class_weights: ClassWeights = "equal"
    label_smoothing: FractionBelowOne = 0.05
    positive_weight: Annotated[float, Range(above=0, most=1_000_000)] = 1.0


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Settings of distillation from a teacher, whose embeddings of the training photos are a target beside the labels.

    Attributes:
        model: The teacher: `default`; an ONNX file, a checkpoint or the folder of a model, relative to the TOML file;
            or a model of others by its name, such as `timm:resnet50.a1_in1k`; empty for none.
        cosine: Weight of 1 less the cosine between the embeddings of student and teacher.
        relational: Weight of the difference between their relative distances within a batch.
    """

    model: str = ""
    cosine: Weight = 1.0
    relational: Weight = 0.0


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """Settings of the batch sampler.

    Attributes:
        name: `products`: P products with K photos each; `balanced`: the same, each value of `balance` equally often;
            `triplets`: photos for the class heads and triplets side by side, as in the original system.
        balance: Attribute that `balanced` balances.
        classified: Photos per batch for the class heads, for `triplets`.
        triplets: Triplets (anchor, positive, negative) per batch, all from one catalogue, for `triplets`.
    """

    name: SamplerName = "products"
    balance: str = ""
    classified: Annotated[int, Range(least=0, most=100_000)] = 32
    triplets: Annotated[int, Range(least=0, most=100_000)] = 32


@dataclass(frozen=True, slots=True)
class HardNegativeSettings:
    """Settings of batches of products that the network confuses, mined between epochs, for the sampler `products`.

    Where the metric losses compare another label, its values take the place of products.

    Attributes:
        every: Epochs between two minings, the first before the first step of each stage; 0 draws batches without them,
            and allows no other of these settings.
        group: Products of a group, at most `products`: each in turn, with those that are most similar to it.
        photos: Photos of each product that are embedded for a mining, drawn again each time. The similarity of two
            products is the highest cosine of a photo of one and a photo of the other.
        bank: Photos that are embedded for a mining, at most; each product gives one first, then each a second.
        false_negative_above: Similarity above which two products are taken for the same garment, and not put into one
            group; they may share a batch.
    """

    every: Annotated[float, Range(least=0.01, most=100_000, or_zero=True)] = 0.0
    group: Annotated[int, Range(least=2, most=10_000)] = 4
    photos: Annotated[int, Range(least=1, most=100)] = 4
    bank: Annotated[int, Range(least=2, most=100_000)] = 20_000
    false_negative_above: Annotated[float, Range(above=0, most=1)] = 0.98


def check_losses(losses: Sequence[LossSettings], sampler: SamplerSettings, *, batch: int, where: str) -> None:
    """Check that the sampler and the batch size suit the losses.

    Args:
        losses: All losses of the run.
        sampler: Sampler of the run.
        batch: Batch size of the samplers `products` and `balanced`, in photos.
        where: Name of the settings in errors.

    Raises:
        ConfigError: They do not.
    """
    if sampler.name == "balanced" and not sampler.balance:
        raise ConfigError(f"{where}: the sampler 'balanced' needs `balance`, the attribute to balance by")
    if sampler.classified + sampler.triplets == 0:
        raise ConfigError(f"{where}: sampler: expected classified or triplets above 0, got 0 and 0")
    for loss in losses:
        drawn = loss.name == DRAWN_TRIPLETS
        if drawn != (sampler.name == "triplets"):
            wants = "'triplets'" if drawn else "'products' or 'balanced'"
            raise ConfigError(f"{where}: the loss {loss.name!r} needs the sampler {wants}, not {sampler.name!r}")
        if 0 < loss.memory < batch:
            raise ConfigError(f"{where}: the memory of {loss.name!r} must hold a batch of {batch} photos at least")


def check_hard_negatives(
    given: HardNegativeSettings,
    losses: Sequence[LossSettings],
    sampler: SamplerSettings,
    *,
    products: int,
    photos: int,
    where: str,
) -> None:
    """Check that the losses and the batches suit hard negatives.

    Args:
        given: Settings of the hard negatives.
        losses: All losses of the run.
        sampler: Sampler of the run.
        products: Products per batch.
        photos: Photos of each product per batch.
        where: Name of the settings in errors.

    Raises:
        ConfigError: They do not.
    """
    if not given.every:
        if given != HardNegativeSettings():
            raise ConfigError(f"{where}: hard_negatives with every = 0 are off: set every above 0, or leave them out")
        return
    if sampler.name != "products":
        raise ConfigError(f"{where}: hard_negatives need the sampler 'products', not {sampler.name!r}")
    if not losses:
        raise ConfigError(f"{where}: hard_negatives are for metric losses: name one in [[loss]], or leave them out")
    if given.group > products:
        raise ConfigError(f"{where}: hard_negatives: expected group from 2 to products = {products}, got {given.group}")
    if photos == 1 and all(loss.labels != "product" for loss in losses):
        raise ConfigError(f"{where}: hard_negatives of {losses[0].labels!r} need photos >= 2, got 1")
