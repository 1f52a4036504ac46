"""Reader of saved models of the original system.

Source: deep-fashion-retrieval (2018): a ResNet-50 without its last two layers, the average over its last map, a linear
layer to 512 numbers that are used as they are, and a linear layer from those to 20 category scores. A saved model is
the dictionary of its tensors, `models/model_{epoch}_{batch or final}.pth.tar`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from lookalike.errors import ModelError
from lookalike.models.network import Network, NetworkSettings, head_key
from lookalike.models.preprocessing import Preprocessing
from lookalike.models.weight_readers import read_tensors

State = dict[str, Tensor]

HEAD = "category"
CATEGORIES = (
    *("Anorak", "Blazer", "Blouse", "Bomber", "Button-Down", "Cardigan", "Flannel", "Halter", "Henley", "Hoodie"),
    *("Jacket", "Jersey", "Parka", "Peacoat", "Poncho", "Sweater", "Tank", "Tee", "Top", "Turtleneck"),
)
"""Upper-body garments: categories 1 to 20 of DeepFashion's list_category_cloth.txt, in order."""

PREPROCESSING = Preprocessing(224, 224, fit="crop", short_side=224)
SUFFIXES = (".tar", ".pth")


def is_original_state(state: Mapping[str, Tensor]) -> bool:
    """Return whether these are the tensors of a saved model of the original system."""
    return all(key in state for key in ("backbone.0.weight", "fc.weight", "fc.bias", "fc2.weight", "fc2.bias"))


def translate_state(state: Mapping[str, Tensor], classes: Mapping[str, Sequence[str]]) -> State:
    """Rename the tensors of the original system to those of `Network`.

    Args:
        state: Tensors of the original system.
        classes: Classes of the network's heads; the original's category head is kept for heads with exactly its
            categories in its order.
    """
    named = {key: tensor for key, tensor in state.items() if key.startswith("backbone.")}
    named |= {"embedding.weight": state["fc.weight"], "embedding.bias": state["fc.bias"]}
    for head, names in classes.items():
        if tuple(names) == category_names(len(state["fc2.weight"])):
            named |= {f"heads.{head_key(head)}.{key}": state[f"fc2.{key}"] for key in ("weight", "bias")}
    return named


def category_names(count: int) -> tuple[str, ...]:
    """Return the names of the original's `count` classes; numbers if there are not 20."""
    return CATEGORIES if count == len(CATEGORIES) else tuple(str(number + 1) for number in range(count))


def read_original(path: Path) -> tuple[Network, dict[str, list[str]]]:
    """Read a saved model without executing code from the file.

    Returns:
        The network, and the classes of its head.

    Raises:
        ModelError: The file is missing, damaged, or not a model of the original system.
    """
    state = read_tensors(path)
    if not is_original_state(state):
        raise ModelError(f"{path}: not a model that the original system saved: it lacks backbone.0, fc or fc2")
    classes = {HEAD: list(category_names(len(state["fc2.weight"])))}
    settings = NetworkSettings(
        "torchvision:resnet50",
        embedding=len(state["fc.weight"]),
        normalise=False,
        heads="linear",
        attention=True,
    )
    network = Network(settings, heads={HEAD: len(classes[HEAD])})
    try:
        result = network.load_state_dict(translate_state(state, classes), strict=False)
    except RuntimeError as error:
        raise ModelError(f"{path}: not the original's ResNet-50: {str(error).splitlines()[-1].strip()}") from None
    # PyTorch had no `num_batches_tracked` at that time, and nothing depends on it.
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    if missing or result.unexpected_keys:
        first = [*missing, *result.unexpected_keys][0]
        raise ModelError(f"{path}: not the original's ResNet-50: {first} is missing or unknown")
    return network, classes
