"""Words of a query: which of them a text encoder has learnt."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
"""Word: letters and digits, with apostrophes between them. A hyphen separates words."""

SHORTEST_CORRECTED: Final = 4
"""Shortest word, in letters, whose spelling is corrected; shorter ones are near too many others."""

NEAR: Final = 0.8
"""Least similarity of a misspelt word to a learnt one: twice the equal letters, divided by all letters of both."""


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
    """The most similar learnt word of a misspelt one, in a list; an empty list if none is near."""
    if len(word) < SHORTEST_CORRECTED or not word.isalpha():
        return []
    return get_close_matches(word, learnt, n=1, cutoff=NEAR)
