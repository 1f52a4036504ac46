"""A CLIP of open_clip small enough to export in seconds, with random weights, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

VISION: dict[str, Any] = {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8}
TEXT: dict[str, Any] = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
CONFIG: dict[str, Any] = {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT}

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
PREPROCESSING: dict[str, Any] = {"mean": MEAN, "std": STD, "interpolation": "bicubic", "resize_mode": "shortest"}

TEXTS = ["red", "A blue denim jacket, with 2 pockets", "Robe d'été à fleurs", "", "very long dress " * 40]


def make_clip(*, quick_gelu: bool = False, seed: int = 0) -> Any:
    """CLIP of open_clip with weights far enough from zero that every layer matters."""
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    model = CLIP(**CONFIG, quick_gelu=quick_gelu).eval()
    stir(model)
    return model


@torch.no_grad()
def stir(model: nn.Module) -> None:
    """Add noise to all weights: those that a new network has at 0 or 1 could be mixed up unnoticed."""
    for weight in model.parameters():
        weight.add_(0.1 * torch.randn_like(weight))


def write_folder(folder: Path, model: nn.Module, *, config: dict[str, Any] | None = None) -> Path:
    """Write a folder as open_clip publishes models."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    described = {"model_cfg": config or CONFIG, "preprocess_cfg": PREPROCESSING}
    (folder / "open_clip_config.json").write_text(json.dumps(described), encoding="utf-8")
    state = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


def drawn_photos() -> list[Image.Image]:
    """Photos of several shapes."""
    random = np.random.default_rng(0)
    coarse = [random.integers(0, 256, size=(5, 4, 3), dtype=np.uint8) for _ in range(3)]
    sizes = ((40, 55), (64, 64), (91, 47))
    return [
        Image.fromarray(one).resize(size, Image.Resampling.BICUBIC) for one, size in zip(coarse, sizes, strict=True)
    ]
