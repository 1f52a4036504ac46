"""The visual towers of open_clip models (CLIP, SigLIP and others), without their text towers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lookalike.errors import MissingExtraError, ModelError, UnknownNameError
from lookalike.models.other_libraries import one_line, quiet

HUB = "hf-hub:"
HUB_WEIGHTS = "hf-hub"
"""Tag of the weights of a model from the hub, which has only one."""


def read_config(name: str) -> str:
    """Return the architecture of a model's visual tower, as JSON.

    Args:
        name: Name of an open_clip model, or `hf-hub:org/name`, whose configuration is fetched.

    Raises:
        UnknownNameError: open_clip has no model of that name.
        ModelError: The configuration cannot be fetched.
        MissingExtraError: open_clip is not installed.
    """
    library = open_clip_library()
    if name.startswith(HUB):
        config = _from_hub(name)
    elif name in library.list_models():
        config = library.get_model_config(name)
    else:
        raise UnknownNameError("model of open_clip", name, library.list_models())
    vision = config["vision_cfg"] | {"timm_model_pretrained": False}
    wanted = {"embed_dim": config["embed_dim"], "quick_gelu": config.get("quick_gelu", False), "vision_cfg": vision}
    return json.dumps(wanted)


def make_tower(config: str) -> tuple[nn.Module, int]:
    """Make a tower with random weights.

    Args:
        config: JSON that `read_config` returns.

    Returns:
        The tower, and the dimension of its rows.

    Raises:
        ModelError: The architecture is invalid.
        MissingExtraError: open_clip is not installed.
    """
    open_clip_library()
    from open_clip.model import _build_vision_tower

    try:
        parts = json.loads(config)
        tower: nn.Module = _build_vision_tower(parts["embed_dim"], parts["vision_cfg"], parts["quick_gelu"])
        return tower, int(parts["embed_dim"])
    except (KeyError, TypeError, ValueError, RuntimeError, AssertionError) as error:
        raise ModelError(f"a visual tower of open_clip cannot be made of {config}: {one_line(error)}") from None


def tower_weights(name: str, tag: str) -> dict[str, Tensor]:
    """Return the tower's part of published weights; they are downloaded into open_clip's cache.

    Args:
        name: Name of the model.
        tag: Tag of the weights; `hf-hub` for a model from the hub.

    Raises:
        UnknownNameError: The model has no weights of that tag.
        ModelError: The weights cannot be fetched.
        MissingExtraError: open_clip is not installed.
    """
    library = open_clip_library()
    from_hub = name.startswith(HUB)
    known = [HUB_WEIGHTS] if from_hub else library.list_pretrained_tags_by_model(name)
    if tag not in known:
        raise UnknownNameError(f"weights of {name}", tag, known)
    try:
        with quiet():
            model = library.create_model(
                name, pretrained=None if from_hub else tag, require_pretrained=True, pretrained_text=False
            )
    except (OSError, RuntimeError, ValueError) as error:
        raise ModelError(f"{name}: the weights {tag!r} cannot be fetched: {one_line(error)}") from None
    state: dict[str, Tensor] = model.visual.state_dict()
    return state


def _from_hub(name: str) -> dict[str, Any]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        with quiet():
            path = hf_hub_download(name.removeprefix(HUB), "open_clip_config.json")
        config: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))["model_cfg"]
    except (OSError, ValueError, KeyError, RecursionError, HfHubHTTPError) as error:
        raise ModelError(f"{name}: its description cannot be fetched: {one_line(error)}") from None
    return config


def open_clip_library() -> Any:  # noqa: ANN401 - it has no types
    """Import open_clip.

    Raises:
        MissingExtraError: open_clip is not installed.
    """
    try:
        import open_clip
    except ModuleNotFoundError as error:
        if error.name != "open_clip":
            raise
        raise MissingExtraError("a backbone of open_clip", "train") from None
    return open_clip
