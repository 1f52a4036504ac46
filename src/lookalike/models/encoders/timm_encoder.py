"""Encoders of timm: their published weights or a file, and the preprocessing of timm's data configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import timm
from timm import data as timm_data
from torch import nn

from lookalike.errors import ModelError, UsageError
from lookalike.models.backbones import check_timm_name
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.other_libraries import made_of, one_line, quiet
from lookalike.models.preprocessing import Preprocessing, PreprocessingChanges, make_preprocessing
from lookalike.models.pretrained import is_weights_file
from lookalike.models.weight_readers import State, read_tensors

FITS: Final = {"center": "crop", "squash": "stretch"}
"""Our word for each of timm's crop modes."""


def timm_encoder(
    name: str,
    *,
    weights: str | None = None,
    changes: PreprocessingChanges,
    described: Mapping[str, Any] | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> ImageEncoder:
    """Make an encoder of timm, whose rows are those of `create_model(name, num_classes=0)`.

    Args:
        name: Name of a model, with the tag of its weights after a dot or without.
        weights: File of weights; None for the published ones, which are downloaded into the cache of the hub.
        changes: Changes of its preprocessing; another size is given to models that are made for one size.
        described: Data configuration of the weights, from a file beside them; None is timm's own of that name.
        arguments: Arguments of `create_model` that the weights were made with, such as `global_pool`.

    Raises:
        UnknownNameError: timm has no such model or tag.
        UsageError: The weights are neither a file nor published, or the model takes no other size.
        ModelError: The weights cannot be fetched or read, or do not fit.
    """
    check_timm_name(name)
    published: Any = timm.get_pretrained_cfg(name, allow_unregistered=True)
    config = {} if published is None else published.to_dict()
    preprocessing = _preprocessing(config | dict(described or {}), changes, where=f"timm:{name}")
    made_with: dict[str, Any] = {**(arguments or {})}
    size = (preprocessing.height, preprocessing.width)
    if config.get("fixed_input_size") and size != tuple(config.get("input_size", (3, *size)))[1:]:
        made_with["img_size"] = size
    if weights is None:
        network = _published(name, made_with)
    elif is_weights_file(weights):
        network = _of_file(name, Path(weights), config, made_with)
    else:
        raise UsageError(
            f"timm names its weights in the name of the model, such as timm:{name.partition('.')[0]}.TAG; got the "
            f"weights {weights!r}, which is no file"
        )
    return ImageEncoder(name, network.eval(), preprocessing)


def _preprocessing(config: Mapping[str, Any], changes: PreprocessingChanges, *, where: str) -> Preprocessing:
    """Preprocessing of timm's `create_transform` for evaluation, with changes."""
    with made_of(where, what="its preprocessing cannot be read"):
        library: Any = timm_data  # it has no types
        data = library.resolve_data_config({}, pretrained_cfg=dict(config))
        _, height, width = data["input_size"]
        mode, share = data["crop_mode"], float(data["crop_pct"])
        known = share <= 1 if mode == "center" else mode in FITS and share == 1
        if not known and changes.fit is None:
            raise ModelError(
                f"{where}: the fit {mode!r} of timm with crop_pct {share:g} has no like here; choose with --fit"
            )
        crops = mode == "center"
        return changes.applied(
            make_preprocessing(
                size=(height, width),
                fit=FITS[mode] if known else "stretch",
                mean=tuple(data["mean"]),
                std=tuple(data["std"]),
                interpolation=data["interpolation"],
                short_side=math.floor(min(height, width) / share) if crops else 0,
            )
        )


def _published(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model_pretrained(name):
        raise UsageError(f"timm publishes no weights of {name}; give a file with --weights")
    try:
        with quiet():
            made: nn.Module = timm.create_model(name, pretrained=True, num_classes=0, **arguments)
    except TypeError:
        raise UsageError(f"timm:{name}: takes photos of its own size only; leave --size out") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"timm:{name}: its weights cannot be fetched: {one_line(error)}; give a file with --weights"
        ) from None
    return made


def _of_file(name: str, file: Path, config: Mapping[str, Any], arguments: Mapping[str, Any]) -> nn.Module:
    """Load a file by timm's own way, which knows the layouts of the authors of its models; all tensors must fit."""
    state = read_tensors(file)
    classes = _classes_of(state, config)
    overlay = {"state_dict": state, "num_classes": classes, "label_offset": 0, "custom_load": False}
    with made_of(str(file), what=f"does not fit timm's {name}"), quiet():
        whole: Any = timm.create_model(
            name, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes, **arguments
        )
        whole.reset_classifier(0)
    network: nn.Module = whole
    return network


def _classes_of(state: State, config: Mapping[str, Any]) -> int:
    """Number of classes of the classifier in a file of weights; 0 without one."""
    named = config.get("classifier") or ()
    for classifier in (named,) if isinstance(named, str) else named:
        weight = state.get(f"{classifier}.weight")
        if weight is not None and weight.ndim:
            return int(weight.shape[0])
    return 0
