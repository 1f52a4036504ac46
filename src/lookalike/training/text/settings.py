"""Settings of a run that trains a text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from lookalike.config import Length, Range, load
from lookalike.errors import ConfigError
from lookalike.models.text.network import TextNetworkSettings
from lookalike.training.settings.limits import (
    HARMLESS,
    RUN_LENGTH,
    BatchSize,
    Count,
    CountFromOne,
    Fraction,
    FractionBelowOne,
    Name,
    Seed,
    Select,
    Values,
    WeightDecay,
    Word,
)
from lookalike.training.settings.presets import AboutSettings


@dataclass(frozen=True, slots=True)
class TextDataSettings:
    """Data source: a gallery, whose photos the model has embedded, with titles and labels.

    Attributes:
        gallery: Gallery, relative to the TOML file.
        title: Attribute with the title; empty uses none.
        garment: Attributes that name the garment, the most exact first.
        colour: Attributes that name its colour, the most exact first.
        gender: Attributes that name whom it is for.
        other: Other attributes that texts may name, such as the occasion.
        ignore: Attribute values that count as unknown.
        split: Attribute with the split of each item.
        train: Values of `split` that belong to the training split; items without a value belong to it too.
        dev: Values of `split` that belong to the dev split.
        hold_out: Fraction of the training products that is moved to the dev split, for galleries without one.
        dev_where: Attribute values that a dev item must have, such as `{photo = ["p225x300"]}`; empty takes all items.
    """

    gallery: Annotated[Word, HARMLESS]
    title: str = "title"
    garment: tuple[str, ...] = ()
    colour: tuple[str, ...] = ()
    gender: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    split: Word = "split"
    train: Values = ("train",)
    dev: tuple[str, ...] = ("dev", "val")
    hold_out: FractionBelowOne = 0.0
    dev_where: Mapping[str, Values] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WordSettings:
    """Which words are learnt, besides those of the lexicon and of labels: words of titles that describe what is seen.

    Attributes:
        titles: Least number of training titles with a word.
        beginnings: Least number of first words of these titles. Titles usually begin with a brand; words that go with
            few brands are names, which a photo does not show.
        first: Largest fraction of them that begin with the word.
    """

    titles: Count = 10
    beginnings: Count = 10
    first: Fraction = 0.3


@dataclass(frozen=True, slots=True)
class TextSettings:
    """Settings of a run that trains a text encoder.

    Attributes:
        task: `text`; settings files of embedders have no task.
        name: Name of the text encoder.
        data: Data sources, all of one photo model.
        seed: Seed of the initial weights and of the texts.
        steps: Optimiser steps.
        batch: Texts per step.
        photos: Photos that the texts of a step are compared with.
        titles: Fraction of the texts that are titles; the others are made from labels.
        other_languages: Fraction of the texts made from labels that are in another language than English.
        temperature: Temperature of the comparison.
        learning_rate: Learning rate after the warm-up; it falls to a hundredth in a cosine.
        weight_decay: Weight decay of matrices.
        ema: Decay of the moving average of the weights, which is measured and saved.
        select: What the best checkpoint is chosen by: `phrases precision@1`, `titles hit_rate@10`, or a table of
            weights by these names. Empty is the mean of both.
        measure_every: Steps between dev measures; 0 measures only at the end.
        save_every: Steps between saved states, from which a run resumes.
    """

    task: Literal["text"]
    name: Name
    data: Annotated[tuple[TextDataSettings, ...], Length(least=1, most=1000)]
    network: TextNetworkSettings = field(default_factory=TextNetworkSettings)
    words: WordSettings = field(default_factory=WordSettings)
    about: Annotated[AboutSettings, HARMLESS] = field(default_factory=AboutSettings)
    seed: Seed = 0
    steps: Annotated[CountFromOne, RUN_LENGTH] = 2000
    batch: BatchSize = 128
    photos: Annotated[int, Range(least=1, most=1_000_000)] = 1024
    titles: Fraction = 0.3
    other_languages: Fraction = 0.15
    temperature: Annotated[float, Range(least=0.001, most=1000)] = 0.05
    learning_rate: Annotated[float, Range(above=0, most=100)] = 3e-3
    weight_decay: WeightDecay = 0.01
    ema: FractionBelowOne = 0.995
    select: Select = ""
    measure_every: Count = 500
    save_every: Annotated[CountFromOne, HARMLESS] = 250


def load_text_settings(path: Path, *, overrides: tuple[str, ...] = ()) -> TextSettings:
    """Read the settings file of a run that trains a text encoder.

    Raises:
        ConfigError: The file is missing, not TOML, incomplete, or has values out of range.
        UnknownNameError: It has an unknown key.
    """
    settings = load(TextSettings, path, overrides=overrides)
    for place, data in enumerate(settings.data):
        if not (data.title or data.garment or data.colour or data.gender or data.other):
            raise ConfigError(f"{path}: data[{place}]: expected a `title` or labels, such as `garment`, got neither")
    return settings
