"""PyTorch, for checkpoints, on the processor or a CUDA device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from lookalike.embedding.network import Device, Identity, Outputs
from lookalike.errors import UsageError
from lookalike.kinds import KINDS
from lookalike.models.checkpoint import load_checkpoint
from lookalike.models.kind_evidence import KindEvidence, takes_kinds
from lookalike.types import Float32


class TorchNetwork:
    """Checkpoint of a training run, in evaluation mode and float32."""

    concurrent = False  # PyTorch has one number of threads for the whole process
    parallel_calls = 1

    def __init__(self, path: Path, *, device: Device, threads: int) -> None:
        """Load the checkpoint.

        Raises:
            ModelError: The file is not a checkpoint.
            UsageError: CUDA was requested, and PyTorch finds no device.
        """
        has_cuda = torch.cuda.is_available()
        if device == "cuda" and not has_cuda:
            raise UsageError("PyTorch finds no CUDA device here; use --device cpu")
        self.device = "cuda" if has_cuda and device != "cpu" else "cpu"
        self._threads = threads
        # TF32 would round products to 10 bits, so that scores would depend on the machine.
        torch.backends.cudnn.allow_tf32 = False
        checkpoint = load_checkpoint(path)
        self._network = checkpoint.network.to(self.device)
        self._evidence = KindEvidence(checkpoint.classes).to(self.device)
        settings = checkpoint.network.settings
        self.identity = Identity(
            checkpoint.name,
            checkpoint.fingerprint,
            checkpoint.preprocessing,
            unit=settings.normalise,
            trained_on=checkpoint.trained_on,
            kinds=KINDS if takes_kinds(settings, checkpoint.classes) else (),
        )
        self.dimension = checkpoint.network.dimension
        self.has_attention = settings.attention
        self.has_map = checkpoint.network.shape.kind == "maps"

    def run(self, photos: Float32, kinds: Float32 | None = None) -> Outputs:
        """Embed photos, (B, 3, H, W) float32, of which kinds may be known, (B, K) float32."""
        with threads_of_call(self._threads), torch.inference_mode():
            maps = self._network.maps(torch.from_numpy(photos).to(self.device))
            known = None if kinds is None else self._evidence(torch.from_numpy(kinds).to(self.device))
            embedding = self._network.embed_pooled(self._network.pooled(maps), known).cpu().numpy()
            return Outputs(embedding, maps.mean(dim=1).cpu().numpy() if self.has_attention else None)

    def maps(self, photos: Float32) -> Float32:
        """Last feature map of photos, (B, C, h, w) float32."""
        with threads_of_call(self._threads), torch.inference_mode():
            maps: Float32 = self._network.maps(torch.from_numpy(photos).to(self.device)).cpu().numpy()
            return maps


@contextmanager
def threads_of_call(count: int) -> Iterator[None]:
    """Compute by a number of threads, and leave the process with the number that it had.

    What else uses PyTorch in this process keeps its own, such as a training run, whose sums depend on it.
    """
    before = torch.get_num_threads()
    if count != before:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        if count != before:
            torch.set_num_threads(before)
