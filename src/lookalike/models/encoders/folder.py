"""Image encoders in folders as Hugging Face keeps them: those of timm, and DINOv2 of transformers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lookalike.errors import ModelError
from lookalike.models.clip.source import HUGGING_FACE_CONFIG, OPEN_CLIP_CONFIG, read_json
from lookalike.models.encoders.dinov2 import TYPES, dinov2_encoder
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.encoders.timm_encoder import timm_encoder
from lookalike.models.preprocessing import PreprocessingChanges

WEIGHTS: Final = "model.safetensors"


def encoder_of_folder(folder: Path, *, name: str, changes: PreprocessingChanges) -> ImageEncoder | None:
    """Make the image encoder of a folder.

    Args:
        folder: Folder with `config.json` and `model.safetensors`.
        name: Display name.
        changes: Changes of its preprocessing.

    Returns:
        The encoder; None for a folder of another kind, such as an image and text model.

    Raises:
        ModelError: A file is missing or damaged, or the weights do not fit.
    """
    file = folder / HUGGING_FACE_CONFIG
    if not file.is_file() or (folder / OPEN_CLIP_CONFIG).is_file():
        return None
    described = read_json(file)
    if "architecture" in described:
        return _of_timm(described, _weights(folder), name=name, changes=changes)
    if described.get("model_type") in TYPES:
        return dinov2_encoder(folder, described, _weights(folder), name=name, changes=changes)
    return None


def _weights(folder: Path) -> str:
    if not (folder / WEIGHTS).is_file():
        raise ModelError(f"{folder}: it has no weights; expected {WEIGHTS}")
    return str(folder / WEIGHTS)


def _of_timm(described: Mapping[str, Any], weights: str, *, name: str, changes: PreprocessingChanges) -> ImageEncoder:
    config = described.get("pretrained_cfg")
    if not isinstance(config, Mapping):
        raise ModelError(f"{weights}: its {HUGGING_FACE_CONFIG} has no pretrained_cfg of timm")
    arguments = described.get("model_args") or {}
    if not isinstance(arguments, Mapping):
        raise ModelError(f"{weights}: its {HUGGING_FACE_CONFIG} has model_args that are no table")
    arguments = {key: value for key, value in arguments.items() if key not in ("num_classes", "in_chans", "pretrained")}
    architecture = str(described["architecture"])
    made = timm_encoder(architecture, weights=weights, changes=changes, described=config, arguments=arguments)
    return ImageEncoder(name, made.network, made.preprocessing)
