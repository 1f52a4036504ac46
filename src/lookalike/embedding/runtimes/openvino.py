"""OpenVINO, on the processor."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import openvino

from lookalike.embedding.network import (
    ATTENTION,
    MAP,
    Device,
    Identity,
    Outputs,
    check_signature,
    wanted_outputs,
)
from lookalike.errors import ModelError, UsageError
from lookalike.models.content_hash import read_checked, require_checksum
from lookalike.types import Float32


class OpenVinoNetwork:
    """ONNX model compiled by OpenVINO."""

    device = "cpu"
    concurrent = False  # one inference request is reused
    parallel_calls = 1

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        """Load and compile the file.

        Raises:
            ModelError: The file is not ONNX, damaged, or not a model of Lookalike.
            UsageError: A device other than the processor was requested.
        """
        if device == "cuda":
            raise UsageError("OpenVINO does not run on CUDA; use --runtime onnx or --runtime torch")
        content = read_checked(path)
        core = openvino.Core()
        try:
            model = core.read_model(io.BytesIO(content))
        except Exception as error:  # its exceptions have no common base but Exception
            raise ModelError(f"{path}: not an ONNX file that OpenVINO can read") from error
        information = model.get_rt_info()
        framework = information["framework"] if "framework" in information else {}  # noqa: SIM401 - it has no get()
        metadata = {key: str(text.value) for key, text in framework.items()}
        self.identity = Identity.from_metadata(metadata, file=str(path))
        outputs = {port.get_any_name(): _shape(port) for port in model.outputs}
        self.dimension = check_signature(
            file=str(path),
            identity=self.identity,
            inputs={port.get_any_name(): _shape(port) for port in model.inputs},
            outputs=outputs,
        )
        require_checksum(path, content)
        self.has_attention = ATTENTION in outputs
        self.has_map = MAP in outputs
        self._wanted = wanted_outputs(self.identity, outputs)
        # The default is bf16 where the processor has it: twice as fast, but scores differ in the third
        # digit from those of every other runtime and machine.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads}
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def run(self, photos: Float32, kinds: Float32 | None = None) -> Outputs:
        """Embed photos, (B, 3, H, W) float32, of which kinds may be known, (B, K) float32."""
        results = self._request.infer(self.identity.inputs(photos, kinds))
        return Outputs(**{name: np.array(results[name], dtype=np.float32) for name in self._wanted})

    def maps(self, photos: Float32) -> Float32:
        """Last feature map of photos, (B, C, h, w) float32."""
        return np.array(self._request.infer(self.identity.inputs(photos, None))[MAP], dtype=np.float32)


def _shape(port: openvino.Output) -> list[object]:
    """Shape as integers, None for variable dimensions."""
    return [side.get_length() if side.is_static else None for side in port.get_partial_shape()]
