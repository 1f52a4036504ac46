"""Loading of a model into a runtime, and choice of the runtime for `auto`.

The rule of `auto`, measured with 2 threads of an AVX-512 processor, float32, photos/s:

    network, input           batch   ONNX Runtime 1.32   OpenVINO 2026.4 (f32)
    MobileNetV2, 224 x 224       1                 203                     106
    MobileNetV2, 224 x 224       8                 253                     145
    ResNet-50, 224 x 224         1                  24                      17
    ResNet-50, 224 x 224         8                  25                      23

ONNX Runtime starts faster too (import and model: 0.14 s against 0.38 s), so `auto` is `onnx`. OpenVINO's default
precision on such processors, bf16, is about twice as fast, but changes the third digit of scores: it is not used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from lookalike.embedding.network import Device, Identity, Network
from lookalike.errors import MissingExtraError, ModelError, UnknownNameError
from lookalike.models.default_model import SHIPPED, SHIPPED_MODEL
from lookalike.models.onnx_file import read_metadata

RUNTIMES: Mapping[str, str] = {
    "onnx": "lookalike.embedding.runtimes.onnx:OnnxNetwork",
    "openvino": "lookalike.embedding.runtimes.openvino:OpenVinoNetwork",
    "torch": "lookalike.embedding.runtimes.torch:TorchNetwork",
}
EXTRAS: Mapping[str, str] = {"openvino": "openvino", "torch": "train"}
"""Extra that installs the library of a runtime."""

CHECKPOINTS = (".safetensors", ".tar", ".pth")
"""File endings for PyTorch: Lookalike's checkpoints, and models of the original system."""

DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")

_processes = 1  # that share the processors


def open_network(
    model: str | Path = "default", *, runtime: str = "auto", device: str = "auto", threads: int | None = None
) -> Network:
    """Load a model into a runtime.

    Args:
        model: `default`, or the path of an `.onnx` file, a `.safetensors` checkpoint, or a `.pth.tar` file of the
            original system.
        runtime: Name from `RUNTIMES`, or `auto`.
        device: One of `DEVICES`; `auto` uses CUDA if the runtime has it.
        threads: Threads of the network; None is one for each processor that this process may use.

    Raises:
        ModelError: There is no such file, it is not a model, or this runtime cannot read it.
        UnknownNameError: There is no such runtime or device.
        UsageError: The runtime cannot use the device on this machine.
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


def identity_of(model: str | Path) -> Identity:
    """Identity of a model: an ONNX file's metadata, which are read without loading it, or those of a checkpoint.

    Raises:
        ModelError: There is no such file, or it is not a model.
        MissingExtraError: The library that reads a checkpoint is not installed.
    """
    path = find_model(model)
    if path.suffix in CHECKPOINTS:
        return open_network(path, runtime="torch", device="cpu").identity
    return Identity.from_metadata(read_metadata(path), file=str(path))


def find_model(model: str | Path) -> Path:
    """Path of a model's file.

    Raises:
        ModelError: There is no such file.
    """
    path = SHIPPED_MODEL if str(model) == SHIPPED else Path(model)
    if not path.is_file():
        raise ModelError(
            f"{path}: no such model file; give 'default', an .onnx file or a .safetensors checkpoint; `export` "
            "makes files of models of other libraries"
        )
    return path


def choose_runtime(path: Path, runtime: str = "auto") -> str:
    """Choose the runtime of a model file; `auto` is resolved here only.

    Raises:
        ModelError: The runtime does not read such files.
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


def parallel_threads(models: Sequence[str | Path], runtime: str = "auto") -> int | None:
    """Threads of each network, for `open_network`, when many batches are embedded and none is waited for by itself.

    Where several threads may call a network, it computes a batch on one processor, and one call for each processor runs
    at a time: no processor then waits for the others within a batch. That is 1.3 times as fast on two processors.

    Args:
        models: Models as for `open_network`.
        runtime: Name from `RUNTIMES`, or `auto`.

    Raises:
        ModelError: There is no such file, or this runtime cannot read it.
        UnknownNameError: There is no such runtime.
    """
    return 1 if all(choose_runtime(find_model(model), runtime) == "onnx" for model in models) else None


def processors() -> int:
    """Number of processors that this process may use: those of its affinity, or its share of them."""
    affinity: Any = getattr(os, "sched_getaffinity", None)  # not on all systems
    return max(1, (len(affinity(0)) if affinity else os.cpu_count() or 1) // _processes)


def share_processors(processes: int) -> None:
    """Note how many processes like this one share the processors."""
    global _processes
    _processes = processes
