"""Backbones by name, from timm, torchvision and open_clip.

`resnet50`, `vit_small_patch16_224.dino`: any model of timm. `torchvision:resnet50`: a ResNet of torchvision, without
pooling and classifier. `open_clip:ViT-B-32`, `open_clip:hf-hub:org/name`, `hf-hub:org/name`: the visual tower of an
open_clip model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import timm
from timm.optim._param_groups import param_groups_layer_decay
from torch import nn
from torchvision import models as torchvision_models

from lookalike.errors import ConfigError, UnknownNameError
from lookalike.models import open_clip

Pooling = Literal["average", "gem", "cls", "own"]
Family = Literal["timm", "torchvision", "open_clip"]


@dataclass(frozen=True, slots=True)
class Shape:
    """Shape of a backbone's output for B photos.

    Attributes:
        channels: C, number of channels.
        kind: `maps` (B, C, H, W), `tokens` (B, N, C), or `rows` (B, C), pooled by the backbone itself.
        prefix: Number of tokens before those of the patches; the first is the class token.
        last: Whether maps are channels-last, (B, H, W, C).
        config: Architecture as JSON, for open_clip, whose names may change their meaning.
    """

    channels: int
    kind: Literal["maps", "tokens", "rows"]
    prefix: int = 0
    last: bool = False
    config: str = ""


def split_name(backbone: str) -> tuple[Family, str]:
    """Return the library of a backbone, and its name there."""
    if backbone.startswith("hf-hub:"):
        return "open_clip", backbone
    if backbone.startswith("open_clip:"):
        return "open_clip", backbone.removeprefix("open_clip:")
    if backbone.startswith("torchvision:"):
        return "torchvision", backbone.removeprefix("torchvision:")
    return "timm", backbone


def make_backbone(backbone: str, pooling: Pooling, *, config: str = "") -> tuple[nn.Module, Shape]:
    """Make a backbone with random weights.

    Args:
        backbone: Name of the backbone; see the module.
        pooling: Pooling of its output.
        config: Architecture of an open_clip tower, from `Shape.config`; empty to look it up by name.

    Raises:
        UnknownNameError: The library has no backbone of that name.
        ConfigError: The backbone does not offer the pooling.
        MissingExtraError: The library is not installed.
        ModelError: The architecture cannot be fetched.
    """
    family, name = split_name(backbone)
    if family == "open_clip":
        if pooling != "own":
            raise ConfigError(f'{backbone}: pools its tokens itself; set network.pooling = "own"')
        config = config or open_clip.read_config(name)
        tower, channels = open_clip.make_tower(config)
        return tower, Shape(channels, "rows", config=config)
    made, shape = (_timm if family == "timm" else _torchvision)(name, pooling)
    if pooling == "cls" and not shape.prefix:
        raise ConfigError(f"{backbone}: has no class token for the pooling 'cls'; take 'average', 'gem' or 'own'")
    return made, shape


def _timm(name: str, pooling: Pooling) -> tuple[nn.Module, Shape]:
    check_timm_name(name)
    own = pooling == "own"
    arguments: dict[str, Any] = {"pretrained": False, "num_classes": 0}
    if not own:
        arguments["global_pool"] = ""
    made = _timm_of_any_size(name, arguments)
    channels = int(getattr(made, "head_hidden_size", None) or made.num_features)
    prefix = getattr(made, "num_prefix_tokens", None)
    if own:
        return made, Shape(channels, "rows")
    if prefix is not None:
        return made, Shape(channels, "tokens", prefix=int(prefix))
    return made, Shape(channels, "maps", last=getattr(made, "output_fmt", "NCHW") == "NHWC")


def _timm_of_any_size(name: str, arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - timm has no types
    """Make a timm model; transformers accept other input sizes than in training, where timm supports it."""
    config = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if config is not None and config.fixed_input_size:
        for flexible in ("dynamic_img_size", "not strict_img_size"):
            wanted = {flexible.removeprefix("not "): not flexible.startswith("not ")}
            try:
                return timm.create_model(name, **{**arguments, **wanted})
            except TypeError:
                continue
    return timm.create_model(name, **arguments)


def check_layers(backbone: nn.Module, name: str) -> None:
    """Check that timm divides a backbone into layers, for rates by layer.

    Args:
        backbone: Result of `make_backbone`.
        name: Its name.

    Raises:
        ConfigError: It does not.
    """
    if len({group["lr_scale"] for group in param_groups_layer_decay(backbone, layer_decay=0.5)}) < 2:
        raise ConfigError(f"{name}: its layers are not known to timm; leave layer_decay out")


def checkpoint_gradients(backbone: nn.Module, name: str) -> None:
    """Let a backbone compute its layers again in the backward pass, instead of keeping what they gave.

    Args:
        backbone: Result of `make_backbone`.
        name: Its name.

    Raises:
        ConfigError: Its library does not offer that for it.
    """
    try:
        backbone.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AttributeError, AssertionError, NotImplementedError, TypeError):
        raise ConfigError(f"{name}: offers no gradient checkpointing; leave gradient_checkpointing out") from None


def check_timm_name(name: str) -> None:
    """Check the name of a timm model, and its tag of pretrained weights after a dot.

    Raises:
        UnknownNameError: timm does not know the name or the tag.
    """
    if not timm.is_model(name):
        raise UnknownNameError("backbone of timm", name, timm.list_models())
    architecture, dot, _ = name.partition(".")
    with_tags = timm.list_models(f"{architecture}.*", pretrained=True)
    if dot and name not in with_tags:
        raise UnknownNameError("pretrained weights of timm", name, with_tags)


def resnets() -> list[str]:
    """Return the ResNets of torchvision, whose last two layers are pooling and classifier."""
    names: list[str] = torchvision_models.list_models(include=["resnet*", "resnext*", "wide_resnet*"])
    return names


def _torchvision(name: str, pooling: Pooling) -> tuple[nn.Module, Shape]:
    if pooling == "own":
        raise ConfigError(f"torchvision:{name}: has no pooling of its own left; take 'average' or 'gem'")
    if name not in resnets():
        raise UnknownNameError("ResNet of torchvision", name, resnets())
    whole = torchvision_models.get_model(name, weights=None)
    return nn.Sequential(*list(whole.children())[:-2]), Shape(whole.fc.in_features, "maps")
