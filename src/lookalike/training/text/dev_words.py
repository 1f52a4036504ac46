"""Dev measure of text encoders: phrases made from labels, and titles, asked among the dev photos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer

from lookalike.models.text.network import TextNetwork
from lookalike.text.lexicon import COLOUR, GARMENT, GENDER
from lookalike.text.words import words_of
from lookalike.training.text.labelled_texts import TitledPhotos
from lookalike.types import Float32

LEAST_PHOTOS = 3
"""Photos that have the labels of a phrase, at least."""

ASKED = (GARMENT, COLOUR, GENDER)


PHRASES: Final = "phrases precision@1"
TITLES: Final = "titles hit_rate@10"


def figure_names(photos: TitledPhotos) -> list[str]:
    """Return the names of the figures of `measure_words`."""
    return [PHRASES] * bool(asked_labels(photos)) + [TITLES] * any(photos.titles)


def asked_labels(photos: TitledPhotos) -> list[tuple[str, ...]]:
    """Return the labels of the phrases that are asked."""
    counts = Counter(each for each in labels_of(photos) if each and all(each))
    return [each for each, count in counts.items() if count >= LEAST_PHOTOS]


def labels_of(photos: TitledPhotos) -> list[tuple[str, ...]]:
    """Return the most exact labels of garment, colour and gender of each photo."""
    return [tuple(labels[role][0] for role in ASKED if labels[role]) for labels in photos.labels]


def measure_words(network: TextNetwork, tokenizer: Tokenizer, photos: TitledPhotos) -> dict[str, float]:
    """Measure a text encoder.

    Phrases are made from the most exact labels of garment, colour and gender that at least three dev photos share,
    such as `navy blue sports shoes for men`.

    Returns:
        `phrases precision@1`: fraction of the phrases whose nearest photo has all labels; `titles hit_rate@10`:
        fraction of the titles whose own photo is among the nearest ten. Left out is what cannot be measured.
    """
    figures: dict[str, float] = {}
    labels = labels_of(photos)
    if asked := asked_labels(photos):
        rows = encode(network, tokenizer, [phrase_of(each) for each in asked])
        nearest = (rows @ photos.vectors.T).argmax(axis=1)
        right = [labels[place] == each for place, each in zip(nearest, asked, strict=True)]
        figures[PHRASES] = float(np.mean(right))
    if titled := [place for place, title in enumerate(photos.titles) if title]:
        rows = encode(network, tokenizer, [" ".join(photos.titles[place]) for place in titled])
        cosines = rows @ photos.vectors.T
        own = cosines[np.arange(len(titled)), titled]
        figures[TITLES] = float(((cosines > own[:, None]).sum(axis=1) < 10).mean())
    return figures


def phrase_of(labels: Sequence[str]) -> str:
    """Phrase of labels of garment, colour and gender, such as `blue shirts for men`; of others, their words."""
    words = [" ".join(words_of(label)) for label in labels]
    if len(words) < len(ASKED):
        return " ".join(words)
    garment, colour, gender = words
    return f"{colour} {garment} for {gender}"


def encode(network: TextNetwork, tokenizer: Tokenizer, texts: Sequence[str]) -> Float32:
    """Encode texts: (B, D) float32 of unit length."""
    tokens = torch.tensor([each.ids for each in tokenizer.encode_batch(list(texts))], dtype=torch.int64)
    with torch.no_grad():
        rows: Float32 = network(tokens).numpy()
    return rows
