"""Export of a text encoder checkpoint to ONNX, compared with PyTorch on texts of its words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from lookalike.errors import LookalikeError
from lookalike.models.export import LEAST_COSINE, OPSET, forget_origins
from lookalike.models.fp16 import to_fp16
from lookalike.models.onnx_file import hidden_beside
from lookalike.models.text.checkpoint import TextCheckpoint, load_text_encoder
from lookalike.models.text.network import TextNetwork
from lookalike.models.text.tokenizer import make_tokenizer
from lookalike.models.text_encoder_file import EMBEDDING, INPUT, describe_text_encoder
from lookalike.storage.durable import flush

LONGEST = 12
"""Most words of a text of the comparison."""


def export_text_encoder(checkpoint: Path, file: Path, *, half: bool = False) -> float:
    """Write a text encoder checkpoint as an ONNX file with its tokenizer and words.

    Args:
        checkpoint: `.safetensors` file of a training run.
        file: ONNX file to write; its folder is created. A failure leaves no partial file.
        half: Store the weights as float16.

    Returns:
        Result of `least_cosine`.

    Raises:
        ModelError: The checkpoint is missing, damaged, or not of a text encoder.
        LookalikeError: The embeddings of the file differ from PyTorch's.
    """
    loaded = load_text_encoder(checkpoint)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        _write(loaded.network, made)
        if half:
            made = to_fp16(made)
        describe_text_encoder(
            made,
            name=loaded.name,
            photo_model=loaded.photo_model,
            tokenizer=make_tokenizer(loaded.words).to_str(),
            words=loaded.words,
        )
        least = least_cosine(loaded, made)
        if not least >= LEAST_COSINE:  # also for nan
            raise LookalikeError(
                f"{file}: not written: its embeddings differ from PyTorch's (least cosine {least:.6f})"
            )
        flush(made)
        made.replace(file)
    return least


def least_cosine(loaded: TextCheckpoint, file: Path) -> float:
    """Smallest cosine between the embeddings of an ONNX file and of PyTorch, over texts of 1 to 12 learnt words."""
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    tokenizer = make_tokenizer(loaded.words)
    cosines = []
    for texts in _texts(loaded.words):
        tokens = np.array([each.ids for each in tokenizer.encode_batch(list(texts))], dtype=np.int64)
        ours = session.run([EMBEDDING], {INPUT: tokens})[0]
        with torch.no_grad():
            theirs = loaded.network(torch.from_numpy(tokens)).numpy()
        cosines.append((ours * theirs).sum(axis=1))
    return float(np.concatenate(cosines).min())


def _texts(words: Sequence[str]) -> list[list[str]]:
    """Batches of texts in which every word occurs."""
    starts = range(0, len(words), LONGEST)
    return [[" ".join(words[start : start + length]) for start in starts] for length in (1, 3, LONGEST)]


def _write(network: TextNetwork, file: Path) -> None:
    texts, longest = torch.export.Dim("texts", min=1), torch.export.Dim("words", min=1)
    program = torch.onnx.export(
        network.eval(),
        (torch.ones(2, 5, dtype=torch.int64),),
        input_names=[INPUT],
        output_names=[EMBEDDING],
        dynamic_shapes={"tokens": {0: texts, 1: longest}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.save(str(file), external_data=False)
    forget_origins(file)
