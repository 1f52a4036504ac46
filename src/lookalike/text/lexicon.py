"""Lexicon: words that name what clothes look like, by attribute and value, in English and five other languages."""

from __future__ import annotations

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from typing import Final, TypeAlias

from lookalike.kinds import GENERAL, KINDS, TYPES, kind_of, type_of
from lookalike.text.words import words_of

Phrase: TypeAlias = tuple[str, ...]
"""Words of a phrase, lower case."""

ENGLISH: Final = "en"
GARMENT, COLOUR, GENDER, AGE = "garment", "colour", "gender", "age"


@dataclass(frozen=True, slots=True)
class Named:
    """Value of an attribute that a text names.

    Attributes:
        attribute: Name of the attribute, such as `colour`.
        value: Its value, such as `navy`.
        words: Words that name it.
    """

    attribute: str
    value: str
    words: Phrase


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Phrases of values, and the words that carry no meaning.

    Attributes:
        phrases: Phrases by language, attribute and value, the usual one first.
        meanings: Attribute and value of each phrase.
        longest: Number of words of the longest phrase by its first word.
        families: Colour family of each shade.
        plain: Words of sentences that name nothing, by language.
    """

    phrases: Mapping[str, Mapping[str, Mapping[str, Sequence[Phrase]]]]
    meanings: Mapping[Phrase, tuple[str, str]]
    longest: Mapping[str, int]
    families: Mapping[str, str]
    plain: Mapping[str, Sequence[str]]

    @property
    def words(self) -> frozenset[str]:
        """All words, with those that name nothing."""
        named = {word for phrase in self.meanings for word in phrase}
        return frozenset(named.union(*self.plain.values()))

    @property
    def naming(self) -> frozenset[str]:
        """English words that name values, which misspelt words are taken for."""
        values = chain(*(attribute.values() for attribute in self.phrases[ENGLISH].values()))
        return frozenset(word for phrases in values for phrase in phrases for word in phrase)

    def find(self, words: Sequence[str]) -> list[Named]:
        """Values that words name, in order; of overlapping phrases the longest, and of equal ones the first."""
        return [each for each in self.parts(words) if isinstance(each, Named)]

    def parts(self, words: Sequence[str]) -> Iterator[Named | str]:
        """Split words into phrases that name values, and other words."""
        place = 0
        while place < len(words):
            for length in range(min(self.longest.get(words[place], 0), len(words) - place), 0, -1):
                phrase = tuple(words[place : place + length])
                if phrase in self.meanings:
                    yield Named(*self.meanings[phrase], phrase)
                    place += length
                    break
            else:
                yield words[place]
                place += 1

    def all_phrases(self, attribute: str, value: str) -> list[Phrase]:
        """Phrases of a value in all languages; an empty list if the lexicon does not have it."""
        values = (attributes.get(attribute, {}) for attributes in self.phrases.values())
        return [phrase for each in values for phrase in each.get(value, ())]

    def value_of(self, attribute: str, label: str) -> str | None:
        """Value of an attribute that a label of a catalogue, such as `Casual Shoes`, stands for; None if it is none."""
        meaning = self.meanings.get(tuple(words_of(label)))
        return meaning[1] if meaning is not None and meaning[0] == attribute else None

    def family_of(self, colour: str) -> str | None:
        """Colour family of a colour, such as blue of navy; None for several colours and for metallic."""
        families = frozenset(self.families.values())
        return colour if colour in families else self.families.get(colour)

    def type_of(self, garment: str) -> str | None:
        """Type of `lookalike.kinds` that a garment belongs to; None if it has none there."""
        if garment in KINDS:  # a word of such a garment may be that of a type, too
            return type_of(garment)
        return next(filter(None, map(type_of, self._names(garment))), None)

    def kind_of(self, garment: str) -> str | None:
        """Kind of `lookalike.kinds` that a garment belongs to; None if it has none there."""
        return next(filter(None, map(kind_of, self._names(garment))), None)

    def _names(self, garment: str) -> list[str]:
        phrases = self.phrases[ENGLISH][GARMENT].get(garment, ())
        return [garment, *(" ".join(phrase) for phrase in phrases)]


@lru_cache(maxsize=1)
def lexicon() -> Lexicon:
    """The lexicon of the package, `lexicon.toml` beside this module."""
    table = tomllib.loads(files("lookalike.text").joinpath("lexicon.toml").read_text(encoding="utf-8"))
    plain = {language: tuple(words.split()) for language, words in table.pop("plain_words").items()}
    families = {shade: family for family, shades in table.pop("families").items() for shade in shades}
    phrases = {
        language: {
            attribute: {value: _phrases(entries) for value, entries in values.items()}
            for attribute, values in attributes.items()
        }
        for language, attributes in table.items()
    }
    _add_kinds(phrases[ENGLISH])
    meanings: dict[Phrase, tuple[str, str]] = {}
    for language in phrases.values():
        for attribute, values in language.items():
            for value, each in values.items():
                for phrase in each:
                    meanings.setdefault(phrase, (attribute, value))
    longest: dict[str, int] = {}
    for phrase in sorted(meanings, key=len):
        longest[phrase[0]] = len(phrase)
    return Lexicon(phrases, meanings, longest, families, plain)


def _phrases(entries: Sequence[str]) -> list[Phrase]:
    """Phrases of entries such as `sock|s`, which stands for `socks`; those with accents without them, too."""
    found: dict[Phrase, None] = {}
    for entry in entries:
        stem, *endings = entry.split("|")
        for ending in endings or [""]:
            words = tuple(words_of(stem + ending))
            found[words] = None
            found[tuple(map(without_accents, words))] = None
    return list(found)


def without_accents(word: str) -> str:
    """Word without the accents of its letters: `ecru` for `écru`."""
    apart = unicodedata.normalize("NFD", word)
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _add_kinds(english: Mapping[str, dict[str, list[Phrase]]]) -> None:
    """Add the names of kinds and types and the words for them, except for those that name something finer."""
    garments = english[GARMENT]
    taken = {phrase for values in english.values() for each in values.values() for phrase in each}
    named = {name: words for types in TYPES.values() for name, words in types.items()}
    for name, words in (*named.items(), *((kind, GENERAL.get(kind, ())) for kind in TYPES)):
        for word in (name, *words):
            phrase = tuple(words_of(word))
            if phrase not in taken:
                garments.setdefault(name, []).append(phrase)
                taken.add(phrase)
