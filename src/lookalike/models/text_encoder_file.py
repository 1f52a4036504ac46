"""Format of a text encoder's ONNX file, and its writing; this module imports no PyTorch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lookalike.models.onnx_file import write_metadata

FORMAT: Final = "text 1"

INPUT: Final = "tokens"
"""Input: token ids of texts, (B, L) int64."""

EMBEDDING: Final = "embedding"
"""Output: (B, D) float32, in the space of the photo model."""

SUFFIX: Final = ".text.onnx"
"""A text encoder lies beside its photo model: that of `shop.onnx` is `shop.text.onnx`."""


def text_encoder_of(photo_model: Path) -> Path:
    """Path of the text encoder of a photo model, which need not exist."""
    return photo_model.with_suffix(SUFFIX)


def describe_text_encoder(
    file: Path, *, name: str, photo_model: str, tokenizer: str, words: Sequence[str] | None = None
) -> None:
    """Write the metadata of a text encoder into its ONNX file.

    Args:
        file: ONNX file, with the input and the output of the format.
        name: Display name.
        photo_model: Model id of the photo model, such as `default@9f3c21ab`.
        tokenizer: JSON of the library tokenizers; it pads to equal lengths.
        words: Words that the encoder has learnt, lower case; None if it reads all words.
    """
    about = {
        "lookalike.format": FORMAT,
        "lookalike.name": name,
        "lookalike.photo_model": photo_model,
        "lookalike.tokenizer": tokenizer,
    }
    if words is not None:
        about["lookalike.words"] = json.dumps(list(words), ensure_ascii=False)
    write_metadata(file, about)
