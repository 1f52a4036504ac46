"""Colours of words: their vectors in the space `color`, from the colours that names stand for.

`colors.csv` has an sRGB colour for each value of the lexicon. Its vector is that of a garment whose pixels have this
colour, lighter and darker in its folds; the spread was chosen on catalogue photos (docs/words.md).
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Final

import numpy as np

from lookalike.embedding.color import LEVELS, bins, oklab, trained_parameters
from lookalike.text.lexicon import COLOUR, lexicon
from lookalike.types import Float32

SPREAD: Final = (0.06, 0.01, 0.01)
"""Standard deviations of a garment's pixels along L, a and b of OKLab."""


def color_of(words: Sequence[str]) -> Float32 | None:
    """Vector of the colours that words name, in the space `color`.

    Args:
        words: Words, lower case.

    Returns:
        (1, D) float32 of unit length; None if the words name no colour, or one such as `multicoloured`.
    """
    codes = color_codes()
    named = [each.value for each in lexicon().find(words) if each.attribute == COLOUR and each.value in codes]
    if not named:
        return None
    amounts = np.mean([garment_histogram(codes[value]) for value in named], axis=0)
    row = trained_parameters().mapping @ np.sqrt(amounts)
    return np.asarray(row / np.linalg.norm(row), dtype=np.float32)[None]


@lru_cache(maxsize=1)
def color_codes() -> Mapping[str, str]:
    """Colour of each name of the lexicon that stands for one, in sRGB as six hexadecimal digits."""
    text = files("lookalike.text").joinpath("colors.csv").read_text(encoding="utf-8")
    return {row["color"]: row["rgb"] for row in csv.DictReader(text.splitlines())}


@lru_cache(maxsize=64)
def garment_histogram(code: str) -> Float32:
    """Histogram of a garment in one colour, (N,) float32 in the bins of the colour space, which sums to 1.

    Args:
        code: The colour in sRGB, as six hexadecimal digits.
    """
    level = ((np.arange(LEVELS) + 0.5) * (256 / LEVELS) - 0.5) / 255
    grid = oklab(np.stack(np.meshgrid(level, level, level, indexing="ij"), axis=-1).reshape(-1, 3))
    center = oklab(np.array([[part / 255 for part in bytes.fromhex(code)]]))
    distances = (((grid - center) / np.array(SPREAD)) ** 2).sum(axis=1)
    amounts = np.exp(-(distances - distances.min()) / 2)
    return bins().histogram(np.where(amounts > 1e-6, amounts, 0.0))
