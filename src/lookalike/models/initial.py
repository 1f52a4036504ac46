"""Starting weights of a backbone: from timm, or from a file in one of the formats that weights are shared in."""

from __future__ import annotations

import csv
import pickle
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import timm
import torch
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor, nn

from lookalike.errors import ModelError, UnknownNameError

State = dict[str, Tensor]


def initialise(backbone: nn.Module, name: str, *, init: str, names: str = "") -> bool:
    """Load starting weights into a backbone.

    Args:
        backbone: Made by timm without classifier.
        name: What timm calls it.
        init: `timm` for its pretrained weights, or a file: .npz, .pth, .pt, .tar (tensors only), .safetensors, .onnx.
        names: A CSV of two columns, the file's name of a tensor and the backbone's; empty when they are the same.

    Returns:
        Whether the statistics of the normalisation layers are true; when False (the file had them folded into
        the convolutions) `estimate_statistics` must follow before they are trained.

    Raises:
        ModelError: The file cannot be read, or does not fit the backbone.
    """
    if init == "timm":
        state = timm.create_model(name, pretrained=True, num_classes=0, global_pool="").state_dict()
        backbone.load_state_dict(state)
        return True
    state = _renamed(read_tensors(Path(init)), Path(names)) if names else read_tensors(Path(init))
    match_first_block(backbone, state)
    folded = _unfold(backbone, state)
    try:
        result = backbone.load_state_dict(state, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{init}: does not fit {name}: {str(error).splitlines()[-1].strip()}") from None
    missing = [key for key in result.missing_keys if not key.endswith("num_batches_tracked")]
    unexpected = [key for key in result.unexpected_keys if not key.startswith(("fc.", "classifier.", "head."))]
    if missing or unexpected:
        raise ModelError(
            f"{init}: does not fit {name}: {len(missing)} tensors missing (first {missing[:1]}), "
            f"{len(unexpected)} unknown (first {unexpected[:1]}); `init_names` can translate names"
        )
    return not folded


def read_tensors(path: Path) -> State:
    """Read all tensors of a file, without running any code that the file may hold.

    Raises:
        ModelError: The file is missing, broken, or of an unknown format.
    """
    readers: dict[str, Callable[[Path], State]] = {
        ".npz": _read_npz,
        ".safetensors": _read_safetensors,
        ".onnx": _read_onnx,
        ".pth": _read_torch,
        ".pt": _read_torch,
        ".tar": _read_torch,
    }
    if path.suffix not in readers:
        raise UnknownNameError("format of weights", path.suffix or path.name, readers)
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    return readers[path.suffix](path)


def _read_npz(path: Path) -> State:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: not an .npz of arrays of numbers: {error}") from None


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file: {error}") from None


def _read_onnx(path: Path) -> State:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        initializers = onnx.load(str(path)).graph.initializer
    except (DecodeError, OSError) as error:
        raise ModelError(f"{path}: not an ONNX file: {error}") from None
    return {tensor.name: torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()) for tensor in initializers}


def _read_torch(path: Path) -> State:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(f"{path}: not a file of plain tensors: {str(error).splitlines()[0]}") from None
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: expected a dictionary of tensors")
    return dict(state)


def _renamed(state: State, table: Path) -> State:
    try:
        with table.open(encoding="utf-8", newline="") as file:
            _, *rows = csv.reader(file)
        names = dict(rows)  # refuses rows of another length, too
    except (OSError, ValueError) as error:
        raise ModelError(f"{table}: not a table of two columns of names: {error}") from None
    unknown = sorted(set(state) - set(names))
    if unknown:
        raise ModelError(f"{table}: says nothing of the tensor {unknown[0]!r} ({len(unknown)} such)")
    return {names[theirs]: tensor for theirs, tensor in state.items()}


def match_first_block(backbone: nn.Module, state: State) -> None:
    """Give a MobileNetV2 the 1x1 expansion in its first block that some published weights have and timm's has not."""
    if "blocks.0.0.conv_pwl.weight" in state and not hasattr(backbone.get_submodule("blocks.0.0"), "conv_pwl"):
        backbone.set_submodule("blocks.0.0", InvertedResidual(32, 16, exp_ratio=1.0, act_layer=nn.ReLU6))


def _unfold(backbone: nn.Module, state: State) -> bool:
    """Turn biases that a normalisation was folded into back into a normalisation that adds just that bias."""
    folded = False
    for name, layer in backbone.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and f"{name}.bias" in state and f"{name}.weight" not in state:
            folded = True
            state[f"{name}.running_mean"] = torch.zeros_like(layer.running_mean)  # type: ignore[arg-type]
            state[f"{name}.running_var"] = torch.ones_like(layer.running_var)  # type: ignore[arg-type]
            state[f"{name}.weight"] = torch.full_like(layer.weight, (1.0 + layer.eps) ** 0.5)
    return folded


@torch.no_grad()
def estimate_statistics(backbone: nn.Module, batches: Iterable[Tensor]) -> None:
    """Give made-up normalisation layers the statistics of real photos, without changing what the network computes.

    With y = w (x - m) / s + b unchanged and the new m', s' of x: w' = w s' / s and b' = b + w (m' - m) / s.

    Args:
        backbone: Its BatchNorm2d layers are changed in place.
        batches: Normalised photos, each (B, 3, H, W).
    """
    layers = [layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    sums = {layer: (torch.zeros_like(layer.bias), torch.zeros_like(layer.bias), 0) for layer in layers}

    def count(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.BatchNorm2d)
        total, squares, seen = sums[layer]
        x = inputs[0].float()
        sums[layer] = (
            total + x.sum((0, 2, 3)),
            squares + x.square().sum((0, 2, 3)),
            seen + x.numel() // x.shape[1],
        )

    hooks = [layer.register_forward_pre_hook(count) for layer in layers]
    backbone.eval()
    for photos in batches:
        backbone(photos)
    for hook in hooks:
        hook.remove()
    for layer, (total, squares, seen) in sums.items():
        assert layer.running_mean is not None and layer.running_var is not None
        mean = total / seen
        variance = (squares / seen - mean.square()).clamp(min=1e-6)
        old = (layer.running_var + layer.eps).sqrt()
        layer.bias.add_(layer.weight * (mean - layer.running_mean) / old)
        layer.weight.mul_((variance + layer.eps).sqrt() / old)
        layer.running_mean.copy_(mean)
        layer.running_var.copy_(variance)
