"""Tokenizers of CLIP-like models: the ids are those of open_clip."""

from __future__ import annotations

import html
import json
import unicodedata
from pathlib import Path

import ftfy
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from open_clip.tokenizer import SimpleTokenizer, get_clean_fn
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from lookalike.errors import ModelError
from lookalike.models.clip.tokenizer import cleaning, clip_tokenizer, read_tokenizer

OURS, THEIRS = clip_tokenizer(77), SimpleTokenizer()

ENCODING_ONLY = ftfy.TextFixerConfig(
    unescape_html=False, fix_latin_ligatures=False, fix_character_width=False, uncurl_quotes=False, normalization=None
)


def is_plain(text: str) -> bool:
    """Whether a text has none of what is read in another way: HTML, special tokens, and letters in a wrong encoding.

    Control characters, which look like a wrong encoding, and those that Python's Unicode does not know are left out.
    """
    if any(unicodedata.category(character) in ("Cc", "Cn", "Co") for character in text):
        return False
    forms = (text, cleaning("whitespace").normalize_str(text))
    readable = all(ftfy.fix_text(form, ENCODING_ONLY) == form == html.unescape(form) for form in forms)
    return readable and "_of_text>" not in text.lower()


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=126), max_size=120))
@example("Women's T-Shirt, 100% cotton; they'll LOVE it'd")
@example("dress " * 100)
@example("-" * 300)
def test_ascii_gets_the_same_ids(text: str) -> None:
    assume(is_plain(text))
    assert OURS.encode(text).ids == THEIRS([text])[0].tolist()


@settings(max_examples=500, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", max_codepoint=0x1FFFF), max_size=60))
@example("Robe d\u2019\u00e9t\u00e9 \u201cfleurs\u201d, \ufb01ne \uff21\uff22\uff23")
@example("\u039f\u0394\u039f\u03a3 \u03a3\u0391\u039a\u0391\u039a\u0399")
@example("\u65e5\u672c\u8a9e\u306e\u30c9\u30ec\u30b9 \U0001f642 \u0130stanbul")
def test_any_language_gets_the_same_ids(text: str) -> None:
    assume(is_plain(text))
    assert OURS.encode(text).ids == THEIRS([text])[0].tolist()


@pytest.mark.parametrize("text", ["a\tb\r\nc", "bell\x07 and \x1fseparator", "\ufeffmark"])
def test_control_characters_are_removed(text: str) -> None:
    assert OURS.encode(text).ids == THEIRS([text])[0].tolist()


@pytest.mark.parametrize("text", ["Tops &amp; Tees", "5&quot; heel", "&lt;new&gt; it&#39;s", "A&amp;amp;F", "a&nbsp;b"])
def test_entities_of_shops_are_read(text: str) -> None:
    assert OURS.encode(text).ids == THEIRS([text])[0].tolist()


def test_names_of_special_tokens_are_words() -> None:
    start, end = THEIRS.all_special_ids
    ids = OURS.encode("<end_of_text> <start_of_text>").ids
    assert (ids.count(start), ids.count(end)) == (1, 1)


@pytest.mark.parametrize("how", ["whitespace", "lower", "canonicalize"])
@pytest.mark.parametrize(
    "text", ["  Red,\tDRESS!  with_dots ", "caf\u00e9 \u2018X\u2019", "a - b", "\uff32\uff25\uff24"]
)
def test_cleaning_is_that_of_open_clip(how: str, text: str) -> None:
    assert cleaning(how).normalize_str(text) == get_clean_fn(how)(text)


def write_tokenizer(folder: Path) -> Path:
    """A `tokenizer.json` of four words and an end, which pads to nothing."""
    vocabulary = {"<pad>": 0, "</s>": 1, "<unk>": 2, "red": 3, "dress": 4, "Red": 5}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


@pytest.mark.parametrize(
    ("settings_beside", "clean", "ids"),
    [
        (None, "", [5, 2, 1, 7, 7, 7]),
        ({"pad_token": "</s>"}, "", [5, 2, 1, 1, 1, 1]),
        ({"pad_token": {"content": "<pad>"}, "padding_side": "left"}, "", [0, 0, 0, 5, 2, 1]),
        ({"pad_token": "</s>"}, "canonicalize", [3, 4, 1, 1, 1, 1]),
    ],
)
def test_a_tokenizer_of_a_file_is_padded_as_its_settings_say(
    tmp_path: Path, settings_beside: dict[str, object] | None, clean: str, ids: list[int]
) -> None:
    file = write_tokenizer(tmp_path)
    if settings_beside is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings_beside), encoding="utf-8")
    tokenizer = read_tokenizer(file, context_length=6, clean=clean, pad_id=7)
    assert tokenizer.encode("Red dress!").ids == ids
    assert tokenizer.encode("red dress " * 5).ids == ([3, 4, 3, 4, 3, 1])


def test_what_is_no_tokenizer_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        read_tokenizer(tmp_path / "tokenizer.json", context_length=6)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="not a tokenizer") as caught:
        read_tokenizer(tmp_path / "tokenizer.json", context_length=6)
    assert "\n" not in str(caught.value)
    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text("[", encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer_config\.json: cannot be read"):
        read_tokenizer(tmp_path / "tokenizer.json", context_length=6)
