"""Composition: vectors of a query in words, and of a photo that words change.

A photo is changed by words through two descriptions in words: of what it shows, and of the same with what the words
say in its place. The changed vector is that of the new description, and a part of what the photo's vector has beyond
the old one. `python bench/words.py` measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from weakref import WeakKeyDictionary

import numpy as np

from lookalike.embedding.color import SPACE_NAME as COLOR
from lookalike.kinds import KINDS, TYPES
from lookalike.spaces import unit_rows
from lookalike.text.colors import color_of
from lookalike.text.encoder import TextEncoder
from lookalike.text.lexicon import COLOUR, ENGLISH, GARMENT, GENDER, Named, lexicon
from lookalike.text.words import ReadText, words_of
from lookalike.types import Float32, Labels

DEEP: Final = "deep"

KEPT: Final = 0.5
"""How much of what the photo has beyond its description stays, at a weight of 0.5."""

DESCRIBED: Final = (COLOUR, GARMENT, GENDER)
"""What photos are described by, in the order of a description such as `red shirt for men`."""

GENDERS: Final = ("men", "women", "boys", "girls")

Descriptions: TypeAlias = tuple[Sequence[Mapping[str, str]], Float32]

_GARMENTS: Final = WeakKeyDictionary[TextEncoder, tuple[Sequence[str], Float32]]()
_DESCRIBED: Final = WeakKeyDictionary[TextEncoder, dict[str, Descriptions]]()
"""Caches by encoder; the weak keys let unused encoders be freed."""


def asked(text: ReadText, encoder: TextEncoder) -> dict[str, Float32]:
    """Vectors of words by space, (1, D) float32 of unit length.

    The space `deep` is asked if a known word has a meaning, the space `color` if one names a colour.
    """
    vectors: dict[str, Float32] = {}
    if said_by(text.known):
        vectors[DEEP] = encoder.encode([" ".join(text.known)])
    color = color_of(text.known)
    if color is not None:
        vectors[COLOR] = color
    return vectors


def compose(
    photo: Mapping[str, Float32],
    text: ReadText,
    encoder: TextEncoder,
    *,
    labels: Labels | None,
    weight: float,
) -> dict[str, Float32]:
    """Vectors of a photo that words change: what they do not name stays as the photo shows it.

    Args:
        photo: Vectors of the photo by space, (1, D) float32 of unit length.
        text: Words that say what is to be different.
        encoder: Text encoder of the photo's model.
        labels: Classes that the photo shows, with their probabilities, by head, as in
            `lookalike.embedding.labels.PhotoLabels`; None if they are unknown: then the text encoder finds them.
        weight: Weight of the words, from 0 (the photo alone) to 1 (the words alone).

    Returns:
        Vectors by space, (1, D) float32 of unit length, for the spaces of the photo.
    """
    words = asked(text, encoder)
    composed = dict(photo)
    if DEEP in photo and DEEP in words:
        shown = shown_by_vector(photo[DEEP], encoder) if labels is None else shown_by_labels(labels)
        before, after = encoder.encode([description(shown), description({**shown, **said_by(text.known)})])
        changed = unit_rows(after + np.float32(KEPT) * (photo[DEEP] - before))
        composed[DEEP] = between(photo[DEEP], changed, words[DEEP], weight)
    if COLOR in photo and COLOR in words:
        composed[COLOR] = between(photo[COLOR], words[COLOR], words[COLOR], weight)
    return composed


def between(photo: Float32, changed: Float32, words: Float32, weight: float) -> Float32:
    """Unit vector on the way from a photo (weight 0) to the changed photo (0.5) and on to the words alone (1)."""
    first, second, part = (photo, changed, 2 * weight) if weight < 0.5 else (changed, words, 2 * weight - 1)
    return unit_rows(np.float32(1 - part) * first + np.float32(part) * second)


def said_by(known: Sequence[str]) -> dict[str, str]:
    """Words that name a colour, a garment or a gender, by attribute; "" has the others, but for plain ones.

    Args:
        known: Words that the encoder knows.
    """
    named: dict[str, list[str]] = {attribute: [] for attribute in ("", *DESCRIBED)}
    plain = frozenset().union(*lexicon().plain.values())
    for part in lexicon().parts(known):
        if isinstance(part, Named):
            named[part.attribute if part.attribute in DESCRIBED else ""] += part.words
        elif part not in plain:
            named[""].append(part)
    return {attribute: " ".join(words) for attribute, words in named.items() if words}


def description(shown: Mapping[str, str]) -> str:
    """Words such as `striped red shirt for men`, of words by attribute, where "" has those of other attributes."""
    words = [shown.get(attribute, "") for attribute in ("", COLOUR, GARMENT)]
    return " ".join(filter(None, [*words, f"for {shown[GENDER]}" if GENDER in shown else ""]))


def shown_by_labels(labels: Labels) -> dict[str, str]:
    """What labels say in words of the lexicon, by attribute; of several garments the one that is not just a kind."""
    shown: dict[str, str] = {}
    for classes in labels.values():
        for attribute in DESCRIBED if classes else ():
            value = lexicon().value_of(attribute, classes[0][0])
            if value is not None and (attribute not in shown or shown[attribute] in KINDS):
                shown[attribute] = value
    return shown


def shown_by_vector(photo: Float32, encoder: TextEncoder) -> dict[str, str]:
    """What a photo shows by attribute: the nearest description among those of types, colours and genders.

    Args:
        photo: (1, D) float32, vector of the photo in the space `deep`.
        encoder: Text encoder.
    """
    garments, rows = _garments(encoder)
    if not garments:
        return {}
    garment = garments[int((rows @ photo[0]).argmax())]
    described, rows = _described(encoder, garment)
    return dict(described[int((rows @ photo[0]).argmax())])


def _garments(encoder: TextEncoder) -> tuple[Sequence[str], Float32]:
    """Types of garments that an encoder knows, and their vectors, (T, D) float32."""
    found = _GARMENTS.get(encoder)
    if found is None:
        known = [name for types in TYPES.values() for name in types if _knows(encoder, name)]
        vectors = encoder.encode(known) if known else np.zeros((0, 0), dtype=np.float32)
        found = _GARMENTS[encoder] = known, vectors
    return found


def _described(encoder: TextEncoder, garment: str) -> Descriptions:
    """Descriptions of a garment in all colours for all genders, and their vectors, (N, D) float32."""
    known = _DESCRIBED.setdefault(encoder, {})
    if garment not in known:
        known[garment] = _descriptions(encoder, garment)
    return known[garment]


def _descriptions(encoder: TextEncoder, garment: str) -> Descriptions:
    """Make what `_described` returns."""
    families = [color for color in lexicon().phrases[ENGLISH][COLOUR] if lexicon().family_of(color) == color]
    colors = [color for color in families if _knows(encoder, color)]
    genders = [gender for gender in GENDERS if _knows(encoder, gender)]
    found = [
        {GARMENT: garment, **({COLOUR: color} if color else {}), **({GENDER: gender} if gender else {})}
        for color in colors or [""]
        for gender in genders or [""]
    ]
    return found, encoder.encode([description(each) for each in found])


def _knows(encoder: TextEncoder, name: str) -> bool:
    return encoder.learnt is None or encoder.learnt.issuperset(words_of(name))
