"""Image and text models on disk: an open_clip model with a file of weights, or a folder as Hugging Face keeps them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenizers import Tokenizer

from lookalike.errors import ModelError, UnknownNameError, UsageError, short_reason
from lookalike.models.clip import hugging_face
from lookalike.models.clip.tokenizer import cleans_like_siglip, clip_tokenizer, read_tokenizer
from lookalike.models.hub import TOKENIZER_FILES, fetching, hub_folder
from lookalike.models.open_clip import open_clip_library
from lookalike.models.other_libraries import AS_DESCRIBED, made_of
from lookalike.models.preprocessing import Preprocessing, make_preprocessing
from lookalike.models.pretrained import is_weights_file
from lookalike.models.weight_readers import State, read_tensors

OPEN_CLIP_CONFIG: Final = "open_clip_config.json"
HUGGING_FACE_CONFIG: Final = "config.json"
TOKENIZER: Final = "tokenizer.json"

OPEN_CLIP_WEIGHTS: Final = (
    "open_clip_model.safetensors",
    "open_clip_pytorch_model.safetensors",
    "open_clip_pytorch_model.bin",
)
HUGGING_FACE_WEIGHTS: Final = ("model.safetensors", "pytorch_model.bin")

SHORTEST, LONGEST = 3, 4096
"""Bounds of the tokens of a text: start, end and one of the text; more than any model has."""

TEXT_PARTS: Final = ("positional_embedding", "text_projection", "token_embedding.", "transformer.", "ln_final.")
"""Beginnings of the names of weights of a text tower that lies at the top, as in CLIP."""


@dataclass(frozen=True, slots=True)
class Source:
    """Image and text model on disk.

    Attributes:
        name: Display name.
        file: File of its weights.
        config: `embed_dim`, `vision_cfg`, `text_cfg` and `quick_gelu`, as in open_clip's configurations.
        state: Weights, `visual.` of the image tower and `text.` of the text tower.
        preprocessing: Preprocessing of photos.
        tokenizer_folder: Folder of its tokenizer's file; None is that of the weights.
    """

    name: str
    file: Path
    config: Mapping[str, Any]
    state: State
    preprocessing: Preprocessing
    tokenizer_folder: Path | None = None

    def tokenizer(self) -> Tokenizer:
        """Make or read its tokenizer.

        Raises:
            ModelError: A file of the tokenizer is missing, or it is of a kind that is not supported.
        """
        with made_of(self.name, what=AS_DESCRIBED):
            text = self.config["text_cfg"]
            length = int(text.get("context_length", 77))
            settings = dict(text.get("tokenizer_kwargs") or {})
            pad_id = int(text.get("pad_id", 0))
        if not SHORTEST <= length <= LONGEST:
            raise ModelError(f"{self.name}: texts have {length:,} tokens, expected {SHORTEST} to {LONGEST:,}")
        clean = settings.pop("clean", "")
        if settings or text.get("tokenizer_mode"):
            wanted = ", ".join([*settings, *(["tokenizer_mode"] if text.get("tokenizer_mode") else [])])
            raise ModelError(f"{self.name}: a tokenizer with {wanted} is not supported")
        beside = (self.tokenizer_folder or self.file.parent) / TOKENIZER
        if not text.get("hf_tokenizer_name"):
            return clip_tokenizer(length, clean=clean or "lower")
        if text["hf_tokenizer_name"] == HUGGING_FACE_CONFIG:
            clean = "canonicalize" if cleans_like_siglip(beside) else ""
        else:
            clean = clean or "whitespace"
        return read_tokenizer(beside, context_length=length, clean=clean, pad_id=pad_id)


def named_source(model: str, *, weights: str | None = None) -> Source:
    """Read a model of open_clip, of which the weights are published or in a file.

    Args:
        model: Name of an open_clip model.
        weights: File of weights in open_clip's layout, or the tag of published ones, which are downloaded into the
            cache of the hub; None for the only published ones.

    Raises:
        UsageError: There are several published weights, and none was named.
        UnknownNameError: open_clip has no model of that name, or no weights of that tag.
        ModelError: The weights cannot be fetched, are missing, damaged, or of an unknown layout.
        MissingExtraError: open_clip is not installed.
    """
    library = open_clip_library()
    names = library.list_models()
    if model not in names:
        raise UnknownNameError("model of open_clip", model, names)
    config = library.get_model_config(model)
    if weights is not None and is_weights_file(weights):
        file = Path(weights)
        return Source(model, file, config, _read(file), _preprocessing(config, published(model)))
    tags = library.list_pretrained_tags_by_model(model)
    if weights is None and len(tags) != 1:
        raise UsageError(
            f"open_clip:{model}: choose its weights with --weights: {', '.join(tags) or 'a file, as none is published'}"
        )
    tag = weights or tags[0]
    if tag not in tags:
        raise UnknownNameError(f"weights of open_clip:{model}", tag, tags)
    settings = library.get_pretrained_cfg(model, tag)
    with fetching(f"open_clip:{model}", f"its weights {tag!r}"):
        file = Path(library.download_pretrained(settings))
    tokenizer = config.get("text_cfg", {}).get("hf_tokenizer_name")
    folder = hub_folder(tokenizer, TOKENIZER_FILES) if tokenizer else None
    return Source(f"{model}-{tag}", file, config, _read(file), _preprocessing(config, settings), folder)


def folder_source(folder: Path, *, name: str) -> Source:
    """Read a folder of open_clip or Hugging Face.

    Args:
        folder: Folder with the description and the weights.
        name: Display name.

    Raises:
        ModelError: A file is missing, damaged, or of an unknown layout.
    """
    with made_of(str(folder), what=AS_DESCRIBED):
        return _of_folder(folder, name=name)


def _of_folder(folder: Path, *, name: str) -> Source:
    config = folder / OPEN_CLIP_CONFIG
    if config.is_file():
        described = read_json(config)
        parts = described.get("model_cfg", described)
        if not all(isinstance(parts.get(key), Mapping) for key in ("vision_cfg", "text_cfg")):
            raise ModelError(f"{config}: it has no vision_cfg and text_cfg")
        file = _weights_in(folder, (*OPEN_CLIP_WEIGHTS, *HUGGING_FACE_WEIGHTS))
        return Source(name, file, parts, _read(file), _preprocessing(parts, described.get("preprocess_cfg") or {}))
    config = folder / HUGGING_FACE_CONFIG
    if not config.is_file():
        raise ModelError(
            f"{folder}: not a model: it has neither {OPEN_CLIP_CONFIG} of open_clip nor {HUGGING_FACE_CONFIG} of "
            "Hugging Face"
        )
    described = read_json(config)
    parts = hugging_face.configuration(described, where=str(config))
    parts["text_cfg"]["hf_tokenizer_name"] = HUGGING_FACE_CONFIG
    file = _weights_in(folder, HUGGING_FACE_WEIGHTS)
    state = hugging_face.rename(read_tensors(file), described)
    return Source(name, file, parts, state, _hugging_face_preprocessing(folder, parts, described["model_type"]))


def _weights_in(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise ModelError(f"{folder}: it has no weights; expected {' or '.join(names)}")


def _read(file: Path) -> State:
    """Read weights in open_clip's layout, with the text tower of CLIP under `text.`, in float32."""
    state = read_tensors(file)
    for wrapper in ("module.", "model."):
        if all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return {f"text.{name}" if name.startswith(TEXT_PARTS) else name: tensor.float() for name, tensor in state.items()}


def published(model: str) -> Mapping[str, Any]:
    """Preprocessing that all published weights of an open_clip model share; empty if they differ."""
    published = open_clip_library().list_pretrained_tags_by_model(model)
    keys = ("mean", "std", "interpolation", "resize_mode")
    settings = [open_clip_library().get_pretrained_cfg(model, tag) for tag in published]
    chosen = [{key: one[key] for key in keys if one.get(key) is not None} for one in settings]
    return chosen[0] if chosen and all(one == chosen[0] for one in chosen) else {}


def _preprocessing(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Preprocessing:
    """Preprocessing of an open_clip model.

    Args:
        config: Its configuration.
        settings: Its `preprocess_cfg`; what is missing has open_clip's default value.
    """
    default = open_clip_library().transform.PreprocessCfg()
    size = config["vision_cfg"].get("image_size", 224)
    mode = settings.get("resize_mode") or default.resize_mode
    fits = {"shortest": "crop", "squash": "stretch"}
    if mode not in fits:
        raise ModelError(f"photos fitted as {mode!r} are not supported; expected {' or '.join(fits)}")
    return make_preprocessing(
        size=size,
        fit=fits[mode],
        mean=settings.get("mean") or default.mean,
        std=settings.get("std") or default.std,
        interpolation="bilinear" if settings.get("interpolation") == "bilinear" else "bicubic",
    )


def _hugging_face_preprocessing(folder: Path, config: Mapping[str, Any], kind: str) -> Preprocessing:
    """Preprocessing of a Hugging Face model by `preprocessor_config.json`; without one, that of its type."""
    file = folder / "preprocessor_config.json"
    settings = read_json(file) if file.is_file() else {}
    default = open_clip_library().transform.PreprocessCfg()
    crops = settings.get("do_center_crop", kind == "clip")
    usual = (default.mean, default.std) if kind == "clip" else ([0.5] * 3, [0.5] * 3)
    size, short = settings.get("size"), 0
    if crops and isinstance(size, Mapping) and "shortest_edge" in size:
        short = int(size["shortest_edge"])
    elif crops and isinstance(size, int):
        short = size
    return make_preprocessing(
        size=config["vision_cfg"]["image_size"],
        fit="crop" if crops else "stretch",
        mean=settings.get("image_mean") or usual[0],
        std=settings.get("image_std") or usual[1],
        interpolation="bilinear" if settings.get("resample") == 2 else "bicubic",
        short_side=short,
    )


def read_json(file: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ModelError: The file cannot be read, or holds something else.
    """
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{file}: cannot be read: {short_reason(error)}") from None
    if not isinstance(read, dict):
        raise ModelError(f"{file}: expected a JSON object")
    return read
