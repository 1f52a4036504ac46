"""The class scores of a checkpoint, for those who want its heads and not its embeddings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from lookalike.models.checkpoint import load_checkpoint
from lookalike.types import Float32


class Classifier:
    """Scores the classes that a network was trained with.

    Args:
        path: A `.safetensors` checkpoint, or a `.pth.tar` that the original system saved.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: It is missing, broken, or neither.
    """

    def __init__(self, path: Path, *, device: str = "auto") -> None:
        self._checkpoint = load_checkpoint(path)
        self._device = "cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu")
        self._checkpoint.network.to(self._device)

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """The names of the classes of each head, in the order of their scores."""
        return self._checkpoint.classes

    @property
    def model_id(self) -> str:
        """Names the model, such as `default@9f3c21ab`."""
        return f"{self._checkpoint.name}@{self._checkpoint.fingerprint[:8]}"

    @property
    def wanted_size(self) -> int:
        """Decode photos so that both sides keep at least this many pixels."""
        return self._checkpoint.preprocessing.wanted_size

    @torch.no_grad()
    def scores(self, photos: Sequence[Image], heads: Sequence[str]) -> dict[str, Float32]:
        """The scores of B upright RGB photos by head: (B, classes) float32."""
        network = self._checkpoint.network
        pixels = torch.from_numpy(np.stack([self._checkpoint.preprocessing(photo) for photo in photos]))
        pooled = network.pooled(network.maps(pixels.to(self._device)))
        read = network.read_rows(pooled, network.metric_rows(pooled))
        return {head: network.scores(head, read).float().cpu().numpy() for head in heads}
