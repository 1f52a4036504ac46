"""Export of image and text models to a pair of ONNX files, checked against PyTorch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from lookalike.errors import LookalikeError, ModelError
from lookalike.models import text_encoder_file
from lookalike.models.checkpoint import FORMAT
from lookalike.models.clip.source import Source
from lookalike.models.clip.towers import fingerprint, image_tower, text_tower, why_no_text, without_padding
from lookalike.models.export import LEAST_COSINE, outputs_of, write_graph
from lookalike.models.fp16 import to_fp16
from lookalike.models.onnx_file import hidden_beside, write_metadata
from lookalike.models.other_libraries import AS_DESCRIBED, made_of
from lookalike.storage.durable import flush
from lookalike.types import Float32

CLIP_VOCABULARY: Final = 49408
"""Tokens that a text tower reads, if its configuration names no number."""

PHOTOS: Final = 8
"""Photos of the check, of random numbers."""

PHRASES: Final = ("red", "a floral summer dress", "Men's jacket of dark blue denim, with a zip and two pockets", "")
"""Texts of the check."""


@dataclass(frozen=True, slots=True)
class ExportedPair:
    """Files of an image and text model.

    Attributes:
        model_id: Model id of the photo model, such as `ViT-B-32@9f3c21ab`.
        least_cosine: Smallest cosine between the embeddings of the files and of PyTorch, in [-1, 1].
        text_file: File of the text encoder; None if there is none.
        without_text: Why there is no text encoder; empty if there is one.
    """

    model_id: str
    least_cosine: float
    text_file: Path | None
    without_text: str


def export_pair(source: Source, file: Path, *, half: bool = False) -> ExportedPair:
    """Write the photo model of an image and text model, and its text encoder beside it.

    Args:
        source: The model.
        file: ONNX file of the photo model, written atomically; its folder is created if missing.
        half: Store weights in 16 bits.

    Raises:
        ModelError: The weights do not fit the model, or are too large for an ONNX file.
        LookalikeError: The embeddings of a file differ from PyTorch's.
    """
    image = image_tower(source)
    text = text_parts(source)
    shape = (PHOTOS, 3, source.preprocessing.height, source.preprocessing.width)
    photos = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    text_file = text_encoder_file.text_encoder_of(file)
    with hidden_beside(file) as folder:
        made = _graph(image, torch.from_numpy(photos), folder / "image", input_name="photos", half=half)
        identity = fingerprint(source)
        if half:  # rounded weights are another model
            identity = hashlib.sha256(identity.encode() + made.read_bytes()).hexdigest()
        model_id = f"{source.name}@{identity[:8]}"
        about = {
            "lookalike.format": FORMAT,
            "lookalike.name": source.name,
            "lookalike.fingerprint": identity,
            "lookalike.preprocessing": source.preprocessing.to_json(),
        }
        write_metadata(made, about)
        least = _least_cosine(image, torch.from_numpy(photos), outputs_of(made, photos)["embedding"])
        if not isinstance(text, str):
            made_text, tokenizer, cosine = _write_text(*text, folder / "text", half=half)
            text_encoder_file.describe_text_encoder(
                made_text, name=source.name, photo_model=model_id, tokenizer=tokenizer.to_str()
            )
            least = min(least, cosine)
            flush(made_text)
            made_text.replace(text_file)
        flush(made)
        made.replace(file)
    if isinstance(text, str):
        return ExportedPair(model_id, least, None, text)
    return ExportedPair(model_id, least, text_file, "")


def text_parts(source: Source) -> tuple[nn.Module, Tokenizer] | str:
    """Text tower and tokenizer of a model, or the reason why it cannot have a text encoder."""
    if reason := why_no_text(source):
        return reason
    try:
        tokenizer = source.tokenizer()
    except ModelError as error:
        return str(error)
    with made_of(source.name, what=AS_DESCRIBED):
        known, read = tokenizer.get_vocab_size(), int(source.config["text_cfg"].get("vocab_size", CLIP_VOCABULARY))
    if known > read:
        return f"the tokenizer of {source.name} has {known:,} tokens, and its text tower reads {read:,}"
    return text_tower(source), tokenizer


def _write_text(tower: nn.Module, tokenizer: Tokenizer, folder: Path, *, half: bool) -> tuple[Path, Tokenizer, float]:
    """Write a text tower without metadata.

    Args:
        tower: Text tower of whole contexts.
        tokenizer: Its tokenizer, which fills texts to a whole context.
        folder: Folder to make.
        half: Store weights in 16 bits.

    Returns:
        The file, its tokenizer, which fills only as far as the file needs, and the smallest cosine to the tower.
    """
    whole = _tokens(tokenizer)
    written = without_padding(tower)
    longest = None
    if written is not tower:
        longest = whole.shape[1]
        tokenizer = Tokenizer.from_str(tokenizer.to_str())
        assert tokenizer.padding is not None
        tokenizer.enable_padding(**(tokenizer.padding | {"length": None}))
    tokens = _tokens(tokenizer)
    made = _graph(written, tokens, folder, input_name=text_encoder_file.INPUT, half=half, longest=longest)
    ours = outputs_of(made, tokens.numpy(), input_name=text_encoder_file.INPUT)["embedding"]
    return made, tokenizer, _least_cosine(tower, whole, ours)


def _tokens(tokenizer: Tokenizer) -> Tensor:
    """Token ids of the texts of the check, (B, L) int64."""
    return torch.tensor([each.ids for each in tokenizer.encode_batch(list(PHRASES))])


def _graph(
    tower: nn.Module, example: Tensor, folder: Path, *, input_name: str, half: bool, longest: int | None = None
) -> Path:
    folder.mkdir()
    made = folder / "model.onnx"
    write_graph(tower, {input_name: example}, made, output_names=["embedding"], longest=longest)
    return to_fp16(made) if half else made


def _least_cosine(tower: nn.Module, inputs: Tensor, ours: Float32) -> float:
    """Smallest cosine between the unit rows of a file and of PyTorch.

    Raises:
        LookalikeError: It is below `LEAST_COSINE`.
    """
    with torch.no_grad():
        least = float((torch.from_numpy(ours) * tower(inputs)).sum(dim=1).min())
    if not least >= LEAST_COSINE:  # also for nan
        raise LookalikeError(
            f"the embeddings of the ONNX file differ from PyTorch's (least cosine {least:.6f}, "
            f"expected at least {LEAST_COSINE}), so it was not written"
        )
    return least
