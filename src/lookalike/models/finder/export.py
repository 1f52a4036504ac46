"""Export of a finder checkpoint to ONNX, compared with PyTorch on photos."""

from __future__ import annotations

import hashlib
from itertools import islice
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import LookalikeError
from lookalike.images import open_image
from lookalike.models.export import OPSET, forget_origins
from lookalike.models.finder.checkpoint import FinderCheckpoint, load_finder
from lookalike.models.finder.file_format import FORMAT, INPUT, SCORES, SIDES
from lookalike.models.finder.input_shape import input_shape
from lookalike.models.finder.network import FinderNetwork
from lookalike.models.fp16 import to_fp16
from lookalike.models.onnx_file import hidden_beside, write_metadata
from lookalike.models.preprocessing import Preprocessing
from lookalike.storage.durable import flush

PHOTOS = 8
SHAPES = ((1, 1), (3, 4), (4, 3), (1, 2))
"""Width and height, in proportion, of the inputs of the comparison."""

MOST_APART = 0.02
"""A file with 16-bit weights may differ by this in a score, in [0, 1], the other by a hundredth of it."""


class _Exported(nn.Module):
    """Finder network with the outputs of the ONNX file."""

    def __init__(self, network: FinderNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Scores (B, A, K) in [0, 1], and distances to the sides (B, A, 4)."""
        logits, distances = self.network(photos)
        return logits.sigmoid(), distances


def export_finder(checkpoint: Path, file: Path, *, half: bool = False) -> float:
    """Write a finder checkpoint as an ONNX file for inputs of any height and width that are multiples of 32.

    Args:
        checkpoint: `.safetensors` file of a training run.
        file: ONNX file to write; its folder is created. A failure leaves no partial file.
        half: Store the weights as float16.

    Returns:
        Result of `largest_difference`.

    Raises:
        ModelError: The checkpoint is missing, damaged, or not of a finder.
        LookalikeError: The outputs of the file differ from PyTorch's.
    """
    loaded = load_finder(checkpoint)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        _write(loaded.network, made)
        if half:
            made = to_fp16(made)
        _describe(made, loaded)
        apart = largest_difference(loaded, made)
        if apart > MOST_APART * (1.0 if half else 0.01):
            raise LookalikeError(f"{file}: not written: a score differs from PyTorch's by {apart:.4f}")
        flush(made)
        made.replace(file)
    return apart


def largest_difference(loaded: FinderCheckpoint, file: Path) -> float:
    """Largest difference between the scores of an ONNX file and of PyTorch, over drawn photos in several shapes.

    A difference of 1 pixel in a side of a box counts as 0.01.
    """
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    apart = 0.0
    for number, item in enumerate(islice(open_catalogue("drawn").items(), PHOTOS)):
        height, width = input_shape(*SHAPES[number % len(SHAPES)], pixels=loaded.pixels)
        photo = Preprocessing(height, width)(open_image(item))[None]
        scores, sides = session.run([SCORES, SIDES], {INPUT: photo})
        with torch.no_grad():
            logits, distances = loaded.network(torch.from_numpy(photo))
        of_scores = float(np.abs(scores - logits.sigmoid().numpy()).max())
        apart = max(apart, of_scores, float(np.abs(sides - distances.numpy()).max()) / 100)
    return apart


def _write(network: FinderNetwork, file: Path) -> None:
    down, across = torch.export.Dim("down", min=2, max=64), torch.export.Dim("across", min=2, max=64)
    program = torch.onnx.export(
        _Exported(network).eval(),
        (torch.zeros(1, 3, 96, 64),),
        input_names=[INPUT],
        output_names=[SCORES, SIDES],
        dynamic_shapes={"photos": {2: 32 * down, 3: 32 * across}},
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    program.save(str(file), external_data=False)
    forget_origins(file)


def _describe(file: Path, loaded: FinderCheckpoint) -> None:
    fingerprint = hashlib.sha256(file.read_bytes()).hexdigest()
    about = {
        "lookalike.format": FORMAT,
        "lookalike.name": loaded.name,
        "lookalike.fingerprint": fingerprint,
        "lookalike.kinds": ",".join(loaded.kinds),
        "lookalike.pixels": str(loaded.pixels),
    }
    write_metadata(file, about)
