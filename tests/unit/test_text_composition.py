"""Composition: arithmetic against vectors that a child can add up."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import numpy as np
import pytest

from lookalike.spaces import unit_rows
from lookalike.text.colors import color_of
from lookalike.text.composition import asked, compose, description, shown_by_labels, shown_by_vector
from lookalike.text.encoder import TextEncoder
from tiny_text_encoder import write_tiny_text_encoder

WORDS = ["red", "blue", "shirt", "dress", "men", "women", "striped", "for", "this", "but", "scented"]
PLACE = {word: place for place, word in enumerate(WORDS)}
"""The vector of each word is an axis, except for words without meaning."""

PLAIN = {"for", "this", "but"}
SHOWN = {"kind": [("top", 0.9)], "type": [("shirt", 0.8)], "colour": [("blue", 0.7)], "gender": [("Men", 0.9)]}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    axes = np.eye(len(WORDS) + 1, dtype=np.float32)
    vectors = {word: axes[place] * (word not in PLAIN) for word, place in PLACE.items()}
    return TextEncoder(write_tiny_text_encoder(tmp_path_factory.mktemp("t") / "t.onnx", vectors, photo_model="tiny@1"))


def unit(**amounts: float) -> np.ndarray:
    """Unit vector with amounts along the axes of words; `style` is an axis that no word has."""
    row = np.zeros((1, len(WORDS) + 1), dtype=np.float32)
    for word, amount in amounts.items():
        row[0, PLACE.get(word, len(WORDS))] = amount
    return unit_rows(row)


def deep(
    encoder: TextEncoder, text: str, photo: np.ndarray, *, weight: float = 0.5, labelled: bool = True
) -> np.ndarray:
    shown = SHOWN if labelled else None
    return compose({"deep": photo}, encoder.read(text), encoder, labels=shown, weight=weight)["deep"]


def test_the_named_attribute_changes_and_half_of_the_rest_stays(encoder: TextEncoder) -> None:
    photo = unit(blue=1, shirt=1, men=1, style=1)
    described, changed = unit(blue=1, shirt=1, men=1), unit(red=1, shirt=1, men=1)
    expected = unit_rows(changed + 0.5 * (photo - described))
    np.testing.assert_allclose(deep(encoder, "this, but red", photo), expected, atol=1e-6)
    women = unit_rows(unit(blue=1, shirt=1, women=1) + 0.5 * (photo - described))
    np.testing.assert_allclose(deep(encoder, "for women", photo), women, atol=1e-6)
    dress = unit_rows(unit(blue=1, dress=1, men=1) + 0.5 * (photo - described))
    np.testing.assert_allclose(deep(encoder, "a dress", photo), dress, atol=1e-6)


def test_what_labels_cannot_say_is_added(encoder: TextEncoder) -> None:
    photo = unit(blue=1, shirt=1, men=1, style=1)
    for word in ("striped", "scented"):  # one of the lexicon, and one of titles
        added = unit_rows(unit(blue=1, shirt=1, men=1, **{word: 1}) + 0.5 * (photo - unit(blue=1, shirt=1, men=1)))
        np.testing.assert_allclose(deep(encoder, f"this but {word}", photo), added, atol=1e-6)


def test_the_weight_goes_from_the_photo_over_the_changed_one_to_the_words(encoder: TextEncoder) -> None:
    photo = unit(blue=1, shirt=1, men=1, style=1)
    changed = deep(encoder, "red", photo)
    np.testing.assert_allclose(deep(encoder, "red", photo, weight=0.0), photo, atol=1e-6)
    np.testing.assert_allclose(deep(encoder, "red", photo, weight=0.25), unit_rows(photo + changed), atol=1e-6)
    np.testing.assert_allclose(deep(encoder, "red", photo, weight=0.75), unit_rows(changed + unit(red=1)), atol=1e-6)
    np.testing.assert_allclose(deep(encoder, "red", photo, weight=1.0), unit(red=1), atol=1e-6)


def test_words_without_meaning_leave_the_photo_as_it_is(encoder: TextEncoder) -> None:
    photo = {"deep": unit(blue=1, style=1), "color": color_of(["blue"])}
    for text, weight in (("this but", 0.5), ("unheard", 0.5), ("but for this", 0.9)):
        composed = compose(photo, encoder.read(text), encoder, labels=SHOWN, weight=weight)
        np.testing.assert_array_equal(composed["deep"], photo["deep"])
        np.testing.assert_array_equal(composed["color"], photo["color"])


def test_without_labels_the_encoder_finds_what_the_photo_shows(encoder: TextEncoder) -> None:
    photo = unit(blue=1, shirt=1, men=1, style=1)
    assert shown_by_vector(photo, encoder) == {"garment": "shirt", "colour": "blue", "gender": "men"}
    assert shown_by_vector(unit(red=1, dress=2, women=1), encoder)["garment"] == "dress"
    assert np.allclose(deep(encoder, "red", photo), deep(encoder, "red", photo, labelled=False))


def test_without_labels_and_types_words_are_added(tmp_path: Path) -> None:
    vectors = {"soft": np.array([1, 0], np.float32)}
    encoder = TextEncoder(write_tiny_text_encoder(tmp_path / "t.onnx", vectors, photo_model="tiny@1"))
    photo = np.array([[0, 1]], dtype=np.float32)
    composed = compose({"deep": photo}, encoder.read("soft"), encoder, labels=None, weight=0.5)["deep"]
    np.testing.assert_allclose(composed, unit_rows(np.array([[1, 0.5]], dtype=np.float32)), atol=1e-6)


def test_a_named_colour_asks_the_colour_space(encoder: TextEncoder) -> None:
    red, blue = color_of(["red"]), color_of(["blue"])
    assert red is not None and blue is not None
    photo = {"deep": unit(blue=1, shirt=1), "color": blue}
    for weight, expected in ((0.0, blue), (0.25, unit_rows(red + blue)), (0.5, red), (1.0, red)):
        composed = compose(photo, encoder.read("red"), encoder, labels=SHOWN, weight=weight)
        np.testing.assert_allclose(composed["color"], expected, atol=1e-6)
    for_women = compose(photo, encoder.read("for women"), encoder, labels=SHOWN, weight=0.5)
    np.testing.assert_array_equal(for_women["color"], blue)


def test_words_alone_ask_the_spaces_that_they_have_vectors_of(encoder: TextEncoder) -> None:
    alone = asked(encoder.read("red dress"), encoder)
    np.testing.assert_allclose(alone["deep"], unit(red=1, dress=1), atol=1e-6)
    np.testing.assert_array_equal(alone["color"], color_of(["red"]))
    assert asked(encoder.read("a dress"), encoder).keys() == {"deep"}
    assert asked(encoder.read("unheard"), encoder) == {} == asked(encoder.read("this, but"), encoder)


def test_labels_are_told_in_words() -> None:
    assert shown_by_labels(SHOWN) == {"garment": "shirt", "colour": "blue", "gender": "men"}
    assert shown_by_labels(
        {"articleType": [("Casual Shoes", 0.5)], "kind": [("shoes", 1.0)], "season": [("Fall", 1.0)]}
    ) == {"garment": "casual shoes"}
    assert shown_by_labels({"kind": [], "colour": []}) == {}
    assert (
        description({"garment": "shirt", "colour": "red", "gender": "men", "": "striped"})
        == "striped red shirt for men"
    )
    assert description({"garment": "shirt"}) == "shirt"


def test_an_encoder_that_nobody_uses_any_more_is_freed(encoder: TextEncoder) -> None:
    own = encoder.projected(None)
    photo = unit(blue=1, shirt=1, men=1)
    assert shown_by_vector(photo, own) == shown_by_vector(photo, encoder)
    freed = weakref.ref(own)
    del own
    gc.collect()
    assert freed() is None
