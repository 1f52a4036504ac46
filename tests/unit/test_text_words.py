"""Words of a query: learnt, unknown and misspelt ones."""

from __future__ import annotations

import pytest

from lookalike.models.default_model import SHIPPED_MODEL
from lookalike.models.text_encoder_file import text_encoder_of
from lookalike.text.encoder import TextEncoder
from lookalike.text.words import ReadText, read, words_of

LEARNT = frozenset(("green", "jacket", "pink", "boys", "pump", "shirt", "short", "sequins", "the", "wine"))
INTENDED = LEARNT - {"the"}


def test_words_are_letters_and_digits_in_small_letters() -> None:
    assert words_of("T-Shirt, 501s; men\u2019s `naïve`! _x_") == ["t", "shirt", "501s", "men's", "naïve", "x"]
    assert words_of("nai\u0308ve e\u0301cru") == ["naïve", "écru"]  # accents apart, as macOS writes names of files
    assert words_of("लाल साड़ी, กางเกง") == ["लाल", "साड़ी", "กางเกง"]  # vowel signs belong to their word
    assert words_of("!? --") == []


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("gren", "green"),
        ("jaket", "jacket"),
        ("shrit", "shirt"),
        ("sequin", "sequins"),
        ("punk", None),  # not pink: a short word with another letter
        ("boss", None),
        ("puma", None),
        ("rgeen", None),  # the first letter counts
        ("winter", None),  # two letters more than wine
        ("gre", None),
        ("gr33n", None),
        ("then", None),  # no mistake is taken for a word that names nothing
    ],
)
def test_a_misspelt_word_is_read_as_what_was_meant(word: str, meant: str | None) -> None:
    said = read(f"the {word}", LEARNT, intended=INTENDED)
    if meant is None:
        assert said == ReadText(f"the {word}", ("the",), (word,))
    else:
        assert said == ReadText(f"the {word}", ("the", meant), (), {word: meant})


def test_an_encoder_without_a_list_reads_all_words() -> None:
    assert read("a Peplum", None) == ReadText("a Peplum", ("a", "peplum"))


def test_the_default_encoder_names_what_it_has_not_learnt() -> None:
    encoder = TextEncoder(text_encoder_of(SHIPPED_MODEL))
    said = encoder.read("gren peplum dres by chanel for my wife")
    assert said.corrected == {"gren": "green", "dres": "dress"}
    assert "peplum" in said.unknown and "chanel" in said.unknown
    assert {"green", "dress", "for", "my"} <= set(said.known)
    for name in ("nike", "puma", "levis", "klein", "armani", "boss", "wrangler", "winter", "cold"):
        assert not encoder.read(name).corrected, name
