"""Class scores of a checkpoint's heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from lookalike.models.checkpoint import load_checkpoint
from lookalike.types import Float32, PhotoChoice


class Classifier:
    """Classifier from the heads of a checkpoint.

    Args:
        path: A `.safetensors` checkpoint, or a `.pth.tar` of the original system.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelError: The file is missing, damaged, or neither.
    """

    def __init__(self, path: Path, *, device: str = "auto") -> None:
        self._checkpoint = load_checkpoint(path)
        self._device = "cuda" if device == "auto" and torch.cuda.is_available() else device.replace("auto", "cpu")
        self._checkpoint.network.to(self._device)

    @property
    def classes(self) -> Mapping[str, Sequence[str]]:
        """Class names of each head, in the order of the scores."""
        return self._checkpoint.classes

    @property
    def model_id(self) -> str:
        """Id of the model, such as `default@9f3c21ab`."""
        return f"{self._checkpoint.name}@{self._checkpoint.fingerprint[:8]}"

    @property
    def trained_on(self) -> Sequence[PhotoChoice]:
        """What of the photos of each catalogue it was trained on; empty if that is unknown."""
        return self._checkpoint.trained_on

    @property
    def wanted_size(self) -> int:
        """Smallest side in pixels that photos may be decoded at."""
        return self._checkpoint.preprocessing.wanted_size

    @torch.no_grad()
    def scores(self, photos: Sequence[Image], heads: Sequence[str]) -> dict[str, Float32]:
        """Compute the scores of B upright RGB photos by head: (B, classes) float32."""
        network = self._checkpoint.network
        pixels = torch.from_numpy(np.stack([self._checkpoint.preprocessing(photo) for photo in photos]))
        pooled = network.pooled(network.maps(pixels.to(self._device)))
        read = network.read_rows(pooled, network.metric_rows(pooled))
        return {head: network.scores(head, read).float().cpu().numpy() for head in heads}
