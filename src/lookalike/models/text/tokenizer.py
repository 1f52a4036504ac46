"""Tokenizer of text encoders: the numbers of learnt words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel

NOTHING: Final = "[nothing]"
"""Padding, and words that were not learnt; no word of a text looks like it."""

MOST_WORDS: Final = 64
"""Words of a text that are read; further ones are left out."""


def make_tokenizer(words: Sequence[str]) -> Tokenizer:
    """Tokenizer that numbers words from 1; other words have the number 0, as padding has.

    Args:
        words: Words, lower case, as `lookalike.text.words.words_of` gives them.
    """
    numbers = {NOTHING: 0, **{word: number for number, word in enumerate(words, start=1)}}
    tokenizer = Tokenizer(WordLevel(numbers, unk_token=NOTHING))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(
        Regex(r"[^\W_]+(?:['\u2019][^\W_]+)*"), behavior="removed", invert=True
    )
    tokenizer.enable_padding(pad_id=0, pad_token=NOTHING)
    tokenizer.enable_truncation(MOST_WORDS)
    return tokenizer
