"""What a training run is told: the dataclasses behind its TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lookalike.config import load
from lookalike.errors import ConfigError
from lookalike.models.network import NetworkSettings
from lookalike.models.preprocessing import Fit, Preprocessing
from lookalike.training.settings.objective_settings import HeadSettings, LossSettings, SamplerSettings, check_losses
from lookalike.training.settings.presets import AboutSettings

Device = Literal["auto", "cpu", "cuda"]
Optimizer = Literal["adamw", "sgd"]
Precision = Literal["no", "bf16", "fp16"]
Schedule = Literal["cosine", "plateau", "constant"]

Crop = Literal["photo", "input"]


@dataclass(frozen=True, slots=True)
class DataSettings:
    """One catalogue of the mixture.

    Attributes:
        source: A catalogue, as `lookalike index` takes it; relative to the TOML file.
        columns: Its columns under the names that a catalogue has: `image`, `product`, ...
        encoding: Of a CSV table that is not UTF-8 and has no mark that tells, such as `cp1252`; empty takes UTF-8.
        boxes: Whether photos are cropped to the boxes that the catalogue gives them; the whole photos are shown else.
        split: Attribute that says of each item which split it is in.
        train: Values of `split` that are learnt from; an item without a split is, too.
        dev: Values of `split` that are measured.
        hold_out: Part of the training products that is measured instead of learnt, for catalogues without a dev
            split; which ones follows from their names alone.
        where: Attributes that an item must have, such as `{gender = ["Women"]}`; empty takes all.
        heads: For each attribute that is learnt, the weight of its class head. `product` is one too, and
            `type+colour` is the attribute that the two make together.
        tags: For each attribute with several values at once (a list), the weight of its multi-label head.
        ignore: Attribute values that are not learnt, such as `Other`.
        share: Part of each batch's products that come from here, or the chance that a step's triplets do; the shares
            are scaled to sum to 1.
        instance_loss: Whether products of this catalogue take part in the metric losses.
        positives: What two photos of a drawn triplet have in common: `product`, or an attribute; empty draws none.
        grades: Attributes for the dev measure, the leading one first.
        apart: Attribute (or `product`) whose equal values never answer each other in the dev measure.
        dev_photos: Most dev photos that are measured, spread evenly; 0 takes all.
        dev_where: Attributes that a dev item must have, such as `{photo = ["p225x300"]}`; empty takes all.
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
    """The network's input.

    Attributes:
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        fit: How a photo is brought to that size: `stretch` changes its shape; `crop` resizes the short side to
            `short_side` and cuts the centre out; `pad` fits all of it in and fills with white.
        short_side: For `crop`, in pixels, at least height and width.
        mean: Subtracted from each channel, red, green, blue, of values in [0, 1]; the default is ImageNet's.
        std: Divides each channel after that; the default is ImageNet's.
    """

    height: int = 224
    width: int = 224
    fit: Fit = "stretch"
    short_side: int = 0
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)

    def at(self, height: int, width: int) -> Preprocessing:
        """The way into the network at the size of a stage, in pixels.

        Raises:
            ConfigError: Mean or std are not three numbers.
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
    """How training photos are changed.

    Attributes:
        crop: A crop's shape follows the `photo` (which suits `fit = "stretch"`) or the network's `input` (as ImageNet
            models are trained; suits `fit = "crop"`).
        smallest_crop: Least part of the photo's area that a crop keeps.
        stretch: Largest change of a crop's width-to-height ratio, as a factor.
        short_side: Photos are first resized to this short side, in pixels; 0 leaves them as they are.
        light: Largest relative change of brightness and contrast; saturation changes half as much.
        hue: Largest turn of the hue, as a part of the circle.
        rotation: Largest turn, in degrees.
        spoil: Chance of each of: blur, lower resolution, strong JPEG compression.
        paste: Chance that a photo on white is cut out and put on a background.
        backgrounds: Catalogue of photos to paste on, relative to the TOML file; with an attribute `split` its dev
            photos are kept for the dev measure.
        background_columns: Its columns under the names that a catalogue has.
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
    backgrounds: str = ""
    background_columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StageSettings:
    """One stage of the schedule: warm-up, then as `schedule` says.

    Attributes:
        epochs: Passes over as many photos as the largest catalogue's share asks for.
        learning_rate: Of the new layers.
        backbone_rate: Of the backbone; 0 freezes it, its normalisation layers included.
        freeze: Parts of the backbone that stay as they are, by their names in it, such as `blocks.0`. The first ones
            cost most and change least.
        warmup: Part of the stage's steps in which the rates rise.
        height: Input height of this stage; 0 takes that of `[input]`.
        width: Input width of this stage; 0 takes that of `[input]`.
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
    """A whole run.

    Attributes:
        name: Of the model.
        data: The catalogues that are mixed.
        stage: The schedule.
        loss: The metric losses; a run with class heads may do without.
        seed: Decides the first weights, the batches, how photos are changed, and what is dropped out.
        products: Products in a batch (P).
        photos: Photos of each product in a batch (K); a product with fewer gives changed copies.
        accumulation: Batches whose gradients are averaged for one step; each has its own loss.
        epoch_photos: Photos in an epoch; 0 takes all training photos once.
        optimizer: `adamw` or `sgd`.
        momentum: Of `sgd`, in [0, 1).
        weight_decay: Of matrices and convolutions; biases and normalisation layers have none.
        clip_norm: Longest gradient, as the norm over all weights; longer ones are scaled down, 0 leaves them.
        ema: What a step keeps of the moving average of the weights, such as 0.999; the average is what is measured
            and kept as checkpoints. 0 averages nothing. It rises to this value in the first steps.
        schedule: Of the learning rates: `cosine` falls to a hundredth over the stage, `plateau` multiplies them by
            `plateau_factor` after `patience` measures in a row without gain, `constant` leaves them.
        patience: See `schedule`.
        plateau_factor: See `schedule`.
        early_stop: Measures in a row without gain after which the stage ends; 0 never ends it early.
        device: Where it runs: `cuda`, `cpu`, or `auto` for whatever there is.
        precision: Of the backbone: `no` is float32; `fp16` needs a GPU.
        measure_every: Steps between two measures on dev; 0 measures at the end of each stage only.
        save_every: Steps between two saved states that a run resumes from.
        unreadable: Training photos that may turn out unreadable; one more stops the run.
        workers: Processes that prepare photos; 0 prepares them in the training process.
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
    """Read a training file.

    Raises:
        ConfigError: It is missing, no TOML, incomplete, or has values out of range.
        UnknownNameError: It has a key that is not known.
    """
    settings = load(TrainingSettings, path, overrides=overrides)
    if not settings.data or not settings.stage:
        raise ConfigError(f"{path}: a run needs at least one [[data]] and one [[stage]]")
    if settings.products < 2 or settings.photos < 1:
        raise ConfigError(f"{path}: a batch needs products >= 2 and photos >= 1")
    if not settings.loss and not any(data.heads or data.tags for data in settings.data):
        raise ConfigError(f"{path}: nothing to learn: name class heads in [[data]], or a metric loss in [[loss]]")
    check_losses(settings.loss, settings.sampler, batch=settings.products * settings.photos, where=str(path))
    _check_numbers(settings, path)
    return settings


def _check_numbers(settings: TrainingSettings, path: Path) -> None:
    """Refuse numbers that make no sense, or none together."""
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
