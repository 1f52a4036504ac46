"""The first weights of a network: random, published with a backbone's library, or from a file."""

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
from lookalike.models.weight_readers import READERS, State, match_first_block, read_tensors, renamed, unfold

WHOLE = "backbone."
"""What the names of the backbone's tensors begin with in a file that holds a whole network."""

EXPORTED, FOLDED = "network.backbone.", ".weight_bias"
"""What they begin with in a file that `lookalike export` wrote, and what the biases of convolutions end in there."""


@dataclass(frozen=True, slots=True)
class Start:
    """What came of loading the first weights.

    Attributes:
        true_statistics: Whether the statistics of the normalisation layers are true; when False (the file had them
            folded into the convolutions) `estimate_statistics` must follow before they are trained.
        notes: What people may want to know, a line each.
    """

    true_statistics: bool = True
    notes: tuple[str, ...] = ()


def start_network(network: Network, *, folder: Path, classes: Mapping[str, Sequence[str]]) -> Start:
    """Load the first weights that a network's settings ask for.

    Args:
        network: With random weights; changed in place.
        folder: What files are relative to.
        classes: Of its heads.

    Raises:
        UnknownNameError: The backbone has no published weights of that name, or the file is of an unknown kind.
        ModelError: The weights cannot be fetched or read, or do not fit.
    """
    settings = network.settings
    if not settings.init:
        return Start()
    family, name = split_name(settings.backbone)
    if not _is_file(settings.init) and settings.init != SHIPPED:
        network.backbone.load_state_dict(PUBLISHED[family](name, settings.init))
        return Start()
    path = SHIPPED_MODEL if settings.init == SHIPPED else folder / settings.init
    state = read_tensors(path)
    if settings.init_names:
        state = renamed(state, folder / settings.init_names)
    if original_checkpoint.is_original(state):
        state = original_checkpoint.translated(state, classes)
    if any(key.startswith(EXPORTED) for key in state):
        return _load_backbone(network, _of_exported(state, network.backbone), path)
    if any(key.startswith(WHOLE) for key in state):
        return _load_whole(network, state, path)
    return _load_backbone(network, _of_backbone(state, family, network.backbone), path)


def _is_file(init: str) -> bool:
    """Whether this is the name of a file: by its ending, or the folder in it."""
    return Path(init).suffix in READERS or "/" in init


def _of_exported(state: State, backbone: nn.Module) -> State:
    """The backbone's tensors of an ONNX file that we exported, each bias where the normalisation had it.

    Biases that are nothing but zeros are not in the file.
    """
    inner = {key.removeprefix(EXPORTED): tensor for key, tensor in state.items() if key.startswith(EXPORTED)}
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
    return named


def _load_whole(network: Network, state: State, path: Path) -> Start:
    """Load a network that was trained before: all of its backbone, and of the rest what fits."""
    inner = {key.removeprefix(WHOLE): tensor for key, tensor in state.items() if key.startswith(WHOLE)}
    start = _load_backbone(network, inner, path)
    own = network.state_dict()
    made = (WHOLE, "relevance.")  # the latter follow from the labels that are learnt
    rest = {key: tensor for key, tensor in state.items() if not key.startswith(made)}
    fitting = {key: tensor for key, tensor in rest.items() if key in own and own[key].shape == tensor.shape}
    network.load_state_dict(fitting, strict=False)
    anew = sorted(key for key in own if not key.startswith(made) and key not in fitting)
    note = f"{path}: does not hold, or not in this size, what starts anew: {', '.join(anew)}"
    return Start(start.true_statistics, (note,) if anew else ())


def _load_backbone(network: Network, state: State, path: Path) -> Start:
    """Load all of a backbone.

    Raises:
        ModelError: The file lacks a tensor, has an unknown one, or one of another size.
    """
    name, backbone = network.settings.backbone, network.backbone
    match_first_block(backbone, state)
    folded = unfold(backbone, state)
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
    return Start(true_statistics=not folded)


def _of_backbone(state: State, family: Family, backbone: nn.Module) -> State:
    """The tensors of a file under the names that the backbone has for them, as its library shares them."""
    if family == "open_clip" and any(key.startswith("visual.") for key in state):
        return {key.removeprefix("visual."): tensor for key, tensor in state.items() if key.startswith("visual.")}
    if family == "torchvision" and "conv1.weight" in state:
        return torchvision_names(state)
    return state


def torchvision_names(state: State) -> State:
    """The tensors of a ResNet of torchvision under their names in the sequence of its layers, without the last two."""
    places = {"conv1": 0, "bn1": 1, "layer1": 4, "layer2": 5, "layer3": 6, "layer4": 7}
    split = [(*key.partition("."), tensor) for key, tensor in state.items()]
    return {f"{places[layer]}.{rest}": tensor for layer, _, rest, tensor in split if layer in places}


def _published_timm(name: str, tag: str) -> State:
    if tag != "timm":
        raise UnknownNameError(f"weights of {name}", tag, ["timm"])
    try:
        with open_clip.quiet():
            whole = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{name}: its weights cannot be fetched: {open_clip.one_line(error)}") from None
    state: State = whole.state_dict()
    return state


def _published_torchvision(name: str, tag: str) -> State:
    known = torchvision_models.get_model_weights(name).__members__
    if tag not in known:
        raise UnknownNameError(f"weights of torchvision:{name}", tag, known)
    try:
        return torchvision_names(known[tag].get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise ModelError(f"torchvision:{name}: its weights cannot be fetched: {open_clip.one_line(error)}") from None


PUBLISHED: Mapping[Family, Callable[[str, str], State]] = {
    "timm": _published_timm,
    "torchvision": _published_torchvision,
    "open_clip": open_clip.tower_weights,
}
