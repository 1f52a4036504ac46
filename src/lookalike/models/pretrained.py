"""Pretrained weights of a network: published with the backbone's library, or from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import nn
from torchvision import models as torchvision_models

from lookalike.errors import ModelError, UnknownNameError
from lookalike.models import open_clip, original_checkpoint
from lookalike.models.backbones import Family, split_name
from lookalike.models.default_model import SHIPPED, SHIPPED_MODEL
from lookalike.models.network import Network
from lookalike.models.other_libraries import one_line, quiet
from lookalike.models.weight_readers import (
    READERS,
    State,
    match_first_block,
    read_tensors,
    rename_tensors,
    unfold_batch_norms,
)

WHOLE = "backbone."
"""Prefix of the backbone's tensors in a file with a whole network."""

EXPORTED, FOLDED = "network.", ".weight_bias"
"""Prefix of the tensors, and suffix of the backbone's biases, in a file of `lookalike export`."""


@dataclass(frozen=True, slots=True)
class PretrainedWeights:
    """Result of loading pretrained weights.

    Attributes:
        true_statistics: Whether the normalisation layers have real statistics; if False (the file has them folded into
            the convolutions), `estimate_statistics` must follow before training.
        notes: Notes for the user, a line each.
    """

    true_statistics: bool = True
    notes: tuple[str, ...] = ()


def load_pretrained(network: Network, *, folder: Path, classes: Mapping[str, Sequence[str]]) -> PretrainedWeights:
    """Load the pretrained weights of a network's settings.

    Args:
        network: Network with random weights, changed in place.
        folder: Folder that files are relative to.
        classes: Classes of its heads.

    Raises:
        UnknownNameError: The backbone has no published weights of that name, or the file format is unknown.
        ModelError: The weights cannot be fetched or read, or do not fit.
    """
    settings = network.settings
    if not settings.init:
        return PretrainedWeights()
    family, name = split_name(settings.backbone)
    if not is_weights_file(settings.init) and settings.init != SHIPPED:
        network.backbone.load_state_dict(PUBLISHED[family](name, settings.init))
        return PretrainedWeights()
    path = SHIPPED_MODEL if settings.init == SHIPPED else folder / settings.init
    state = read_tensors(path)
    if settings.init_names:
        state = rename_tensors(state, folder / settings.init_names)
    if original_checkpoint.is_original_state(state):
        state = original_checkpoint.translate_state(state, classes)
    if any(key.startswith(EXPORTED + WHOLE) for key in state):
        return _load_whole(network, _of_exported(state, network.backbone), path)
    if any(key.startswith(WHOLE) for key in state):
        return _load_whole(network, state, path)
    return _load_backbone(network, _of_backbone(state, family, network.backbone), path)


def is_weights_file(weights: str) -> bool:
    """Return whether weights are named by a file: it has a known suffix, or a folder in its name."""
    return Path(weights).suffix in READERS or "/" in weights


def _of_exported(state: State, backbone: nn.Module) -> State:
    """Return the tensors of an exported ONNX file, with each bias of the backbone in its normalisation layer.

    Biases that are all zeros are missing in the file.
    """
    whole = {key.removeprefix(EXPORTED): tensor for key, tensor in state.items() if key.startswith(EXPORTED)}
    inner = {key.removeprefix(WHOLE): tensor for key, tensor in whole.items() if key.startswith(WHOLE)}
    match_first_block(backbone, inner)
    named = {key: tensor for key, tensor in inner.items() if not key.endswith(FOLDED)}
    convolution = ""
    for name, layer in backbone.named_modules():
        if isinstance(layer, nn.Conv2d):
            convolution = name
            if layer.bias is not None:
                named.setdefault(f"{name}.bias", torch.zeros(layer.out_channels))
        elif isinstance(layer, nn.BatchNorm2d):
            named[f"{name}.bias"] = inner.get(convolution + FOLDED, torch.zeros(layer.num_features))
    rest = {key: tensor for key, tensor in whole.items() if not key.startswith(WHOLE)}
    return {WHOLE + key: tensor for key, tensor in named.items()} | rest


def _load_whole(network: Network, state: State, path: Path) -> PretrainedWeights:
    """Load a trained network: its whole backbone, and the other tensors of matching shape."""
    inner = {key.removeprefix(WHOLE): tensor for key, tensor in state.items() if key.startswith(WHOLE)}
    loaded = _load_backbone(network, inner, path)
    own = network.state_dict()
    made = (WHOLE, "relevance.")  # relevance parts are computed from the training labels
    rest = {key: tensor for key, tensor in state.items() if not key.startswith(made)}
    fitting = {key: tensor for key, tensor in rest.items() if key in own and own[key].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    fresh = sorted(key for key in own if not key.startswith(made) and key not in fitting)
    given = network.settings.init
    note = f"{given}: these parts are missing or of another size and start from random weights: {', '.join(fresh)}"
    return PretrainedWeights(loaded.true_statistics, (note,) if fresh else ())


def _load_backbone(network: Network, state: State, path: Path) -> PretrainedWeights:
    """Load a whole backbone.

    Raises:
        ModelError: A tensor is missing, unknown, or of another shape.
    """
    name, backbone = network.settings.backbone, network.backbone
    match_first_block(backbone, state)
    folded = unfold_batch_norms(backbone, state)
    try:
        result = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: does not fit {name}: {str(error).splitlines()[-1].strip()}") from None
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    unexpected = [key for key in result.unexpected_keys if not key.startswith(("fc.", "classifier.", "head."))]
    if missing or unexpected:
        raise ModelError(
            f"{path}: does not fit {name}: {len(missing)} tensors missing (first {missing[:1]}), "
            f"{len(unexpected)} unknown (first {unexpected[:1]}); `init_names` can translate names"
        )
    return PretrainedWeights(true_statistics=not folded)


def _of_backbone(state: State, family: Family, backbone: nn.Module) -> State:
    """Return the backbone's tensors of a file in the layout of the backbone's library."""
    if family == "open_clip" and any(key.startswith("visual.") for key in state):
        return {key.removeprefix("visual."): tensor for key, tensor in state.items() if key.startswith("visual.")}
    if family == "torchvision" and "conv1.weight" in state:
        return torchvision_names(state)
    return state


def torchvision_names(state: State) -> State:
    """Rename the tensors of a torchvision ResNet to a sequence of its layers, without the last two."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    split = [(*key.partition("."), tensor) for key, tensor in state.items()]
    return {f"{places[layer]}.{rest}": tensor for layer, _, rest, tensor in split if layer in places}


def _published_timm(name: str, tag: str) -> State:
    if tag != "timm":
        raise UnknownNameError(f"weights of {name}", tag, ["timm"])
    try:
        with quiet():
            whole = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{name}: its weights cannot be fetched: {one_line(error)}") from None
    state: State = whole.state_dict()
    return state


def _published_torchvision(name: str, tag: str) -> State:
    known = torchvision_models.get_model_weights(name).__members__
    if tag not in known:
        raise UnknownNameError(f"weights of torchvision:{name}", tag, known)
    try:
        return torchvision_names(known[tag].get_state_dict(progress=False, check_hash=True, weights_only=True))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"torchvision:{name}: its weights cannot be fetched: {one_line(error)}") from None


PUBLISHED: Mapping[Family, Callable[[str, str], State]] = {
    "timm": _published_timm,
    "torchvision": _published_torchvision,
    "open_clip": open_clip.tower_weights,
}
