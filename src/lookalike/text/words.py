"""Words of a query: which of them a text encoder has learnt."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
"""Word: letters and digits, with apostrophes between them. A hyphen separates words."""

SHORTEST_CORRECTED: Final = 5
"""Shortest word, in letters, whose spelling is corrected; shorter ones are near too many others."""


@dataclass(frozen=True, slots=True)
class ReadText:
    """Text of a query, as a text encoder reads it.

    Attributes:
        text: The text as it was given.
        known: Words that were learnt, lower case, in order, spelling corrected; the encoder encodes these.
        unknown: Words that were not learnt, lower case: they can only be looked up as letters.
        corrected: Learnt word by misspelt word.
    """

    text: str
    known: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    corrected: Mapping[str, str] = field(default_factory=dict)


def words_of(text: str) -> list[str]:
    """Words of a text, lower case, in order."""
    return [word.replace("\u2019", "'") for word in WORD.findall(text.casefold())]


def read(text: str, learnt: Collection[str] | None) -> ReadText:
    """Read the text of a query.

    Args:
        text: Text of a query.
        learnt: Words that were learnt, lower case; None for an encoder that reads all words.
    """
    words = words_of(text)
    if learnt is None:
        return ReadText(text, tuple(words))
    known: list[str] = []
    unknown: list[str] = []
    corrected: dict[str, str] = {}
    for word in words:
        near = [word] if word in learnt else similar(word, learnt)
        if not near:
            unknown.append(word)
            continue
        known.append(near[0])
        if near[0] != word:
            corrected[word] = near[0]
    return ReadText(text, tuple(known), tuple(dict.fromkeys(unknown)), corrected)


def similar(word: str, learnt: Collection[str]) -> list[str]:
    """The learnt word that a misspelt one stands for, in a list; an empty list if none is near.

    A word is near that begins with the same letter and differs by one letter, too many, missing or wrong, or by two
    neighbours in the wrong order. More changes would take names of brands, such as Boss, for words of garments.
    """
    if len(word) < SHORTEST_CORRECTED or not word.isalpha():
        return []
    near = (each for each in learnt if each[:1] == word[:1] and is_one_change(word, each))
    return sorted(near, key=lambda each: (-SequenceMatcher(None, word, each).ratio(), each))[:1]


def is_one_change(word: str, other: str) -> bool:
    """Whether two different words differ by one letter, or by two neighbours in the other order."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = alike(word, other)
    word, other = word[start:], other[start:]
    end = alike(word[::-1], other[::-1])
    word, other = word[: len(word) - end], other[: len(other) - end]
    return max(len(word), len(other)) == 1 or (len(word) == 2 and word == other[::-1])


def alike(word: str, other: str) -> int:
    """Number of letters that two words begin with in common."""
    return next((at for at, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
