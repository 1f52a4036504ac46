"""Encoders of torchvision: its classifiers without their last layer, with the preprocessing of their weights."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import nn
from torchvision import models

from lookalike.errors import ModelError, UnknownNameError
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.other_libraries import made_of, one_line
from lookalike.models.preprocessing import Preprocessing, PreprocessingChanges, make_preprocessing
from lookalike.models.pretrained import is_weights_file
from lookalike.models.weight_readers import State, read_tensors

ARGUMENTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "googlenet": {"transform_input": True, "aux_logits": True, "init_weights": False},
    "inception_v3": {"transform_input": True, "aux_logits": True, "init_weights": False},
}
"""Arguments that torchvision itself adds where a model gets its published weights."""

DENSE_LAYER: Final = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")
"""Names of tensors in the published DenseNets, of which the last dot is missing in the model."""


def torchvision_encoder(name: str, *, weights: str | None = None, changes: PreprocessingChanges) -> ImageEncoder:
    """Make an encoder of torchvision, whose rows are what its last layer reads.

    Args:
        name: Name of a classifier.
        weights: A file of weights, or the name of published ones, such as `IMAGENET1K_V1`, which are downloaded into
            PyTorch's cache; None for torchvision's default.
        changes: Changes of the preprocessing, which is that of the named weights; for a file, of the default ones.

    Raises:
        UnknownNameError: torchvision has no such model or weights.
        ModelError: The weights cannot be fetched or read, or do not fit.
    """
    names = models.list_models(module=models)
    if name not in names:
        raise UnknownNameError("image classifier of torchvision", name, names)
    published = models.get_model_weights(name)
    from_file = weights is not None and is_weights_file(weights)
    if not from_file and weights not in (None, "DEFAULT", *published.__members__):
        raise UnknownNameError(f"weights of torchvision:{name}", str(weights), list(published.__members__))
    tag = published["DEFAULT"] if weights is None or from_file else published[weights]
    where = f"torchvision:{name}"
    if from_file:
        assert weights is not None
        state, called, where = read_tensors(Path(weights)), name, weights
    else:
        state, called = _fetched(tag, where), f"{name}.{tag.name}"
    state = {DENSE_LAYER.sub(r"\1\2", key): tensor for key, tensor in state.items()}
    with made_of(where, what=f"does not fit torchvision's {name}"):
        network = _network(name, state)
    return ImageEncoder(called, network.eval(), changes.applied(_preprocessing(tag.transforms(), where=where)))


def _fetched(tag: Any, where: str) -> State:  # noqa: ANN401 - torchvision has no types
    try:
        state: State = tag.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{where}: its weights {tag.name} cannot be fetched: {one_line(error)}; give a file with --weights"
        ) from None
    return state


def _network(name: str, state: State) -> nn.Module:
    """The model with its weights, without its last layer."""
    network: nn.Module = models.get_model(name, weights=None, **ARGUMENTS.get(name, {}))
    layers = [layer for layer, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not layers:  # SqueezeNet has a convolution to classes in its place
        network.load_state_dict(state)
        network.set_submodule("classifier", nn.AdaptiveAvgPool2d(1))
        return network
    last = network.get_submodule(layers[-1])
    assert isinstance(last, nn.Linear)
    if f"{layers[-1]}.weight" in state and len(state[f"{layers[-1]}.weight"]) != last.out_features:
        state = {key: tensor for key, tensor in state.items() if not key.startswith(f"{layers[-1]}.")}
        state |= {f"{layers[-1]}.{key}": tensor for key, tensor in last.state_dict().items()}  # of other classes
    network.load_state_dict(state)
    network.set_submodule(layers[-1], nn.Identity())
    return network


def _preprocessing(transforms: Any, *, where: str) -> Preprocessing:  # noqa: ANN401
    """Preprocessing of torchvision's `ImageClassification` transforms."""
    with made_of(where, what="its preprocessing cannot be read"):
        return make_preprocessing(
            size=transforms.crop_size[0],
            fit="crop",
            mean=list(transforms.mean),
            std=list(transforms.std),
            interpolation=transforms.interpolation.value,
            short_side=transforms.resize_size[0],
        )
