"""Texts for labels: their order, their synonyms, and which field names the garment, the colour and the people."""

from __future__ import annotations

from random import Random

import pytest

from lookalike.evaluation.wordings import change, role_of, synonym, texts_of


@pytest.mark.parametrize(
    ("labels", "role"),
    [
        ({"Shirts", "Casual Shoes", "Unheard Of"}, "garment"),
        ({"Navy Blue", "Red"}, "colour"),
        ({"Men", "Girls"}, "gender"),
        ({"Kids", "Toddlers"}, "gender"),
        ({"striped", "floral"}, "other"),
        ({"AB-12", "CD-13"}, "other"),
        (set(), "other"),
    ],
)
def test_a_field_is_what_most_of_its_labels_name(labels: set[str], role: str) -> None:
    assert role_of(labels) == role


def test_each_wording_has_all_labels() -> None:
    said = [("garment", "zori"), ("colour", "mauvish"), ("gender", "elves"), ("other", "knotted")]
    assert texts_of(said, random=Random(0)) == {
        "plain": "knotted mauvish zori for elves",
        "keywords": "elves zori knotted mauvish",
        "sentence": "my friend recommended knotted zori in mauvish, suitable for elves",
    }
    assert texts_of([("garment", "zori")], random=Random(0)) == {
        "plain": "zori",
        "sentence": "my friend recommended zori",
    }


def test_synonyms_are_other_words_of_the_lexicon() -> None:
    synonyms = {synonym("sweaters", random=Random(seed)) for seed in range(100)}
    assert {"jumper", "pullovers", "knitwear"} <= synonyms
    assert not {"sweater", "sweaters"} & synonyms
    assert synonym("zori", random=Random(0)) == "zori"
    said = [("garment", "sweaters"), ("colour", "mauvish")]
    text = texts_of(said, random=Random(3))["synonyms"]
    assert text.startswith("mauvish ") and text.removeprefix("mauvish ") in synonyms
    assert text == texts_of(said, random=Random(3))["synonyms"]


def test_changes_are_said_beside_a_photo() -> None:
    assert change("colour", "navy blue") == "but navy blue"
    assert change("gender", "women") == "but for women"
