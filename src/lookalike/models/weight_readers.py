"""Readers of weights in the common file formats, and their adaptation to a backbone."""

from __future__ import annotations

import csv
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

import numpy as np
import torch
from timm.models._efficientnet_blocks import InvertedResidual
from torch import Tensor, nn

from lookalike.errors import LONGEST_QUOTE, ModelError, UnknownNameError, short_reason
from lookalike.models.fp16 import FP16_SUFFIX

State = dict[str, Tensor]


def read_tensors(path: Path) -> State:
    """Read all tensors of a file without executing code from the file.

    Raises:
        ModelError: The file is missing or damaged.
    """
    if path.suffix not in READERS:
        raise UnknownNameError("format of weights", path.suffix or path.name, READERS)
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    return READERS[path.suffix](path)


def _read_npz(path: Path) -> State:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
    except (ValueError, TypeError, OSError, EOFError, RuntimeError, BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: not an .npz of arrays of numbers: {short_reason(error)}") from None


def _read_safetensors(path: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: not a safetensors file: {short_reason(error)}") from None


def _read_onnx(path: Path) -> State:
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        initializers = onnx.load(str(path)).graph.initializer
    except (DecodeError, OSError) as error:
        raise ModelError(f"{path}: not an ONNX file: {short_reason(error)}") from None
    return {
        tensor.name.removesuffix(FP16_SUFFIX): torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).float()
        for tensor in initializers
    }


def _read_torch(path: Path) -> State:
    loaded = read_plain(path)
    state = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else None
    if not state or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(f"{path}: expected a dictionary of tensors")
    return dict(state)


def read_plain(path: Path) -> object:
    """Read a PyTorch file of plain values: tensors, numbers, strings, lists and dictionaries.

    PyTorch writes checksums and does not verify them, so they are verified here; its format before 2020 has none.

    Raises:
        ModelError: The file is damaged, or has other values.
    """
    try:
        wrong = _wrong_part(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the contents of a damaged file
            loaded: object = torch.load(path, map_location="cpu", weights_only=True) if wrong is None else None
    except Exception as error:  # noqa: BLE001 - a damaged file can raise any error in the reader
        said = error.strerror if isinstance(error, OSError) else None
        words = str(said or error).splitlines() if not isinstance(error, UnicodeError) else []
        reason = words[0][:LONGEST_QUOTE] if words else "it is damaged"
        raise ModelError(f"{path}: not a file of plain tensors: {reason}") from None
    if wrong is not None:
        raise ModelError(f"{path}: damaged: {wrong!r} in it does not fit its checksum; bring it back from a copy")
    return loaded


def _wrong_part(path: Path) -> str | None:
    """Return the first member of a zip file with a wrong checksum; None if all are right, or for other files."""
    if not is_zipfile(path):
        return None
    with ZipFile(path) as parts:
        return parts.testzip()


READERS: Mapping[str, Callable[[Path], State]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    ".onnx": _read_onnx,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".bin": _read_torch,
    ".tar": _read_torch,
}
"""Readers by suffix of the file name."""


def rename_tensors(state: State, table: Path) -> State:
    """Rename tensors by a table.

    Args:
        state: Tensors by the names of the file.
        table: CSV file of two columns, a tensor's name in the file and in the backbone.

    Raises:
        ModelError: The table cannot be read, or lacks a name.
    """
    try:
        with table.open(encoding="utf-8", newline="") as file:
            _, *rows = csv.reader(file)
        names = dict(rows)  # raises ValueError for rows of another length
    except (OSError, ValueError) as error:
        raise ModelError(f"{table}: not a table of two columns of names: {short_reason(error)}") from None
    unknown = sorted(set(state) - set(names))
    if unknown:
        raise ModelError(f"{table}: has no row for the tensor {unknown[0]!r} ({len(unknown)} are missing in all)")
    return {names[theirs]: tensor for theirs, tensor in state.items()}


def match_first_block(backbone: nn.Module, state: State) -> None:
    """Add the 1x1 expansion to the first block of a MobileNetV2, if the weights have it; timm's does not."""
    if "blocks.0.0.conv_pwl.weight" in state and not hasattr(backbone.get_submodule("blocks.0.0"), "conv_pwl"):
        backbone.set_submodule("blocks.0.0", InvertedResidual(32, 16, exp_ratio=1.0, act_layer=nn.ReLU6))


def unfold_batch_norms(backbone: nn.Module, state: State) -> bool:
    """Turn biases of folded normalisation layers into normalisation layers that add just the bias.

    Args:
        backbone: Backbone of the tensors.
        state: Tensors, changed in place.

    Returns:
        Whether there were any folded layers.
    """
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
    """Set the statistics of unfolded normalisation layers from photos, without changing the network's output.

    With y = w (x - m) / s + b unchanged and the new m', s' of x: w' = w s' / s and b' = b + w (m' - m) / s.

    Args:
        backbone: Its BatchNorm2d layers are changed in place.
        batches: Batches of normalised photos, (B, 3, H, W) each.
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
