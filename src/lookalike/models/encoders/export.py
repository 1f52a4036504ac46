"""Export of image encoders as photo models, checked against PyTorch."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

import numpy as np
import torch

from lookalike.errors import LookalikeError, ModelError
from lookalike.models.checkpoint import FORMAT
from lookalike.models.clip.towers import LARGEST, UnitRows
from lookalike.models.encoders.encoder import ImageEncoder
from lookalike.models.export import LEAST_COSINE, least_cosine, outputs_of, write_graph
from lookalike.models.fp16 import to_fp16
from lookalike.models.onnx_file import hidden_beside, write_metadata
from lookalike.models.other_libraries import made_of
from lookalike.storage.durable import flush

PHOTOS: Final = 3
"""Photos of the check, of random numbers."""


def export_module(encoder: ImageEncoder, file: Path, *, half: bool = False) -> tuple[str, float]:
    """Write an image encoder as a photo model with unit embeddings.

    Args:
        encoder: The encoder.
        file: File to write atomically; its folder is created if missing.
        half: Store weights in 16 bits.

    Returns:
        Model id, and the smallest cosine between the embeddings of the file and of PyTorch, over images of random
        numbers.

    Raises:
        ModelError: It cannot be run on photos of that size, gives no rows, is too large, or cannot be written as ONNX.
        LookalikeError: The embeddings of the file differ.
    """
    steps = encoder.preprocessing
    shape = (PHOTOS, 3, steps.height, steps.width)
    photos = np.random.default_rng(0).standard_normal(shape, dtype=np.float32)
    network = UnitRows(encoder.network).eval()
    _check(encoder, torch.from_numpy(photos[:1]))
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        with made_of(encoder.name, what="PyTorch cannot write it as ONNX"):
            write_graph(network, {"photos": torch.from_numpy(photos[:2])}, made, output_names=["embedding"])
        identity = fingerprint(encoder)
        if half:  # rounded weights are another model
            made = to_fp16(made)
            identity = hashlib.sha256(identity.encode() + made.read_bytes()).hexdigest()
        about = {
            "lookalike.format": FORMAT,
            "lookalike.name": encoder.name,
            "lookalike.fingerprint": identity,
            "lookalike.preprocessing": steps.to_json(),
        }
        write_metadata(made, about)
        least = least_cosine(network, outputs_of(made, photos)["embedding"], photos)
        if not least >= LEAST_COSINE:  # also for nan
            raise LookalikeError(
                f"{file}: not written: its embeddings differ from PyTorch's (least cosine {least:.6f} over "
                f"{PHOTOS} images of random numbers, expected at least {LEAST_COSINE})"
            )
        flush(made)
        made.replace(file)
    return f"{encoder.name}@{identity[:8]}", least


def fingerprint(encoder: ImageEncoder) -> str:
    """Return the SHA-256, in hexadecimal, of all that the embeddings depend on: name, preprocessing and weights."""
    digest = hashlib.sha256(f"{encoder.name} {encoder.preprocessing.to_json()}".encode())
    for name, tensor in sorted(encoder.network.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().to(torch.float32).contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.no_grad()
def _check(encoder: ImageEncoder, photo: torch.Tensor) -> None:
    """Check that an encoder gives rows, and that an ONNX file holds it."""
    size = sum(tensor.numel() for tensor in encoder.network.state_dict().values()) * 4
    if size > LARGEST:
        raise ModelError(f"{encoder.name}: it has {size / 2**30:.1f} GiB of weights, and an ONNX file holds 2 GiB")
    steps = encoder.preprocessing
    with made_of(encoder.name, what=f"it does not run on photos of {steps.height} x {steps.width}"):
        rows = encoder.network(photo)
    if not isinstance(rows, torch.Tensor) or rows.ndim != 2:
        what = tuple(rows.shape) if isinstance(rows, torch.Tensor) else type(rows).__name__
        raise ModelError(f"{encoder.name}: an encoder gives rows (B, D), this one gives {what}")
    if not bool(torch.isfinite(rows).all()) or not bool(rows.norm(dim=1).all()):
        raise ModelError(f"{encoder.name}: it gives rows of zeros, or numbers that are not finite")
