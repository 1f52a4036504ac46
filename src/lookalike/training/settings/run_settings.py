"""Training settings: the dataclasses behind the TOML file of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lookalike.config import load
from lookalike.errors import ConfigError
from lookalike.models.network import NetworkSettings
from lookalike.models.preprocessing import Fit, Preprocessing
from lookalike.training.settings.objective_settings import (
    HeadSettings,
    LossSettings,
    SamplerSettings,
    TeacherSettings,
    check_losses,
)
from lookalike.training.settings.presets import AboutSettings

Device = Literal["auto", "cpu", "cuda"]
Optimizer = Literal["adamw", "sgd"]
Precision = Literal["no", "bf16", "fp16"]
Schedule = Literal["cosine", "plateau", "constant"]

Crop = Literal["photo", "input"]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """Settings of one catalogue of the training mixture.

    Attributes:
        source: Catalogue, as for `lookalike index`; relative to the TOML file.
        columns: Columns of a table by the standard names `image`, `product`, ...
        encoding: Encoding of a CSV table without a byte order mark, such as `cp1252`; empty for UTF-8.
        boxes: Whether photos are cropped to the boxes of the catalogue.
        split: Attribute with the split of each item.
        train: Values of `split` that belong to the training split; items without a value belong to it too.
        dev: Values of `split` that belong to the dev split.
        hold_out: Fraction of the training products that is moved to the dev split, for catalogues without one; the
            choice depends on the products' names alone.
        where: Attribute values that an item must have, such as `{gender = ["Women"]}`; empty takes all items.
        heads: Weight of the class head of each attribute. `product` is allowed, and `type+colour` is the combination
            of two attributes.
        tags: Weight of the multi-label head of each attribute whose values are lists.
        ignore: Attribute values that count as unknown, such as `Other`.
        share: Fraction of each batch's products that come from this catalogue, or the probability that a step's
            triplets do; the shares are scaled to sum to 1.
        instance_loss: Whether products of this catalogue take part in the metric losses.
        positives: Classes of drawn triplets: `product`, or an attribute; empty draws none.
        grades: Attributes that grade the answers in the dev measure, the leading one first.
        apart: Attribute (or `product`) that keeps photos of equal values from matching each other in the dev measure.
        dev_photos: Largest number of dev photos, spread evenly; 0 takes all.
        dev_where: Attribute values that a dev item must have, such as `{photo = ["p225x300"]}`; empty takes all items.
    """

    source: str
    columns: Mapping[str, str] = field(default_factory=dict)
    encoding: str = ""
    boxes: bool = True
    split: str = "split"
    train: tuple[str, ...] = ("train",)
    dev: tuple[str, ...] = ("dev", "val")
    hold_out: float = 0.0
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    heads: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, float] = field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    share: float = 1.0
    instance_loss: bool = True
    positives: str = "product"
    grades: tuple[str, ...] = ()
    apart: str = "product"
    dev_photos: int = 0
    dev_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Settings of the network's input.

    Attributes:
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        fit: How a photo is brought to that size: `stretch` changes its aspect ratio; `crop` resizes the short side to
            `short_side` and takes the centre; `pad` keeps the whole photo and fills with white.
        short_side: Short side before a `crop`, in pixels, at least height and width.
        mean: Mean of the channels red, green, blue of values in [0, 1]; the default is ImageNet's.
        std: Standard deviation of the channels; the default is ImageNet's.
    """

    height: int = 224
    width: int = 224
    fit: Fit = "stretch"
    short_side: int = 0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def at(self, height: int, width: int) -> Preprocessing:
        """Return the preprocessing at the input size of a stage, in pixels.

        Raises:
            ConfigError: `mean` or `std` is not three numbers.
        """
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ConfigError("[input] mean and std are three numbers each, one for each channel")
        short_side = round(self.short_side * min(height, width) / min(self.height, self.width))
        (red, green, blue), (red_std, green_std, blue_std) = self.mean, self.std
        return Preprocessing(
            height,
            width,
            fit=self.fit,
            short_side=short_side,
            mean=(red, green, blue),
            std=(red_std, green_std, blue_std),
        )


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """Settings of the augmentation of training photos.

    Attributes:
        crop: Aspect ratio of a crop: that of the `photo` (for `fit = "stretch"`) or of the network's `input` (as in
            the training of ImageNet models; for `fit = "crop"`).
        smallest_crop: Smallest area of a crop, as a fraction of the photo's.
        stretch: Largest change of a crop's aspect ratio, as a factor.
        short_side: Short side that photos are resized to first, in pixels; 0 leaves them as they are.
        light: Largest relative change of brightness and contrast; saturation changes half as much.
        hue: Largest rotation of the hue, as a fraction of the circle.
        rotation: Largest rotation, in degrees.
        spoil: Probability of each of blur, lower resolution and strong JPEG compression.
        paste: Probability that a photo on white is cut out and pasted on a background.
        box_widen: Largest part of the way from the box of a photo to the smallest box around it that has the aspect
            ratio of the input, from 0 to 1; each view goes a random part of it.
        box_jitter: Standard deviation of each side of a box, as a fraction of its width or height.
        backgrounds: Catalogue of background photos, relative to the TOML file; if it has the attribute `split`, its
            dev photos are reserved for the dev measure.
        background_columns: Columns of `backgrounds` by the standard names.
    """

    crop: Crop = "photo"
    smallest_crop: float = 0.5
    stretch: float = 1.2214
    short_side: int = 0
    light: float = 0.3
    hue: float = 0.02
    rotation: float = 10.0
    spoil: float = 0.15
    paste: float = 0.0
    box_widen: float = 0.0
    box_jitter: float = 0.0
    backgrounds: str = ""
    background_columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """Settings of one stage of the schedule: warm-up, then the course that `schedule` gives.

    Attributes:
        epochs: Length of the stage in epochs of `epoch_photos` photos; fractions are allowed.
        learning_rate: Learning rate of the new layers.
        backbone_rate: Learning rate of the backbone; 0 freezes it, its normalisation layers included.
        freeze: Names of frozen modules of the backbone, such as `blocks.0`. The first ones are the most expensive and
            change least.
        warmup: Fraction of the stage's steps in which the learning rates rise.
        height: Input height of this stage, in pixels; 0 takes that of `[input]`.
        width: Input width of this stage, in pixels; 0 takes that of `[input]`.
    """

    epochs: float
    learning_rate: float
    backbone_rate: float = 0.0
    freeze: tuple[str, ...] = ()
    warmup: float = 0.05
    height: int = 0
    width: int = 0


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
        measure_every: Steps between two dev measures; 0 measures at the end of each stage only.
        save_every: Steps between two saved states.
        unreadable: Largest number of unreadable training photos; one more ends the run.
        workers: Worker processes that load photos; 0 loads them in the training process.
    """

    name: str
    data: tuple[DataSettings, ...]
    stage: tuple[StageSettings, ...]
    network: NetworkSettings = field(default_factory=NetworkSettings)
    input: InputSettings = field(default_factory=InputSettings)
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)
    loss: tuple[LossSettings, ...] = ()
    heads: HeadSettings = field(default_factory=HeadSettings)
    sampler: SamplerSettings = field(default_factory=SamplerSettings)
    teacher: TeacherSettings = field(default_factory=TeacherSettings)
    about: AboutSettings = field(default_factory=AboutSettings)
    seed: int = 0
    products: int = 64
    photos: int = 2
    accumulation: int = 1
    epoch_photos: int = 0
    optimizer: Optimizer = "adamw"
    momentum: float = 0.9
    weight_decay: float = 0.02
    clip_norm: float = 5.0
    ema: float = 0.0
    schedule: Schedule = "cosine"
    patience: int = 3
    plateau_factor: float = 0.3
    early_stop: int = 0
    device: Device = "auto"
    precision: Precision = "no"
    measure_every: int = 0
    save_every: int = 200
    unreadable: int = 20
    workers: int = 2


def load_settings(path: Path, *, overrides: tuple[str, ...] = ()) -> TrainingSettings:
    """Read and check the settings of a run.

    Raises:
        ConfigError: The file is missing, not TOML or incomplete, or a value is out of range.
        UnknownNameError: A key is unknown.
    """
    settings = load(TrainingSettings, path, overrides=overrides)
    if not settings.data or not settings.stage:
        raise ConfigError(f"{path}: a run needs at least one [[data]] and one [[stage]]")
    if settings.products < 2 or settings.photos < 1:
        raise ConfigError(f"{path}: a batch needs products >= 2 and photos >= 1")
    labelled = settings.loss or any(data.heads or data.tags for data in settings.data)
    if not labelled and not settings.teacher.model:
        raise ConfigError(
            f"{path}: nothing to learn: name class heads in [[data]], a metric loss in [[loss]] or a model in [teacher]"
        )
    check_losses(settings.loss, settings.sampler, batch=settings.products * settings.photos, where=str(path))
    _check_numbers(settings, path)
    return settings


def _check_numbers(settings: TrainingSettings, path: Path) -> None:
    """Check the ranges of the numbers."""
    rates = [rate for stage in settings.stage for rate in (stage.learning_rate, stage.backbone_rate)]
    rules = {
        "accumulation >= 1": settings.accumulation >= 1,
        "0 <= momentum < 1": 0 <= settings.momentum < 1,
        "0 <= ema < 1": 0 <= settings.ema < 1,
        "0 < plateau_factor < 1": 0 < settings.plateau_factor < 1,
        "patience >= 1": settings.patience >= 1,
        "save_every >= 1": settings.save_every >= 1,
        "clip_norm, early_stop, measure_every, unreadable and workers >= 0": min(
            settings.clip_norm, settings.early_stop, settings.measure_every, settings.unreadable, settings.workers
        )
        >= 0,
        "[teacher] cosine and relational >= 0, and one above 0": min(
            settings.teacher.cosine, settings.teacher.relational
        )
        >= 0
        and settings.teacher.cosine + settings.teacher.relational > 0,
        "learning rates >= 0": min(rates) >= 0,
        "0 <= warmup < 1 and epochs > 0 in each stage": all(
            0 <= stage.warmup < 1 and stage.epochs > 0 for stage in settings.stage
        ),
        'measure_every >= 1 for schedule = "plateau" and for early_stop': settings.measure_every >= 1
        or (settings.schedule != "plateau" and settings.early_stop == 0),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ConfigError(f"{path}: expected {rule}")
