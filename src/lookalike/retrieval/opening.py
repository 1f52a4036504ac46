"""`lookalike.open`: a gallery with its model."""

from __future__ import annotations

import os
from collections.abc import Sequence

from lookalike.embedding.model_choice import ModelFile
from lookalike.retrieval.retriever import Retriever


def open(
    address: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    runtime: str = "auto",
    device: str = "auto",
    finder: str | os.PathLike[str] | None = None,
) -> Retriever:
    """Open a gallery with the model that embeds photos for it; both are loaded when first used.

    `Retriever.index` creates a gallery that does not exist.

    Args:
        address: The gallery's folder, or `milvus://HOST:PORT/COLLECTION`.
        model: `default`, an `.onnx` or a `.safetensors` file, or several, each with a space of its own; None is what
            filled the gallery, and `default` for a new one.
        runtime: `auto`, `onnx`, `openvino` or `torch`.
        device: `auto`, `cpu` or `cuda`.
        finder: ONNX file of a finder of garments; None is the one that is installed with Lookalike.
    """
    return Retriever(address, ModelFile(model, runtime, device), finder=finder)
