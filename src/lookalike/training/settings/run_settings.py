"""Training settings: the dataclasses behind the TOML file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from lookalike.config import Length, Range, load
from lookalike.errors import ConfigError
from lookalike.models.network import NetworkSettings
from lookalike.training.settings.limits import (
    HARMLESS,
    RUN_LENGTH,
    BatchSize,
    Count,
    CountFromOne,
    FractionBelowOne,
    LearningRate,
    Name,
    Seed,
    Select,
    Share,
    Values,
    Weight,
    WeightDecay,
    Word,
)
from lookalike.training.settings.objective_settings import (
    HardNegativeSettings,
    HeadSettings,
    LossSettings,
    SamplerSettings,
    TeacherSettings,
    check_hard_negatives,
    check_losses,
)
from lookalike.training.settings.photo_settings import AugmentationSettings, InputSettings
from lookalike.training.settings.presets import AboutSettings

Margin = Annotated[float, Range(above=0, most=1)]
PhotoFolder = Literal["", "img", "img_highres"]
Device = Literal["auto", "cpu", "cuda"]
Optimizer = Literal["adamw", "sgd"]
Precision = Literal["no", "bf16", "fp16"]
Schedule = Literal["cosine", "plateau", "constant"]
Tracker = Literal["tensorboard", "wandb", "mlflow", "aim"]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Settings of one catalogue of the training mixture.

    Attributes:
        source: Catalogue, as for `lookalike index`; relative to the TOML file.
        columns: Columns of a table by the standard names `image`, `product`, ...
        encoding: Encoding of a CSV table without a byte order mark, such as `cp1252`; empty for UTF-8.
        boxes: Whether photos are cropped to the boxes of the catalogue: `true`, `false`, or a margin such as `0.1` of a
            box's width and height that is added on each side; by default true, or what the papers of a benchmark do.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; empty takes the first that is there.
        split: Attribute with the split of each item.
        train: Values of `split` that belong to the training split; items without a value belong to it too.
        dev: Values of `split` that belong to the dev split.
        hold_out: Fraction of the training products that is moved to the dev split, for catalogues without one; the
            choice depends on the products' names alone.
        folds: Number of parts, about equal, that the products of the train and dev splits are divided into, for
            cross-validation; 0 for none.
        fold: The part that is the dev split, from 0.
        fold_seed: Seed of the division.
        where: Attribute values that an item must have, such as `{gender = ["Women"]}`; empty takes all items.
        heads: Weight of the class head of each attribute. `product` is allowed, and `type+colour` is the combination
            of two attributes.
        tags: Weight of the multi-label head of each attribute whose values are lists.
        ignore: Attribute values that count as unknown, such as `Other`.
        share: Fraction of each batch's products that come from this catalogue, or the probability that a step's
            triplets do; the shares are scaled to sum to 1.
        instance_loss: Whether products of this catalogue take part in the metric losses.
        teacher: Whether the photos of this catalogue learn from the teacher, if there is one.
        positives: Classes of drawn triplets: `product`, or an attribute; empty draws none.
        grades: Attributes that grade the answers in the dev measure, the leading one first, as in the protocol
            `grades=a,b` of `lookalike evaluate`; `["product"]` is its protocol `product`. Empty measures no searches.
        apart: Attributes that keep photos of equal values from matching each other in the dev measure, besides what the
            protocol keeps apart.
        dev_photos: Largest number of dev photos: all photos of some products, chosen by a hash of their names; 0 takes
            all.
        dev_where: Attribute values that a dev item must have, such as `{photo = ["p225x300"]}`; empty takes all items.
    """

    source: Annotated[Word, HARMLESS]
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    boxes: bool | Margin | None = None
    photos: PhotoFolder = ""
    split: Word = "split"
    train: Values = ("train",)
    dev: tuple[str, ...] = ("dev", "val")
    hold_out: FractionBelowOne = 0.0
    folds: Annotated[int, Range(least=2, most=1000, or_zero=True)] = 0
    fold: Annotated[int, Range(least=0, most=999)] = 0
    fold_seed: Seed = 0
    where: Mapping[str, Values] = field(default_factory=dict)
    heads: Mapping[str, Weight] = field(default_factory=dict)
    tags: Mapping[str, Weight] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    share: Share = 1.0
    instance_loss: bool = True
    teacher: bool = True
    positives: str = "product"
    grades: tuple[Word, ...] = ()
    apart: tuple[Word, ...] = ()
    dev_photos: Count = 0
    dev_where: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """Settings of one stage of the schedule: warm-up, then the course that `schedule` gives.

    Attributes:
        epochs: Length of the stage in epochs of `epoch_photos` photos; fractions are allowed.
        learning_rate: Learning rate of the new layers.
        backbone_rate: Learning rate of the backbone; 0 freezes it, its normalisation layers included.
        layer_decay: Factor of the learning rate from each layer of the backbone to the one below it, in (0, 1]: lower
            layers change less.
        freeze: Names of frozen modules of the backbone, such as `blocks.0`. The first ones are the most expensive and
            change least.
        warmup: Fraction of the stage's steps in which the learning rates rise.
        height: Input height of this stage, in pixels; 0 takes that of `[input]`.
        width: Input width of this stage, in pixels; 0 takes that of `[input]`.
    """

    epochs: Annotated[float, Range(above=0, most=100_000), RUN_LENGTH]
    learning_rate: LearningRate
    backbone_rate: LearningRate = 0.0
    layer_decay: Annotated[float, Range(above=0, most=1)] = 1.0
    freeze: tuple[Word, ...] = ()
    warmup: FractionBelowOne = 0.05
    height: Annotated[int, Range(least=8, most=2048, or_zero=True)] = 0
    width: Annotated[int, Range(least=8, most=2048, or_zero=True)] = 0


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """All settings of a training run.

    Attributes:
        name: Name of the model.
        data: Catalogues of the training mixture.
        stage: Stages of the schedule.
        loss: Metric losses; optional for a run with class heads.
        seed: Seed of the initial weights, the batches, the augmentation and the dropout.
        products: Products per batch (P).
        photos: Photos of each product per batch (K); the photos of a product with fewer are repeated.
        accumulation: Batches whose gradients are averaged for one optimiser step; each has its own loss.
        epoch_photos: Photos per epoch; 0 takes all training photos once.
        optimizer: `adamw` or `sgd`.
        momentum: Momentum of `sgd`, in [0, 1).
        weight_decay: Weight decay of matrices and convolutions; biases and normalisation layers have none.
        clip_norm: Largest norm of the gradient over all weights; larger gradients are scaled down, 0 disables it.
        ema: Decay of the exponential moving average of the weights, such as 0.999, which is measured and saved as
            checkpoints; it rises to this value in the first steps. 0 disables the average.
        schedule: Schedule of the learning rates: `cosine` falls to a hundredth over the stage, `plateau` multiplies
            them by `plateau_factor` after `patience` measures in a row without improvement, `constant` keeps them.
        patience: See `schedule`.
        plateau_factor: See `schedule`.
        early_stop: Measures in a row without improvement that end the stage; 0 disables it.
        device: `cuda`, `cpu`, or `auto` for a GPU if there is one.
        precision: Mixed precision of the backbone: `no` is float32; `fp16` needs a GPU.
        select: What the best checkpoint is chosen by: a figure of the dev measure such as `0/hit_rate@1`; a metric such
            as `hit_rate@1` or `accuracy@1[type]`, for the mean over the catalogues that have it; or a table of weights
            by such names. Empty takes the mean of the first metric of each catalogue's searches, or where there are no
            searches that of the accuracies of the heads.
        measure_every: Steps between two dev measures; 0 measures at the end of each stage only.
        save_every: Steps between two saved states.
        unreadable: Largest number of unreadable training photos; one more ends the run.
        trackers: Where figures go besides `log.jsonl`: `tensorboard`, `wandb`, `mlflow`, `aim`. All but the first need
            a package of that name, and also have the settings, but no pictures.
        workers: Worker processes that load photos; 0 loads them in the training process.
        gradient_checkpointing: Whether layers are computed again in the backward pass, which takes more time and less
            memory.
        compile: Whether the backbone is compiled for training by `torch.compile`, which needs a C++ compiler, and takes
            from seconds to minutes at the first step of each stage; results differ by rounding.
    """

    name: Name
    data: Annotated[tuple[DataSettings, ...], Length(least=1, most=1000)]
    stage: Annotated[tuple[StageSettings, ...], Length(least=1, most=1000)]
    network: NetworkSettings = field(default_factory=NetworkSettings)
    input: InputSettings = field(default_factory=InputSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    loss: Annotated[tuple[LossSettings, ...], Length(most=100)] = ()
    heads: HeadSettings = field(default_factory=HeadSettings)
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    hard_negatives: HardNegativeSettings = field(default_factory=HardNegativeSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    about: Annotated[AboutSettings, HARMLESS] = field(default_factory=AboutSettings)
    seed: Seed = 0
    products: Annotated[int, Range(least=2, most=100_000)] = 64
    photos: BatchSize = 2
    accumulation: BatchSize = 1
    epoch_photos: Count = 0
    optimizer: Optimizer = "adamw"
    momentum: FractionBelowOne = 0.9
    weight_decay: WeightDecay = 0.02
    clip_norm: Weight = 5.0
    ema: FractionBelowOne = 0.0
    schedule: Schedule = "cosine"
    patience: CountFromOne = 3
    plateau_factor: Annotated[float, Range(above=0, below=1)] = 0.3
    early_stop: Count = 0
    device: Annotated[Device, HARMLESS] = "auto"
    precision: Precision = "no"
    select: Select = ""
    measure_every: Count = 0
    save_every: Annotated[CountFromOne, HARMLESS] = 200
    unreadable: Annotated[Count, HARMLESS] = 20
    trackers: Annotated[tuple[Tracker, ...], Length(most=4), HARMLESS] = ("tensorboard",)
    workers: Annotated[int, Range(least=0, most=256), HARMLESS] = 2
    gradient_checkpointing: bool = False
    compile: Annotated[bool, HARMLESS] = False


def load_settings(path: Path, *, overrides: tuple[str, ...] = ()) -> TrainingSettings:
    """Read and check the settings of a run.

    Raises:
        ConfigError: The file is missing, not TOML or incomplete, or a value is out of range.
        UnknownNameError: A key is unknown.
    """
    settings = load(TrainingSettings, path, overrides=overrides)
    labelled = settings.loss or any(data.heads or data.tags for data in settings.data)
    if not labelled and not settings.teacher.model:
        raise ConfigError(
            f"{path}: nothing to learn: name class heads in [[data]], a metric loss in [[loss]] or a model in [teacher]"
        )
    _check_teacher(settings, where=str(path))
    check_losses(settings.loss, settings.sampler, batch=settings.products * settings.photos, where=str(path))
    check_hard_negatives(
        settings.hard_negatives,
        settings.loss,
        settings.sampler,
        products=settings.products,
        photos=settings.photos,
        where=str(path),
    )
    if settings.measure_every == 0 and (settings.schedule == "plateau" or settings.early_stop):
        raise ConfigError(f'{path}: expected measure_every >= 1 for schedule = "plateau" and for early_stop, got 0')
    if settings.augmentation.mixes and (settings.loss or settings.teacher.model):
        raise ConfigError(
            f"{path}: augmentation: mixup and cutmix mix the labels of class heads, so leave [[loss]] and [teacher] out"
        )
    for place, data in enumerate(settings.data):
        if data.folds and (data.hold_out or data.fold >= data.folds):
            raise ConfigError(
                f"{path}: data[{place}]: expected fold below folds = {data.folds} and no hold_out, "
                f"got fold = {data.fold} and hold_out = {data.hold_out:g}"
            )
    given = settings.input
    for place, stage in enumerate(settings.stage):
        height, width = stage.height or given.height, stage.width or given.width
        if given.fit == "crop" and given.short_side_at(height, width) < max(height, width):
            raise ConfigError(
                f"{path}: input: short_side: expected a short side of at least {max(height, width)} for the crop of "
                f"{height} x {width} in stage[{place}], got {given.short_side_at(height, width)}"
            )
    return settings


def _check_teacher(settings: TrainingSettings, *, where: str) -> None:
    if settings.teacher.cosine + settings.teacher.relational == 0:
        raise ConfigError(f"{where}: teacher: expected cosine or relational above 0, got 0 and 0")
    if settings.teacher.model and not any(data.teacher and data.share for data in settings.data):
        raise ConfigError(f"{where}: teacher: expected a catalogue in [[data]] without teacher = false, got none")
    for place, data in enumerate(settings.data):
        if not (data.teacher or settings.loss or data.heads or data.tags):
            raise ConfigError(
                f"{where}: data[{place}]: expected heads, tags or a metric loss beside teacher = false, got none"
            )
