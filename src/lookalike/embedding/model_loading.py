"""Loads a model into a runtime, and decides which runtime `auto` is.

The rule of `auto`, measured with 2 threads of an AVX-512 processor, float32, photos/s:

    network, input           batch   ONNX Runtime 1.32   OpenVINO 2026.4 (f32)
    MobileNetV2, 224 x 224       1                 203                     106
    MobileNetV2, 224 x 224       8                 253                     145
    ResNet-50, 224 x 224         1                  24                      17
    ResNet-50, 224 x 224         8                  25                      23

ONNX Runtime starts faster too (import and model: 0.14 s against 0.38 s), so `auto` is `onnx`. OpenVINO's own precision
on such processors, bf16, is about twice as fast and moves scores in their third digit: it is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from lookalike.embedding.network import Device, Network
from lookalike.errors import MissingExtraError, ModelError, UnknownNameError
from lookalike.models.default_model import SHIPPED, SHIPPED_MODEL

RUNTIMES: Mapping[str, str] = {
    "onnx": "lookalike.embedding.runtimes.onnx:OnnxNetwork",
    "openvino": "lookalike.embedding.runtimes.openvino:OpenVinoNetwork",
    "torch": "lookalike.embedding.runtimes.torch:TorchNetwork",
}
EXTRAS: Mapping[str, str] = {"openvino": "openvino", "torch": "train"}
"""Extra that installs the library of a runtime."""

CHECKPOINTS = (".safetensors", ".tar", ".pth")
"""Endings of what PyTorch runs: our checkpoints, and models that the original system saved."""

DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")


def open_network(
    model: str | Path = "default", *, runtime: str = "auto", device: str = "auto", threads: int | None = None
) -> Network:
    """Load a model into a runtime.

    Args:
        model: `default`, the path of an `.onnx` file, that of a `.safetensors` checkpoint, or that of a `.pth.tar` that
            the original system saved.
        runtime: A name of `RUNTIMES`, or `auto`.
        device: One of `DEVICES`; `auto` takes CUDA where the runtime has it.
        threads: For the network; None takes every processor that this process may use.

    Raises:
        ModelError: There is no such file, it is not a model, or not one for this runtime.
        UnknownNameError: The runtime or the device is not one of the known.
        UsageError: The runtime does not run on that device here.
        MissingExtraError: The runtime's library is not installed.
    """
    if device not in DEVICES:
        raise UnknownNameError("device", device, DEVICES)
    path = find_model(model)
    chosen = choose_runtime(path, runtime)
    module, _, name = RUNTIMES[chosen].partition(":")
    try:
        network = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if chosen not in EXTRAS or (error.name or "").startswith("lookalike"):
            raise
        raise MissingExtraError(f"the runtime {chosen!r}", EXTRAS[chosen]) from error
    return cast(Network, network(path, device=device, threads=threads or processors()))


def find_model(model: str | Path) -> Path:
    """Turn a model's name into the path of its file.

    Raises:
        ModelError: There is none.
    """
    path = SHIPPED_MODEL if str(model) == SHIPPED else Path(model)
    if not path.is_file():
        raise ModelError(f"{path}: no such model file; give 'default', an .onnx file or a .safetensors checkpoint")
    return path


def choose_runtime(path: Path, runtime: str = "auto") -> str:
    """Choose the runtime of a model file; `auto` is resolved here only.

    Raises:
        ModelError: This runtime does not read such files.
        UnknownNameError: There is no such runtime.
    """
    if runtime not in ("auto", *RUNTIMES):
        raise UnknownNameError("runtime", runtime, ("auto", *RUNTIMES))
    is_checkpoint = path.suffix in CHECKPOINTS
    if runtime == "auto":
        return "torch" if is_checkpoint else "onnx"
    if is_checkpoint != (runtime == "torch"):
        reads = "a .safetensors or .pth.tar checkpoint" if runtime == "torch" else "an .onnx file"
        raise ModelError(f"{path}: the runtime {runtime!r} reads {reads}")
    return runtime


def processors() -> int:
    """Number of processors that this process may use."""
    affinity: Any = getattr(os, "sched_getaffinity", None)  # only some systems have it
    return len(affinity(0)) if affinity else os.cpu_count() or 1
