"""From a checkpoint to a file that search uses; PyTorch is imported when it starts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from lookalike.errors import UsageError, extra_wanted


@dataclass(frozen=True, slots=True)
class Exported:
    """An ONNX file, and how near it is to its checkpoint.

    Attributes:
        file: The ONNX file.
        least_cosine: Between its embeddings and the checkpoint's own, over the photos that it was checked with; in
            [-1, 1].
    """

    file: Path
    least_cosine: float


def export(
    checkpoint: str | os.PathLike[str],
    onnx: str | os.PathLike[str],
    *,
    half: bool = False,
    int8: bool = False,
    calibrate: str | os.PathLike[str] | None = None,
) -> Exported:
    """Write a checkpoint as an ONNX file, which search uses.

    Args:
        checkpoint: A `.safetensors` file that training wrote.
        onnx: The file to write, its folder too; it appears whole, or not at all.
        half: Store weights in 16 bits: half the size, as fast.
        int8: Store and compute with 8-bit integers: a quarter of the size, and faster.
        calibrate: A catalogue to check the file with, and to find the ranges of `int8` by; None is the drawn sample.

    Raises:
        UsageError: There is no such checkpoint, there are no photos, or both smaller kinds were asked for.
        LookalikeError: A file's embeddings are not PyTorch's, unless it computes with integers.
        MissingExtraError: What exporting needs is not installed.
    """
    path, file = Path(checkpoint), Path(onnx)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with extra_wanted("export", "train"):
        from lookalike.models.export import export_onnx
    photos = None if calibrate is None else os.fspath(calibrate)
    return Exported(file, export_onnx(path, file, half=half, int8=int8, calibrate=photos))
