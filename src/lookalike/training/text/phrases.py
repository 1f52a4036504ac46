"""Texts made from labels: many wordings of the same garment, colour, gender and other features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from lookalike.text.lexicon import ENGLISH, Lexicon, Phrase

USUAL: Final = 0.4
"""Probability of the usual phrase of a value; the others share the rest."""

BEGINNINGS: Final = (
    *("i am looking for", "i'm looking for a", "show me", "find me a", "do you have a", "i want a", "i need a pair of"),
    *(
        "looking for",
        "please find",
        "we would like to buy",
        "what about",
        "can you show me some",
        "something like",
        "any",
    ),
    *("this but", "the same but", "similar but", "like this but in", "this one in", "same style but", "instead a"),
)
ENDINGS: Final = (
    "please",
    "like this",
    "that i could buy",
    "if you have it",
    "to wear",
    "thanks",
    "in my size",
    "instead",
)

JOINTS: Final = {"colour": "in", "gender": "for", "other": "with"}
"""Word before what is named after the garment, by role."""


class Wording:
    """Makes texts from named values.

    Args:
        lexicon: Phrases of values.
        random: Source of chance.
        other_languages: Fraction of the texts in another language than English.
    """

    def __init__(self, lexicon: Lexicon, *, random: np.random.Generator, other_languages: float) -> None:
        self.lexicon, self.random, self.other_languages = lexicon, random, other_languages
        self.languages = [language for language in lexicon.phrases if language != ENGLISH]

    def text(self, named: Mapping[str, Sequence[tuple[str, str]]]) -> list[str]:
        """Words of a text.

        Args:
            named: By role (`garment`, `colour`, `gender`, `other`), the attribute and value of what is named; a value
                that is not in the lexicon stands for itself.
        """
        language = ENGLISH
        if self.random.random() < self.other_languages:
            language = self.languages[self.random.integers(len(self.languages))]
        said = {
            role: [self.phrase(attribute, value, language) for attribute, value in values]
            for role, values in named.items()
        }
        words = self._ordered(said)
        if language == ENGLISH and self.random.random() < 0.35:
            words = [*self._one(BEGINNINGS).split(), *words]
        if language == ENGLISH and self.random.random() < 0.15:
            words = [*words, *self._one(ENDINGS).split()]
        return self._with_plain_words(words, language)

    def phrase(self, attribute: str, value: str, language: str) -> Phrase:
        """Phrase for a value in a language, or in English where the language has none."""
        for each in (language, ENGLISH):
            if phrases := self.lexicon.phrases[each].get(attribute, {}).get(value):
                usual = len(phrases) == 1 or self.random.random() < USUAL
                return phrases[0] if usual else phrases[int(self.random.integers(1, len(phrases)))]
        return tuple(value.split())

    def _ordered(self, said: Mapping[str, Sequence[Phrase]]) -> list[str]:
        """Put phrases in an order: before the garment, or after it, as in `shirt in red for men`."""
        before: list[Phrase] = []
        after: list[Phrase] = []
        for role, joint in JOINTS.items():
            for phrase in said.get(role, ()):
                if self.random.random() < (0.5 if role == "gender" else 0.7):
                    before.append(phrase)
                else:
                    after.append((joint, *phrase) if self.random.random() < 0.7 else phrase)
        if self.random.random() < 0.5:
            self.random.shuffle(before)
        self.random.shuffle(after)
        return [word for phrase in (*before, *said.get("garment", ()), *after) for word in phrase]

    def _with_plain_words(self, words: list[str], language: str) -> list[str]:
        """Put words without meaning anywhere into some of the texts, so that they are learnt to have none."""
        if self.random.random() < 0.25:
            plain = self.lexicon.plain[language]
            for _ in range(int(self.random.integers(1, 5))):
                place = int(self.random.integers(len(words) + 1))
                words = [*words[:place], plain[int(self.random.integers(len(plain)))], *words[place:]]
        return words

    def _one(self, texts: Sequence[str]) -> str:
        return texts[int(self.random.integers(len(texts)))]
