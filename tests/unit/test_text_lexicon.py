"""The lexicon: what words name, in several languages, and the colours they stand for."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from PIL import Image

from lookalike.embedding.color import Color
from lookalike.kinds import KINDS, TYPES
from lookalike.text.colors import color_codes, color_of
from lookalike.text.lexicon import COLOUR, ENGLISH, GARMENT, lexicon, without_accents
from lookalike.text.words import words_of

ATTRIBUTES = {
    "garment",
    "colour",
    "gender",
    "age",
    "pattern",
    "sleeves",
    "neck",
    "material",
    "occasion",
    "fit",
    "detail",
}


def meaning(text: str) -> dict[str, str]:
    return {named.attribute: named.value for named in lexicon().find(words_of(text))}


def test_no_phrase_has_two_values() -> None:
    values = defaultdict(set)
    for language in lexicon().phrases.values():
        for attribute, of_attribute in language.items():
            for value, phrases in of_attribute.items():
                for phrase in phrases:
                    assert phrase and all(word == word.casefold() for word in phrase)
                    values[phrase].add((attribute, value))
    assert {phrase: each for phrase, each in values.items() if len(each) > 1} == {}
    assert {phrase: (value,) for phrase, value in lexicon().meanings.items()} == {p: (*v,) for p, v in values.items()}


def test_it_has_hundreds_of_english_words_and_all_kinds_and_types() -> None:
    english = lexicon().phrases[ENGLISH]
    assert (
        len({word for values in english.values() for each in values.values() for phrase in each for word in phrase})
        > 700
    )
    assert english.keys() == ATTRIBUTES
    garments = english[GARMENT]
    assert garments.keys() >= {*KINDS, *(name for types in TYPES.values() for name in types)}
    for kind, types in TYPES.items():
        assert lexicon().kind_of(kind) == kind
        for name in types:
            assert (lexicon().type_of(name), lexicon().kind_of(name)) == (name, kind)


def test_other_languages_name_what_english_does() -> None:
    known = lexicon()
    for language in known.phrases.keys() - {ENGLISH}:
        assert known.phrases[language].keys() <= ATTRIBUTES and len(known.plain[language]) > 10
        for attribute, values in known.phrases[language].items():
            assert values.keys() <= known.phrases[ENGLISH][attribute].keys()
            assert all(values.values())


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("red floral dress", {"colour": "red", "pattern": "floral", "garment": "dress"}),
        ("I'm looking for a crimson frock", {"colour": "crimson", "garment": "dress"}),
        ("navy-blue T-shirt with long sleeves", {"colour": "navy", "garment": "t-shirt", "sleeves": "long sleeves"}),
        ("this, but for men", {"gender": "men"}),
        ("women's running shoes", {"gender": "women", "garment": "sports shoes"}),
        ("a pair of dress shoes", {"garment": "formal shoes"}),
        ("rotes Kleid für Damen", {"colour": "red", "garment": "dress", "gender": "women"}),
        ("chaussures bleu marine", {"colour": "navy", "garment": "shoes"}),
        ("camisa a cuadros de manga larga", {"garment": "shirt", "pattern": "checked", "sleeves": "long sleeves"}),
        ("gonna nera a righe", {"garment": "skirt", "colour": "black", "pattern": "striped"}),
        ("neela kurta ladki ke liye", {"colour": "blue", "garment": "kurta", "gender": "girls"}),
        ("Röcke und Gurtel", {"garment": "belt"}),  # the last garment, without its accent
        ("anything else", {}),
    ],
)
def test_what_a_text_names(text: str, named: dict[str, str]) -> None:
    assert meaning(text) == named


def test_the_longest_phrase_counts_and_labels_have_values() -> None:
    assert [named.words for named in lexicon().find(["light", "blue", "blue"])] == [("light", "blue"), ("blue",)]
    assert list(lexicon().parts(["a", "blue", "thing"]))[::2] == ["a", "thing"]
    assert lexicon().value_of(GARMENT, "Casual Shoes") == "casual shoes"
    assert lexicon().value_of(COLOUR, "Casual Shoes") is None and lexicon().value_of(GARMENT, "Lamp") is None
    assert lexicon().family_of("navy") == "blue" and lexicon().family_of("blue") == "blue"
    assert lexicon().family_of("multicoloured") is None and lexicon().type_of("lamp") is None
    assert without_accents("Röcke à pois") == "Rocke a pois"


def test_each_shade_has_one_family_and_a_colour() -> None:
    shades = lexicon().phrases[ENGLISH][COLOUR].keys() - {"multicoloured", "metallic"}
    assert color_codes().keys() == shades
    assert all(lexicon().family_of(shade) in shades for shade in shades)


@pytest.mark.parametrize(
    "name", ["red", "blue", "green", "yellow", "pink", "black", "white", "brown", "purple", "orange"]
)
def test_the_vector_of_a_colour_is_nearest_to_a_garment_of_it(name: str) -> None:
    """A square of each colour on white stands for a photo; the word finds its own."""
    swatches = {}
    for shade, code in color_codes().items():
        photo = Image.new("RGB", (90, 120), "white")
        photo.paste(Image.new("RGB", (60, 80), f"#{code}"), (15, 20))
        swatches[shade] = Color().embed(photo)
    families = [shade for shade in swatches if lexicon().family_of(shade) == shade]
    row = color_of([name])
    assert row is not None and row.shape == (1, Color().space.dimension) and row.dtype == np.float32
    assert np.linalg.norm(row) == pytest.approx(1.0)
    cosines = {shade: float(row[0] @ swatches[shade]) for shade in families}
    assert max(cosines, key=lambda shade: cosines[shade]) == name


def test_words_without_a_colour_have_no_vector_and_two_colours_lie_between() -> None:
    assert color_of(["shirt", "for", "men"]) is None and color_of(["multicoloured"]) is None and color_of([]) is None
    red, blue, both = color_of(["red"]), color_of(["blue"]), color_of(["red", "and", "blue"])
    assert red is not None and blue is not None and both is not None
    assert float(both[0] @ red[0]) > float(blue[0] @ red[0]) and float(both[0] @ blue[0]) > float(blue[0] @ red[0])
    np.testing.assert_array_equal(color_of(["rot"]), red)
    np.testing.assert_array_equal(color_of(["navy", "blue", "shirt"]), color_of(["dunkelblaues", "hemd"]))
