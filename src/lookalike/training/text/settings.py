"""Settings of a run that trains a text encoder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lookalike.config import load
from lookalike.errors import ConfigError
from lookalike.models.text.network import TextNetworkSettings
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

    gallery: str
    title: str = "title"
    garment: tuple[str, ...] = ()
    colour: tuple[str, ...] = ()
    gender: tuple[str, ...] = ()
    other: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    split: str = "split"
    train: tuple[str, ...] = ("train",)
    dev: tuple[str, ...] = ("dev", "val")
    hold_out: float = 0.0
    dev_where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WordSettings:
    """Which words are learnt, besides those of the lexicon and of labels: words of titles that describe what is seen.

    Attributes:
        titles: Least number of training titles with a word.
        beginnings: Least number of first words of these titles. Titles usually begin with a brand; words that go with
            few brands are names, which a photo does not show.
        first: Largest fraction of them that begin with the word.
    """

    titles: int = 10
    beginnings: int = 10
    first: float = 0.3


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
        measure_every: Steps between dev measures; 0 measures only at the end.
        save_every: Steps between saved states, from which a run resumes.
    """

    task: Literal["text"]
    name: str
    data: tuple[TextDataSettings, ...]
    network: TextNetworkSettings = field(default_factory=TextNetworkSettings)
    words: WordSettings = field(default_factory=WordSettings)
    about: AboutSettings = field(default_factory=AboutSettings)
    seed: int = 0
    steps: int = 2000
    batch: int = 128
    photos: int = 1024
    titles: float = 0.3
    other_languages: float = 0.15
    temperature: float = 0.05
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    ema: float = 0.995
    measure_every: int = 500
    save_every: int = 250


def load_text_settings(path: Path, *, overrides: tuple[str, ...] = ()) -> TextSettings:
    """Read the settings file of a run that trains a text encoder.

    Raises:
        ConfigError: The file is missing, not TOML, incomplete, or has values out of range.
        UnknownNameError: It has an unknown key.
    """
    settings = load(TextSettings, path, overrides=overrides)
    rules = {
        "at least one [[data]]": bool(settings.data),
        "steps, batch, photos, save_every, width and hidden >= 1": min(
            *(settings.steps, settings.batch, settings.photos, settings.save_every),
            *(settings.network.width, settings.network.hidden),
        )
        >= 1,
        "titles and other_languages from 0 to 1": all(
            0 <= share <= 1 for share in (settings.titles, settings.other_languages)
        ),
        "0 <= ema < 1 and 0 <= dropout < 1": 0 <= settings.ema < 1 and 0 <= settings.network.dropout < 1,
        "temperature and learning_rate above 0": min(settings.temperature, settings.learning_rate) > 0,
        "measure_every, weight_decay, words.titles and words.beginnings >= 0": min(
            *(settings.measure_every, settings.weight_decay, settings.words.titles, settings.words.beginnings)
        )
        >= 0,
        "words.first from 0 to 1": 0 <= settings.words.first <= 1,
        "0 <= hold_out < 1 in each [[data]]": all(0 <= data.hold_out < 1 for data in settings.data),
        "a title or labels in each [[data]]": all(
            data.title or data.garment or data.colour or data.gender or data.other for data in settings.data
        ),
    }
    for rule, kept in rules.items():
        if not kept:
            raise ConfigError(f"{path}: expected {rule}")
    return settings
