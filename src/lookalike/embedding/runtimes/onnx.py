"""ONNX Runtime, on the processor or a CUDA device."""

from __future__ import annotations

from pathlib import Path

import onnxruntime

from lookalike.embedding.model_loading import processors
from lookalike.embedding.network import (
    ATTENTION,
    MAP,
    Device,
    Identity,
    Outputs,
    check_signature,
    wanted_outputs,
)
from lookalike.errors import LookalikeError, UsageError
from lookalike.models.content_hash import read_checked, require_checksum
from lookalike.models.onnx_session import CPU, metadata_of, open_session, run_session
from lookalike.types import Float32

CUDA = "CUDAExecutionProvider"


class OnnxNetwork:
    """ONNX model in a session of ONNX Runtime."""

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        """Load the file.

        Raises:
            ModelError: The file is not ONNX, damaged, or not a model of Lookalike.
            UsageError: CUDA was requested, and this installation has none.
        """
        self._path = path
        content = read_checked(path)
        self._session = open_session(path, content, threads=threads, providers=_providers(device))
        self.device = "cuda" if CUDA in self._session.get_providers() else "cpu"
        if device == "cuda" and self.device != "cuda":
            raise LookalikeError("ONNX Runtime could not start CUDA; check the driver, or use --device cpu")
        self.concurrent = self.device == "cpu"  # larger batches use a GPU better
        self.parallel_calls = max(1, processors() // threads) if self.concurrent else 1
        file = str(path)
        self.identity = Identity.from_metadata(metadata_of(self._session, path), file=file)
        outputs = {node.name: node.shape for node in self._session.get_outputs()}
        self.dimension = check_signature(
            file=file,
            identity=self.identity,
            inputs={node.name: node.shape for node in self._session.get_inputs()},
            outputs=outputs,
        )
        require_checksum(path, content)
        self.has_attention = ATTENTION in outputs
        self.has_map = MAP in outputs
        self._wanted = wanted_outputs(self.identity, outputs)

    def run(self, photos: Float32, kinds: Float32 | None = None) -> Outputs:
        """Embed photos, (B, 3, H, W) float32, of which kinds may be known, (B, K) float32."""
        rows = run_session(self._session, self._path, self._wanted, self.identity.inputs(photos, kinds))
        return Outputs(**dict(zip(self._wanted, rows, strict=True)))

    def maps(self, photos: Float32) -> Float32:
        """Last feature map of photos, (B, C, h, w) float32."""
        (maps,) = run_session(self._session, self._path, [MAP], self.identity.inputs(photos, None))
        return maps


def _providers(device: Device) -> list[str | tuple[str, dict[str, str]]]:
    """Execution providers in the order of preference."""
    has_cuda = CUDA in onnxruntime.get_available_providers()
    if device == "cuda" and not has_cuda:
        raise UsageError("this onnxruntime was built without CUDA; install onnxruntime-gpu, or use --runtime torch")
    if device == "cpu" or not has_cuda:
        return [CPU]
    # TF32 would round products to 10 bits, so that scores would depend on the machine.
    return [(CUDA, {"use_tf32": "0"}), CPU]
