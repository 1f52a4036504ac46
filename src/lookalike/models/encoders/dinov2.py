"""DINOv2 of Hugging Face's transformers, with and without registers, as a vision transformer of timm.

Source: the published files of facebook/dinov2-small and facebook/dinov2-with-registers-small, and the default values
of Dinov2Config, which their config.json may leave out.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ModelError
from lookalike.models.clip.source import read_json
from lookalike.models.clip.towers import check_weights
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.other_libraries import made_of
from lookalike.models.preprocessing import Preprocessing, PreprocessingChanges, make_preprocessing
from lookalike.models.weight_readers import State, read_tensors

TYPES: Final = ("dinov2", "dinov2_with_registers")
"""Types of model in config.json."""

DEFAULTS: Final[Mapping[str, Any]] = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "qkv_bias": True,
    "use_swiglu_ffn": False,
    "num_register_tokens": 4,
}

NAMES: Final = (
    ("embeddings.patch_embeddings.projection.", "patch_embed.proj."),
    ("embeddings.register_tokens", "reg_token"),
    ("encoder.layer.", "blocks."),
    (".attention.output.dense.", ".attn.proj."),
    (".layer_scale1.lambda1", ".ls1.gamma"),
    (".layer_scale2.lambda1", ".ls2.gamma"),
    ("layernorm.", "norm."),
)
"""Replacements in the names of weights, one after the other."""

USUAL: Final[Mapping[str, Any]] = {
    "size": 256,
    "crop": 224,
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
}
"""Preprocessing of the published models, where no file describes it."""


def dinov2_encoder(
    folder: Path, described: Mapping[str, Any], weights: str, *, name: str, changes: PreprocessingChanges
) -> ImageEncoder:
    """Make a DINOv2, whose row is the class token after the last normalisation, transformers' `pooler_output`.

    Args:
        folder: Folder of the model; its `preprocessor_config.json` says what becomes of photos.
        described: Content of `config.json`.
        weights: File of weights.
        name: Display name.
        changes: Changes of the preprocessing.

    Raises:
        ModelError: The description is of another form, or the weights do not fit.
    """
    where = str(folder)
    with made_of(where, what="its preprocessing cannot be read"):
        preprocessing = changes.applied(_preprocessing(folder))
    with made_of(where, what="no model can be made as described"):
        config = {**DEFAULTS, **{key: value for key, value in described.items() if value is not None}}
        sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "patch_size")
        width, depth, heads, patch = (int(config[key]) for key in sizes)
        ratio, registers = float(config["mlp_ratio"]), int(config["num_register_tokens"])
        if min(width, depth, heads, patch) < 1 or ratio * width < 1:
            raise ModelError(f"{where}: no model can be made as described: a size in its config.json is not positive")
        if described["model_type"] == "dinov2":
            registers = 0
        if config["use_swiglu_ffn"] or config["hidden_act"] != "gelu":
            raise ModelError(f"{where}: a DINOv2 with SwiGLU or {config['hidden_act']!r} is not supported")
        size = (preprocessing.height, preprocessing.width)
        if size[0] % patch or size[1] % patch:
            raise ModelError(f"{where}: photos of {size[0]} x {size[1]} are not whole patches of {patch} x {patch}")
        network = VisionTransformer(
            img_size=size,
            patch_size=patch,
            embed_dim=width,
            depth=depth,
            num_heads=heads,
            mlp_ratio=ratio,
            qkv_bias=bool(config["qkv_bias"]),
            init_values=1.0,
            reg_tokens=registers,
            no_embed_class=True,
            global_pool="token",
            num_classes=0,
            norm_layer=partial(nn.LayerNorm, eps=float(config["layer_norm_eps"])),
        )
        cells = size[0] // patch, size[1] // patch
        state = _renamed(read_tensors(Path(weights)), cells=cells, smooth=bool(registers))
    check_weights(network.state_dict(), state, file=Path(weights), what="the DINOv2 of its description")
    network.load_state_dict(state)
    return ImageEncoder(name, network.eval(), preprocessing)


def _renamed(state: State, *, cells: tuple[int, int], smooth: bool) -> State:
    """Weights by timm's names, with positions of another number of patches.

    Args:
        state: Weights by transformers' names, with a prefix `dinov2.` or without.
        cells: Patches of a photo, down and across.
        smooth: Whether positions are resized with antialiasing, as those of models with registers.
    """
    named: State = {}
    parts: dict[str, dict[str, Tensor]] = {}
    prefixes = ("dinov2_with_registers.", "dinov2.")
    for key, tensor in state.items():
        name = next((key.removeprefix(prefix) for prefix in prefixes if key.startswith(prefix)), key)
        for theirs, ours in NAMES:
            name = name.replace(theirs, ours)
        block, attention, rest = name.partition(".attention.attention.")
        if attention:
            letter, _, kind = rest.partition(".")
            parts.setdefault(f"{block}.attn.qkv.{kind}", {})[letter] = tensor.float()
        elif name not in ("embeddings.mask_token", "classifier.weight", "classifier.bias"):
            named[name] = tensor.float()
    named |= {name: torch.cat([three[letter] for letter in ("query", "key", "value")]) for name, three in parts.items()}
    positions = named.pop("embeddings.position_embeddings")
    # The class token's position is a part of it in timm's models without a position of the class
    named["cls_token"] = named.pop("embeddings.cls_token") + positions[:, :1]
    named["pos_embed"] = _resized(positions[:, 1:], cells=cells, smooth=smooth)
    return named


def _resized(positions: Tensor, *, cells: tuple[int, int], smooth: bool) -> Tensor:
    """Positions (1, N, C) of a square of patches for another number of them, as transformers resizes them."""
    side = int(positions.shape[1] ** 0.5)
    if cells == (side, side):
        return positions
    square = positions.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    resized = functional.interpolate(square, size=cells, mode="bicubic", align_corners=False, antialias=smooth)
    return resized.permute(0, 2, 3, 1).reshape(1, cells[0] * cells[1], -1)


def _preprocessing(folder: Path) -> Preprocessing:
    """Preprocessing by `preprocessor_config.json`."""
    file = folder / "preprocessor_config.json"
    settings = read_json(file) if file.is_file() else {}
    size, crop = settings.get("size", USUAL["size"]), settings.get("crop_size", USUAL["crop"])
    crops = bool(settings.get("do_center_crop", True))
    if isinstance(size, Mapping):
        size = size["shortest_edge"] if "shortest_edge" in size else (size["height"], size["width"])
    if isinstance(crop, Mapping):
        crop = (crop["height"], crop["width"])
    cuts = crops and not isinstance(size, tuple)
    return make_preprocessing(
        size=list(given) if isinstance(given := crop if cuts else size, tuple) else given,
        fit="crop" if cuts else "stretch",
        mean=settings.get("image_mean") or USUAL["mean"],
        std=settings.get("image_std") or USUAL["std"],
        interpolation="bilinear" if settings.get("resample") == 2 else "bicubic",
        short_side=int(size) if cuts else 0,
    )
