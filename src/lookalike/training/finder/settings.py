"""Settings of a finder run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from lookalike.config import Length, Range, load
from lookalike.errors import ConfigError
from lookalike.kinds import KINDS
from lookalike.models.finder.network import FinderNetworkSettings
from lookalike.training.settings.limits import (
    HARMLESS,
    RUN_LENGTH,
    BatchSize,
    Count,
    CountFromOne,
    Fraction,
    FractionBelowOne,
    LearningRate,
    Name,
    Seed,
    Select,
    Values,
    WeightDecay,
    Word,
)
from lookalike.training.settings.presets import AboutSettings

Shown = Literal["worn", "single", "white"]
InputPixels: TypeAlias = Annotated[int, Range(least=4096, most=4096 * 1024)]


@dataclass(frozen=True, slots=True)
class GarmentDataSettings:
    """Data source: labelled photos in CSV tables.

    Attributes:
        photos: Table of photos, relative to the TOML file.
        file: Column of the photo's path, relative to the table.
        boxes: Table of boxes, relative to the TOML file, with the columns `file`, `kind`, `x1`, `y1`, `x2`, `y2` in
            pixels; the table of photos then has `width` and `height`. Empty if there is none.
        masks: Column of the mask's path; the pixel values of a mask are class ids. Rows without a mask are left out.
        classes: Table of the mask classes, with the columns `class_id` and `name`.
        label: Column of the kind, for photos of one garment.
        shown: `worn`: people in several garments, with boxes or masks; `single`: one garment that nearly fills the
            photo; `white`: one garment on a white background, which can be cut out.
        split: Column of the split.
        train: Values of the training split.
        dev: Values of the dev split; photos with other values, such as `measure`, are not used.
        where: Allowed values by column.
        kinds: Kinds that are labelled wherever they occur; other kinds may occur without a label.
        share: Relative share of the training photos.
        dev_photos: Largest number of dev photos, spread evenly; 0 uses all.
    """

    photos: Annotated[Word, HARMLESS]
    file: Word = "file"
    boxes: Annotated[str, HARMLESS] = ""
    masks: str = ""
    classes: Annotated[str, HARMLESS] = ""
    label: str = ""
    shown: Shown = "worn"
    split: Word = "split"
    train: Values = ("train",)
    dev: tuple[str, ...] = ("dev",)
    where: Mapping[str, Values] = field(default_factory=dict)
    kinds: Values = KINDS
    share: Annotated[float, Range(above=0, most=1_000_000)] = 1.0
    dev_photos: Count = 0


@dataclass(frozen=True, slots=True)
class SceneSettings:
    """Augmentation of training photos.

    Attributes:
        smallest: Smallest crop, as a fraction of the area of the photo.
        largest: Largest crop; above 1 it has a margin around the photo.
        stretch: Largest change of the aspect ratio, as a factor.
        light: Largest relative change of brightness, contrast and saturation.
        spoil: Probability of each of blur, lower resolution and strong JPEG compression.
        beside: Probability that two photos of people are placed side by side.
        paste: Probability that a garment on white is cut out and pasted on another photo.
        add: Probability that such a garment is pasted on a photo of people.
        shapes: Aspect ratios of inputs, height over width; each batch has one of them.
    """

    smallest: Annotated[float, Range(least=0.01, most=10)] = 0.3
    largest: Annotated[float, Range(least=0.01, most=10)] = 1.4
    stretch: Annotated[float, Range(least=1, most=10)] = 1.25
    light: Fraction = 0.35
    spoil: Fraction = 0.12
    beside: Fraction = 0.15
    paste: Fraction = 0.6
    add: Fraction = 0.15
    shapes: Annotated[tuple[Annotated[float, Range(least=0.1, most=10)], ...], Length(least=1, most=1000)] = (
        1.5,
        1.5,
        1.5,
        1.5,
        1.33,
        1.78,
        1.0,
        0.75,
    )


@dataclass(frozen=True, slots=True)
class FinderStageSettings:
    """One stage of the schedule: warm-up, then a cosine down to a hundredth of the rates.

    Attributes:
        steps: Optimiser steps.
        learning_rate: Learning rate of the new layers.
        backbone_rate: Learning rate of the backbone; 0 freezes it.
        freeze: Frozen modules of the backbone, such as `blocks.0`.
        warmup: Fraction of the steps in which the rates rise.
        pixels: Approximate number of pixels of an input.
    """

    steps: Annotated[CountFromOne, RUN_LENGTH]
    learning_rate: LearningRate
    backbone_rate: LearningRate = 0.0
    freeze: tuple[Word, ...] = ()
    warmup: FractionBelowOne = 0.05
    pixels: InputPixels = 98304


@dataclass(frozen=True, slots=True)
class FinderSettings:
    """Settings of a finder run.

    Attributes:
        task: `finder`; settings files of embedders have no task.
        name: Name of the finder.
        data: Data sources.
        stage: Stages of the schedule.
        pixels: Approximate number of input pixels of the finished finder.
        seed: Seed of the initial weights, the batches and the augmentation.
        batch: Batch size.
        weight_decay: Weight decay of matrices and convolutions.
        clip_norm: Largest gradient norm.
        ema: Decay of the moving average of the weights; the average is measured and saved.
        select: What the best checkpoint is chosen by: a metric such as `AP50 any kind`, for the mean over the data
            sources; one of a data source, such as `street/labels.csv: AP50 dress`; or a table of weights by such names.
            Empty is `AP50 mean`.
        measure_every: Steps between dev measures; 0 measures only at the end of each stage.
        save_every: Steps between saved states, from which a run resumes.
    """

    task: Literal["finder"]
    name: Name
    data: Annotated[tuple[GarmentDataSettings, ...], Length(least=1, most=1000)]
    stage: Annotated[tuple[FinderStageSettings, ...], Length(least=1, most=1000)]
    network: FinderNetworkSettings = field(default_factory=FinderNetworkSettings)
    scene: SceneSettings = field(default_factory=SceneSettings)
    about: Annotated[AboutSettings, HARMLESS] = field(default_factory=AboutSettings)
    pixels: InputPixels = 98304
    seed: Seed = 0
    batch: BatchSize = 16
    weight_decay: WeightDecay = 0.02
    clip_norm: Annotated[float, Range(above=0, most=1_000_000)] = 10.0
    ema: FractionBelowOne = 0.998
    select: Select = ""
    measure_every: Count = 500
    save_every: Annotated[CountFromOne, HARMLESS] = 200


def load_finder_settings(path: Path, *, overrides: tuple[str, ...] = ()) -> FinderSettings:
    """Read the settings file of a finder run.

    Raises:
        ConfigError: The file is missing, not TOML, incomplete, or has values out of range.
        UnknownNameError: It has an unknown key.
    """
    settings = load(FinderSettings, path, overrides=overrides)
    if settings.scene.smallest > settings.scene.largest:
        raise ConfigError(
            f"{path}: scene: expected smallest <= largest, got {settings.scene.smallest:g} and "
            f"{settings.scene.largest:g}"
        )
    for data in settings.data:
        _check_data(data, path)
    return settings


def _check_data(data: GarmentDataSettings, path: Path) -> None:
    """Refuse data sources without labels, or with unknown kinds."""
    if unknown := sorted(set(data.kinds) - set(KINDS)):
        raise ConfigError(f"{path}: [[data]] {data.photos}: unknown kind {unknown[0]!r}; known are {', '.join(KINDS)}")
    if data.shown == "worn":
        if bool(data.boxes) == bool(data.masks) or bool(data.masks) != bool(data.classes):
            raise ConfigError(f"{path}: [[data]] {data.photos}: expected `boxes`, or `masks` and `classes`")
    elif not data.label or data.boxes or data.masks:
        raise ConfigError(f"{path}: [[data]] {data.photos}: expected `label` for photos that show one garment")
