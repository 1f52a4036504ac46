"""Tokenizers of CLIP-like models, as JSON of the library tokenizers, which searching reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

from lookalike.errors import ModelError, short_reason

START: Final = "<start_of_text>"
END: Final = "<end_of_text>"

TOKEN: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
"""Parts of a text in CLIP's vocabulary: endings, words, single digits, and runs of other characters."""

PUNCTUATION: Final = r"[!-/:-@\[-`{-~]"
"""The punctuation of ASCII."""

ENTITIES: Final = {"&nbsp;": " ", "&quot;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">", "&amp;": "&"}
"""HTML's entities that titles of shops have."""


def clip_tokenizer(context_length: int, *, clean: str = "lower") -> Tokenizer:
    """Make the tokenizer of CLIP, whose vocabulary open_clip has.

    Its ids are those of open_clip's `SimpleTokenizer`, except for texts in a wrong encoding, which that one repairs,
    and for rare HTML entities. Words that are the names of special tokens are ordinary words here.

    Args:
        context_length: L, tokens of a text with start and end; shorter texts are filled with 0.
        clean: Cleaning of texts, as `cleaning`.
    """
    from open_clip.tokenizer import SimpleTokenizer

    theirs = SimpleTokenizer()
    merges = sorted(theirs.bpe_ranks, key=theirs.bpe_ranks.__getitem__)
    tokenizer = Tokenizer(models.BPE(vocab=theirs.encoder, merges=merges, end_of_word_suffix="</w>"))
    tokenizer.normalizer = cleaning(clean)
    parts = pre_tokenizers.Split(Regex(TOKEN), behavior="removed", invert=True)
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([parts, letters])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(token, theirs.encoder[token]) for token in (START, END)]
    )
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(length=context_length, pad_id=0, pad_token="!")
    return tokenizer


def read_tokenizer(file: Path, *, context_length: int, clean: str = "", pad_id: int = 0) -> Tokenizer:
    """Read a `tokenizer.json` of the library tokenizers.

    Args:
        file: The file; `tokenizer_config.json` beside it may name the token of padding and its side.
        context_length: L, tokens of a text, with special ones; shorter texts are filled.
        clean: Cleaning of texts before the file's own, as `cleaning`; empty for none.
        pad_id: Id of padding, if no file names its token.

    Raises:
        ModelError: The file is missing, or not a tokenizer.
    """
    if not file.is_file():
        raise ModelError(f"{file}: no such file; the words of a query need the tokenizer of their model")
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # its exceptions have no common parent but Exception
        raise ModelError(f"{file}: not a tokenizer: {short_reason(error)}") from error
    settings = _settings_beside(file)
    token = settings.get("pad_token")
    token = token.get("content") if isinstance(token, Mapping) else token
    named = tokenizer.token_to_id(token) if isinstance(token, str) else None
    pad_id = pad_id if named is None else named
    if clean:
        own = [] if tokenizer.normalizer is None else [tokenizer.normalizer]
        tokenizer.normalizer = normalizers.Sequence([cleaning(clean), *own])
    tokenizer.enable_truncation(context_length)
    tokenizer.enable_padding(
        direction="left" if settings.get("padding_side") == "left" else "right",
        length=context_length,
        pad_id=pad_id,
        pad_token=tokenizer.id_to_token(pad_id) or "",
    )
    return tokenizer


def cleans_like_siglip(file: Path) -> bool:
    """Whether a tokenizer is that of SigLIP, of which `tokenizer.json` may lack the cleaning of texts."""
    return _settings_beside(file).get("tokenizer_class") in ("SiglipTokenizer", "SiglipTokenizerFast")


def cleaning(how: str) -> normalizers.Normalizer:
    """Make open_clip's cleaning of texts.

    Args:
        how: `whitespace` collapses white space, `lower` also makes letters small, `canonicalize` also removes the
            punctuation of ASCII. All repair typographic quotes, ligatures, letters of double width and HTML entities.

    Raises:
        ModelError: open_clip has no such cleaning.

    Source: open_clip's tokenizer.py, and ftfy, which it calls.
    """
    if how not in ("whitespace", "lower", "canonicalize"):
        raise ModelError(
            f"a tokenizer with the cleaning {how!r} is not supported; expected lower, whitespace or canonicalize"
        )
    steps = [*_repairs(), normalizers.NFC()]
    if how == "canonicalize":
        steps += [normalizers.Replace("_", " "), normalizers.Replace(Regex(PUNCTUATION), "")]
    if how != "whitespace":
        # Python's lower() writes a sigma at the end of a word in its own way.
        steps += [normalizers.Replace(Regex(r"(?<=\p{L})\u03a3(?!\p{L})"), "\u03c2"), normalizers.Lowercase()]
    return normalizers.Sequence([*steps, normalizers.Replace(Regex(r"\s+"), " "), normalizers.Strip()])


def _repairs() -> list[normalizers.Normalizer]:
    """The repairs of the library ftfy that are replacements of single characters."""
    from ftfy.chardata import LIGATURES, WIDTH_MAP

    characters = {chr(code): new for code, new in {**LIGATURES, **WIDTH_MAP}.items()}
    quotes = {"[\u02bc\u2018-\u201b]": "'", "[\u201c-\u201f]": '"'}
    controls = "[\x00-\x08\x0b\x0e-\x1f\x7f\u206a-\u206f\ufeff\ufff9-\ufffc]"
    return [
        *(normalizers.Replace(entity, new) for entity, new in [*ENTITIES.items()] * 2),  # some are escaped twice
        *(normalizers.Replace(old, new) for old, new in characters.items()),
        *(normalizers.Replace(Regex(old), new) for old, new in quotes.items()),
        normalizers.Replace(Regex(controls), ""),
    ]


def _settings_beside(file: Path) -> dict[str, Any]:
    """Contents of `tokenizer_config.json` beside a tokenizer; empty without one."""
    beside = file.with_name("tokenizer_config.json")
    try:
        settings = json.loads(beside.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{beside}: cannot be read: {short_reason(error)}") from None
    return settings if isinstance(settings, dict) else {}
