"""Towers of image and text models, with their weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from lookalike.errors import ModelError
from lookalike.models.clip.source import Source
from lookalike.models.other_libraries import AS_DESCRIBED, made_of
from lookalike.models.weight_readers import State

IMAGE: Final = "visual."
TEXT: Final = "text."

RECOMPUTED: Final = (".position_ids", ".attn_mask")
"""Endings of the names of tensors in checkpoints that are not weights."""

LARGEST: Final = 2**31 - 2**24
"""Largest size of a tower's weights, in bytes; the rest of the 2 GiB of an ONNX file is for its graph."""


class UnitRows(nn.Module):
    """A tower whose rows are scaled to length 1.

    Args:
        tower: Tower of (B, ...) to rows (B, D).
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute unit rows, (B, D)."""
        return functional.normalize(self.tower(inputs), dim=1)


class ShortTexts(nn.Module):
    """A causal text tower that also reads texts without their padding, which it pools before.

    Texts of queries have few tokens: those of a whole context take many times as long.

    Args:
        tower: `TextTransformer` of open_clip with a causal mask, of which the row at the end of a text counts.
    """

    def __init__(self, tower: Any) -> None:  # noqa: ANN401 - open_clip has no types
        super().__init__()
        self.tower = tower

    def forward(self, tokens: Tensor) -> Tensor:
        """Compute rows (B, D) of token ids (B, L), L at most the context."""
        from open_clip.transformer import text_global_pool

        tower, length = self.tower, tokens.shape[1]
        states = tower.token_embedding(tokens) + tower.positional_embedding[:length]
        states = tower.ln_final(tower.transformer(states, attn_mask=tower.attn_mask[:length, :length]))
        rows: Tensor = text_global_pool(states, tokens, pool_type=tower.pool_type, eos_token_id=tower.eos_id)
        projection = tower.text_projection
        if projection is None:
            return rows
        embedding: Tensor = projection(rows) if isinstance(projection, nn.Linear) else rows @ projection
        return embedding


def image_tower(source: Source) -> nn.Module:
    """Make the image tower: (B, 3, H, W) to unit rows (B, D).

    Raises:
        ModelError: The configuration is invalid, the weights do not fit, or they are too large for an ONNX file.
    """
    from open_clip.model import _build_vision_tower

    with made_of(f"the image tower of {source.name}", what=AS_DESCRIBED):
        vision = dict(source.config["vision_cfg"])
        arguments = vision.pop("timm_arguments", None)
        quick_gelu = vision.pop("quick_gelu", source.config.get("quick_gelu", False))
        if arguments is not None:
            tower: nn.Module = _siglip_tower(arguments)
        else:
            vision |= {"timm_model_pretrained": False, "output_tokens": False}
            tower = _build_vision_tower(source.config["embed_dim"], vision, quick_gelu)
    return _with_weights(tower, source, IMAGE, what="image")


def why_no_text(source: Source) -> str:
    """Say why a model cannot have a text encoder, whatever its tokenizer; empty if it can."""
    if not any(name.startswith(TEXT) for name in source.state):
        return f"{source.file} has no text tower"
    foreign = source.config["text_cfg"].get("hf_model_name")
    return f"the text tower of {source.name}, {foreign} of transformers, is not supported" if foreign else ""


def text_tower(source: Source) -> nn.Module:
    """Make the text tower: token ids (B, L) int64 to unit rows (B, D).

    Raises:
        ModelError: The configuration is invalid, the weights do not fit, or they are too large for an ONNX file.
    """
    from open_clip.model import _build_text_tower

    with made_of(f"the text tower of {source.name}", what=AS_DESCRIBED):
        text = dict(source.config["text_cfg"])
        for only_of_tokenizers in ("hf_tokenizer_name", "tokenizer_kwargs", "tokenizer_mode"):
            text.pop(only_of_tokenizers, None)
        quick_gelu = text.pop("quick_gelu", source.config.get("quick_gelu", False))
        tower = _build_text_tower(source.config["embed_dim"], text | {"output_tokens": False}, quick_gelu)
    return _with_weights(tower, source, TEXT, what="text")


def without_padding(tower: nn.Module) -> nn.Module:
    """Let a text tower read texts without padding, if that changes nothing; else return it as it is.

    Args:
        tower: Tower that `text_tower` made.
    """
    inner: Any = tower.tower
    changes_nothing = inner.attn_mask is not None and inner.cls_emb is None and inner.pool_type in ("argmax", "eos")
    return UnitRows(ShortTexts(inner)).eval() if changes_nothing else tower


def fingerprint(source: Source) -> str:
    """Return the SHA-256, in hexadecimal, of all that the image embeddings depend on."""
    parts = {name: source.config.get(name) for name in ("embed_dim", "vision_cfg", "quick_gelu")}
    digest = hashlib.sha256(json.dumps([parts, source.preprocessing.to_json()], sort_keys=True).encode())
    for name, tensor in sorted(source.state.items()):
        if name.startswith(IMAGE) and not name.endswith(RECOMPUTED):
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(tensor.to(torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


def _siglip_tower(arguments: Mapping[str, Any]) -> nn.Module:
    """Image tower of a SigLIP from the arguments of timm's VisionTransformer."""
    arguments = dict(arguments)
    norm = partial(nn.LayerNorm, eps=arguments.pop("eps"))
    return VisionTransformer(**arguments, class_token=False, global_pool="map", num_classes=0, norm_layer=norm)


def _with_weights(tower: nn.Module, source: Source, prefix: str, *, what: str) -> nn.Module:
    given = {
        name.removeprefix(prefix): tensor
        for name, tensor in source.state.items()
        if name.startswith(prefix) and not name.endswith(RECOMPUTED)
    }
    check_weights(tower.state_dict(), given, file=source.file, what=f"the {what} tower of {source.name}")
    size = sum(tensor.numel() for tensor in given.values()) * 4
    if size > LARGEST:
        raise ModelError(
            f"{source.file}: the {what} tower has {size / 2**30:.1f} GiB of weights, and an ONNX file holds 2 GiB; "
            "take a smaller model"
        )
    tower.load_state_dict(given)
    return UnitRows(tower).eval()


def check_weights(expected: Mapping[str, Tensor], given: State, *, file: Path, what: str) -> None:
    """Check that weights have the names and shapes of a tower.

    Args:
        expected: Weights of the tower.
        given: Weights of a file.
        file: The file, for messages.
        what: The tower, for messages.

    Raises:
        ModelError: Weights are missing, unknown, or of another shape.
    """
    missing = [name for name in expected if name not in given]
    unknown = [name for name in given if name not in expected]
    other = [name for name in expected if name in given and given[name].shape != expected[name].shape]
    faults = []
    if missing:
        faults.append(f"{len(missing)} of {len(expected)} weights are missing, such as {missing[0]!r}")
    if unknown:
        faults.append(f"{len(unknown)} are unknown, such as {unknown[0]!r}")
    if other:
        shapes = tuple(expected[other[0]].shape), tuple(given[other[0]].shape)
        faults.append(
            f"{len(other)} are of another shape, such as {other[0]!r} (expected {shapes[0]}, got {shapes[1]})"
        )
    if faults:
        raise ModelError(f"{file}: does not fit {what}: {'; '.join(faults)}")
