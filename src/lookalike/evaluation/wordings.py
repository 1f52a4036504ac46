"""Wordings: texts that people could search with for labels such as `Shirts`, `Blue`, `Men`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from random import Random
from typing import Final, TypeAlias

from lookalike.text.lexicon import AGE, COLOUR, ENGLISH, GARMENT, GENDER, Phrase, lexicon
from lookalike.text.words import words_of

PLAIN, KEYWORDS, SENTENCE, SYNONYMS = "plain", "keywords", "sentence", "synonyms"
WORDINGS: Final = (PLAIN, KEYWORDS, SENTENCE, SYNONYMS)

OTHER: Final = "other"
"""Role of a field whose labels name neither garments nor colours nor people."""

ROLES: Final = {GARMENT: GARMENT, COLOUR: COLOUR, GENDER: GENDER, AGE: GENDER}
"""Role of a field by the attribute of the lexicon that its labels name."""

Said: TypeAlias = Sequence[tuple[str, str]]
"""Role of each field of a phrase, and the words of its label."""


def role_of(labels: Collection[str]) -> str:
    """Role of a field: `garment`, `colour`, `gender` or `other`, whichever most of its labels name."""
    meanings = (lexicon().meanings.get(tuple(words_of(label))) for label in labels)
    roles = Counter(OTHER if meaning is None else ROLES.get(meaning[0], OTHER) for meaning in meanings)
    return max(roles, key=lambda role: (roles[role], role != OTHER), default=OTHER)


def texts_of(said: Said, *, random: Random) -> dict[str, str]:
    """Texts of a phrase by wording; a wording that gives the text of an earlier one is left out.

    `plain` is `blue shirts for men`; `keywords` has the same words in another order, `men shirts blue`; `sentence` has
    them in a sentence; and `synonyms` is plain, with other words for each label that the lexicon has some for.

    Args:
        said: Roles and words.
        random: Source of chance of the synonyms.
    """
    texts = {
        PLAIN: plain(said),
        KEYWORDS: " ".join(words for role in (GENDER, GARMENT, OTHER, COLOUR) for words in _all(said, role)),
        SENTENCE: sentence(said),
        SYNONYMS: plain([(role, synonym(words, random=random)) for role, words in said]),
    }
    first: dict[str, str] = {}
    for wording, text in texts.items():
        first.setdefault(text, wording)
    return {wording: text for text, wording in first.items()}


def plain(said: Said) -> str:
    """Text such as `striped blue shirts for men`."""
    people = [f"for {words}" for words in _all(said, GENDER)]
    return " ".join([*_all(said, OTHER), *_all(said, COLOUR), *_all(said, GARMENT), *people])


def sentence(said: Said) -> str:
    """Text such as `my friend recommended striped shirts in blue, suitable for men`."""
    colours = [f"in {words}" for words in _all(said, COLOUR)]
    people = [f", suitable for {words}" for words in _all(said, GENDER)]
    return " ".join(["my friend recommended", *_all(said, OTHER), *_all(said, GARMENT), *colours]) + "".join(people)


def change(role: str, words: str) -> str:
    """Text that asks for another label beside a photo, such as `but red` or `but for women`."""
    return f"but for {words}" if role == GENDER else f"but {words}"


def synonym(words: str, *, random: Random) -> str:
    """Other words for a label; the same ones if the lexicon has none."""
    own = tuple(words.split())
    attribute, value = lexicon().meanings.get(own, ("", ""))
    phrases: Mapping[str, Sequence[Phrase]] = lexicon().phrases[ENGLISH].get(attribute, {})
    others = [" ".join(phrase) for phrase in phrases.get(value, ()) if not _is_form_of(own, phrase)]
    return random.choice(others) if others else words


def _is_form_of(one: Phrase, other: Phrase) -> bool:
    """Whether one phrase is the other with more letters, such as a plural."""
    first, second = "".join(one), "".join(other)
    return first.startswith(second) or second.startswith(first)


def _all(said: Said, wanted: str) -> list[str]:
    return [words for role, words in said if role == wanted]
