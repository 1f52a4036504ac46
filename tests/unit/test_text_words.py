"""Words of a query: learnt ones, unknown ones, and misspelt ones."""

from __future__ import annotations

import pytest

from lookalike.text.words import is_one_change, read, similar, words_of

LEARNT = {"striped", "shirt", "short", "jacket", "zipped", "plum", "wine", "bolsos", "red", "t", "women's"}


def test_words_are_letters_and_digits_in_lower_case() -> None:
    assert words_of("A red T-Shirt, for WOMEN\u2019S day_2!") == [
        "a",
        "red",
        "t",
        "shirt",
        "for",
        "women's",
        "day",
        "2",
    ]
    assert words_of(" ,;- ") == []


def test_words_are_known_corrected_or_unknown_each_once() -> None:
    said = read("Red stripd jacket, acme ACME", LEARNT)
    assert said.known == ("red", "striped", "jacket") and said.unknown == ("acme",)
    assert dict(said.corrected) == {"stripd": "striped"}
    assert read("Red stripd", None).known == ("red", "stripd")  # an encoder that reads all words


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        *(
            ("jaket", "jacket"),
            ("jackett", "jacket"),
            ("jascket", "jacket"),
            ("jecket", "jacket"),
            ("jcaket", "jacket"),
        ),
        ("shrit", "shirt"),  # neighbours in the other order, rather than another letter
        *(("ripped", ""), ("peplum", ""), ("winter", ""), ("boss", ""), ("redd", ""), ("j4cket", ""), ("jkaet", "")),
    ],
)
def test_a_misspelt_word_is_one_change_away_and_begins_alike(word: str, meant: str) -> None:
    assert similar(word, LEARNT) == ([meant] if meant else [])


def slow_changes(word: str) -> set[str]:
    """All words that one change makes of a word of the letters a, b and c."""
    cuts = [(word[:at], word[at:]) for at in range(len(word) + 1)]
    return {
        *(left + right[1:] for left, right in cuts if right),
        *(left + letter + right[1:] for left, right in cuts if right for letter in "abc"),
        *(left + letter + right for left, right in cuts for letter in "abc"),
        *(left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1),
    }


def test_one_change_is_what_trying_all_changes_finds() -> None:
    words = [
        first + second + third + fourth
        for first in "abc"
        for second in "abc"
        for third in "abc"
        for fourth in ["", *"abc"]
    ]
    for word in words:
        made = slow_changes(word)
        assert {other for other in words if other != word and is_one_change(word, other)} == (made & {*words}) - {word}
