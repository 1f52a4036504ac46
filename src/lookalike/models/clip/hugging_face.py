"""Models of Hugging Face's transformers, CLIPModel and SiglipModel, in the words of open_clip and timm.

Source: the published files of openai/clip-vit-base-patch32 and google/siglip-base-patch16-224, and the default values
of CLIPConfig and SiglipConfig, which their config.json leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import torch

from lookalike.errors import ModelError
from lookalike.models.weight_readers import State

DEFAULTS: Final[Mapping[str, Mapping[str, Mapping[str, Any]]]] = {
    "clip": {
        "text_config": {
            "hidden_size": 512,
            "intermediate_size": 2048,
            "num_hidden_layers": 12,
            "num_attention_heads": 8,
            "vocab_size": 49408,
            "max_position_embeddings": 77,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
            "pad_token_id": 1,
            "eos_token_id": 49407,
        },
        "vision_config": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 224,
            "patch_size": 32,
            "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5,
        },
    },
    "siglip": {
        "text_config": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "vocab_size": 32000,
            "max_position_embeddings": 64,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
            "pad_token_id": 1,
        },
        "vision_config": {
            "hidden_size": 768,
            "intermediate_size": 3072,
            "num_hidden_layers": 12,
            "num_attention_heads": 12,
            "image_size": 224,
            "patch_size": 16,
            "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        },
    },
}
"""Values of the configurations of transformers, by type of model."""

LEGACY_END: Final = 2
"""End of a text in CLIP configurations before 2023, which meant the token of the highest id."""

ACTIVATIONS: Final[Mapping[str, Mapping[str, str] | None]] = {
    "quick_gelu": None,
    "gelu": None,
    "gelu_pytorch_tanh": {"approximate": "tanh"},
}
"""Arguments of torch's GELU by name of the activation."""

Names = tuple[tuple[str, str], ...]

BLOCKS: Final[Names] = (
    ("encoder.layers.", "transformer.resblocks."),
    ("self_attn.qkv.", "attn.in_proj_"),
    ("self_attn.out_proj", "attn.out_proj"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
)
TEXT: Final[Names] = (
    ("text_projection.weight", "text.text_projection"),
    ("text_model.head.", "text.text_projection."),
    ("text_model.", "text."),
    ("embeddings.token_embedding", "token_embedding"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("final_layer_norm", "ln_final"),
    *BLOCKS,
)
CLIP_IMAGE: Final[Names] = (
    ("vision_model.", "visual."),
    ("visual_projection.weight", "visual.proj"),
    ("embeddings.class_embedding", "class_embedding"),
    ("embeddings.position_embedding.weight", "positional_embedding"),
    ("embeddings.patch_embedding", "conv1"),
    ("pre_layrnorm", "ln_pre"),  # transformers spells it so
    ("post_layernorm", "ln_post"),
    *BLOCKS,
)
SIGLIP_IMAGE: Final[Names] = (
    ("vision_model.", "visual."),
    ("embeddings.position_embedding.weight", "pos_embed"),
    ("embeddings.patch_embedding", "patch_embed.proj"),
    ("encoder.layers.", "blocks."),
    ("self_attn.qkv", "attn.qkv"),
    ("self_attn.out_proj", "attn.proj"),
    ("layer_norm", "norm"),
    ("post_layernorm", "norm"),
    ("head.attention.out_proj", "attn_pool.proj"),
    ("head.attention.in_proj_", "attn_pool.qkv."),
    ("head.probe", "attn_pool.latent"),
    ("head.layernorm", "attn_pool.norm"),
    ("head.mlp", "attn_pool.mlp"),
)
"""Replacements in the names of weights, one after the other, by part of a model."""


def configuration(config: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """Translate a model's config.json.

    Args:
        config: Its content.
        where: File for messages.

    Returns:
        `embed_dim`, `vision_cfg` and `text_cfg` in open_clip's words, with `quick_gelu` in each of the two. The
        `vision_cfg` of a SigLIP has the arguments of timm's VisionTransformer, under `timm_arguments`.

    Raises:
        ModelError: The model is of another type, or has parts that are not supported.
    """
    kind = str(config.get("model_type"))
    if kind not in DEFAULTS:
        raise ModelError(f"{where}: a model of the type {kind!r} is not supported; expected clip, siglip or dinov2")
    text, vision = (_filled(config, kind, part, where=where) for part in ("text_config", "vision_config"))
    for part in (text, vision):
        if part["hidden_act"] not in ACTIVATIONS:
            known = ", ".join(ACTIVATIONS)
            raise ModelError(f"{where}: the activation {part['hidden_act']!r} is not supported; expected {known}")
    if kind == "clip":
        return _clip(config, text, vision)
    if not vision.get("vision_use_head", True):
        raise ModelError(f"{where}: a SigLIP without the head of its image part is not supported")
    return _siglip(text, vision)


def rename(state: State, config: Mapping[str, Any]) -> State:
    """Rename and join the weights of a CLIPModel or SiglipModel.

    Args:
        state: Weights by transformers' names.
        config: Content of the model's config.json, which `configuration` has accepted.

    Returns:
        Weights by the names of the towers: `visual.` and `text.` of open_clip, for a SigLIP `visual.` of timm. Names
        that are not known stay as they are.
    """
    image_names = CLIP_IMAGE if config["model_type"] == "clip" else SIGLIP_IMAGE
    named: State = {}
    for name, tensor in _joined(state).items():
        is_image = name.startswith(("vision_model.", "visual_projection."))
        named[_renamed(name, image_names if is_image else TEXT)] = tensor.float()
    for name in ("visual.proj", "text.text_projection"):
        if name in named and named[name].ndim == 2:
            named[name] = named[name].T.contiguous()
    if "visual.pos_embed" in named:
        named["visual.pos_embed"] = named["visual.pos_embed"][None]
    for kind in ("weight", "bias"):
        pooled = named.pop(f"visual.attn_pool.qkv.{kind}", None)
        if pooled is not None:
            query = len(pooled) // 3
            named[f"visual.attn_pool.q.{kind}"] = pooled[:query].clone()
            named[f"visual.attn_pool.kv.{kind}"] = pooled[query:].clone()
    return named


def _filled(config: Mapping[str, Any], kind: str, part: str, *, where: str) -> dict[str, Any]:
    """One part of a configuration with its default values."""
    values = dict(DEFAULTS[kind][part])
    for given in (config.get(part), config.get(f"{part}_dict")):
        if given is not None and not isinstance(given, Mapping):
            raise ModelError(f"{where}: {part} is not a table of values")
        values |= {name: value for name, value in (given or {}).items() if value is not None}
    return values


def _clip(config: Mapping[str, Any], text: Mapping[str, Any], vision: Mapping[str, Any]) -> dict[str, Any]:
    last = text["eos_token_id"] == LEGACY_END
    return {
        "embed_dim": config.get("projection_dim", 512),
        "vision_cfg": _transformer(vision)
        | {"head_width": vision["hidden_size"] // vision["num_attention_heads"]}
        | {"image_size": vision["image_size"], "patch_size": vision["patch_size"]},
        "text_cfg": _text_transformer(text)
        | {"pool_type": "argmax" if last else "eos", "eos_id": text["eos_token_id"]},
    }


def _siglip(text: Mapping[str, Any], vision: Mapping[str, Any]) -> dict[str, Any]:
    activation = {"quick_gelu": "quick_gelu", "gelu": "gelu", "gelu_pytorch_tanh": "gelu_tanh"}
    arguments = {
        "img_size": vision["image_size"],
        "patch_size": vision["patch_size"],
        "embed_dim": vision["hidden_size"],
        "depth": vision["num_hidden_layers"],
        "num_heads": vision["num_attention_heads"],
        "mlp_ratio": _ratio(vision),
        "act_layer": activation[vision["hidden_act"]],
        "eps": vision["layer_norm_eps"],
    }
    return {
        "embed_dim": text.get("projection_size", text["hidden_size"]),
        "vision_cfg": {"image_size": vision["image_size"], "timm_arguments": arguments},
        "text_cfg": _text_transformer(text) | {"pool_type": "last", "no_causal_mask": True, "proj_bias": True},
    }


def _text_transformer(text: Mapping[str, Any]) -> dict[str, Any]:
    return _transformer(text) | {
        "context_length": text["max_position_embeddings"],
        "vocab_size": text["vocab_size"],
        "heads": text["num_attention_heads"],
        "pad_id": text["pad_token_id"],
    }


def _transformer(part: Mapping[str, Any]) -> dict[str, Any]:
    arguments = ACTIVATIONS[part["hidden_act"]]
    return {
        "width": part["hidden_size"],
        "layers": part["num_hidden_layers"],
        "mlp_ratio": _ratio(part),
        "norm_kwargs": {"eps": part["layer_norm_eps"]},
        "quick_gelu": part["hidden_act"] == "quick_gelu",
        **({"act_kwargs": dict(arguments)} if arguments else {}),
    }


def _ratio(part: Mapping[str, Any]) -> float:
    """Ratio of which the product with the width, cut to a whole number, is the width within the block."""
    return float((part["intermediate_size"] + 0.5) / part["hidden_size"])


def _renamed(name: str, replacements: Names) -> str:
    for theirs, ours in replacements:
        name = name.replace(theirs, ours)
    return name


def _joined(state: State) -> State:
    """Join the weights of query, key and value of each block to one, `self_attn.qkv`."""
    joined: State = {}
    for name, tensor in state.items():
        layer, projection, kind = name.rpartition(".self_attn.q_proj.")
        names = [f"{layer}.self_attn.{letter}_proj.{kind}" for letter in "qkv"]
        if projection and all(one in state for one in names):
            joined[f"{layer}.self_attn.qkv.{kind}"] = torch.cat([state[one] for one in names])
        elif not re.search(r"\.self_attn\.[qkv]_proj\.", name):
            joined[name] = tensor
    return joined
