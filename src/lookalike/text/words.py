"""Words of a query: which of them a text encoder has learnt."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from lookalike.text.spelling import nearest

WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
"""Word: letters and digits, with apostrophes between them. A hyphen separates words."""

SHORT: Final = 5
"""Letters of a short word: many of these differ in one letter, such as `punk` and `pink`, `boss` and `boys`."""


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
    """Words of a text, lower case, in order; a letter and the accents and vowel signs after it belong together."""
    folded = unicodedata.normalize("NFC", text.casefold())
    letters = "".join("x" if unicodedata.category(letter).startswith("M") else letter for letter in folded)
    return [folded[slice(*word.span())].replace("\u2019", "'") for word in WORD.finditer(letters)]


def read(text: str, learnt: Collection[str] | None, *, intended: Collection[str] = ()) -> ReadText:
    """Read the text of a query.

    Args:
        text: Text of a query.
        learnt: Words that were learnt, lower case; None for an encoder that reads all words.
        intended: Those of them that a misspelt word may be taken for.
    """
    words = words_of(text)
    if learnt is None:
        return ReadText(text, tuple(words))
    known: list[str] = []
    unknown: list[str] = []
    corrected: dict[str, str] = {}
    for word in words:
        meant = word if word in learnt else nearest(word, (each for each in intended if may_mean(word, each)))
        if meant is None:
            unknown.append(word)
            continue
        known.append(meant)
        if meant != word:
            corrected[word] = meant
    return ReadText(text, tuple(known), tuple(dict.fromkeys(unknown)), corrected)


def may_mean(word: str, learnt: str) -> bool:
    """Whether a misspelt word may be taken for a learnt one, before the errors are counted.

    Both begin with the same letter. A short word lacks a letter, or has the same ones in another order.
    """
    return learnt[0] == word[0] and (len(word) > SHORT or len(learnt) > len(word) or sorted(learnt) == sorted(word))
