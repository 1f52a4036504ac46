"""The public export function; PyTorch is imported when it is called."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lookalike.errors import UsageError
from lookalike.extras import extra_wanted
from lookalike.types import several

if TYPE_CHECKING:
    from lookalike.models.quantization import QuantizationLoss


@dataclass(frozen=True, slots=True)
class Exported:
    """Result of an export.

    Attributes:
        file: Path of the ONNX file.
        least_cosine: Smallest cosine between the embeddings of the file and of the checkpoint over the photos or
            texts of the check, of int8 photos that it was not calibrated with, in [-1, 1]; None for a finder.
        largest_difference: For a finder, and for a model with labels: largest difference between the scores or
            class probabilities of the file and of the checkpoint, in [0, 1]; else None.
        loss: For int8: what it costs, on photos that it was not calibrated with; else None.
    """

    file: Path
    least_cosine: float | None = None
    largest_difference: float | None = None
    loss: QuantizationLoss | None = None


def export(
    checkpoint: str | os.PathLike[str],
    onnx: str | os.PathLike[str],
    *,
    half: bool = False,
    int8: bool = False,
    calibrate: str | os.PathLike[str] | None = None,
    labels: str | Sequence[str] = (),
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
) -> Exported:
    """Write a checkpoint as an ONNX file for searching.

    Args:
        checkpoint: A `.safetensors` file of a training run.
        onnx: File to write atomically; its folder is created if missing.
        half: Store weights in 16 bits: half the size, the same speed.
        int8: Quantise to 8-bit integers: a quarter of the size, and faster.
        calibrate: Catalogue or folder of photos for the check, of which None is the drawn sample, and for `int8`, which
            needs one: up to 128 photos set its ranges, and its loss is measured on up to 256 others.
        labels: Class heads whose probabilities the file gives beside the embedding, such as `["kind", "colour"]`;
            answers then say what a query photo shows.
        columns: Columns of a table of photos by the standard names.
        encoding: Encoding of such a CSV table that is not UTF-8, such as `cp1252`.

    Raises:
        UsageError: The checkpoint does not exist, there are no photos, both `half` and `int8` are set, or `int8` has no
            photos to be calibrated with.
        UnknownNameError: The checkpoint has no such head.
        LookalikeError: The embeddings or probabilities differ from PyTorch's, or `int8` keeps less than half of the
            nearest neighbours.
        MissingExtraError: A package that exporting needs is not installed.
    """
    path, file = Path(checkpoint), Path(onnx)
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    with extra_wanted("export", "train"):
        from lookalike.models.export import export_onnx
        from lookalike.models.finder.checkpoint import is_finder
        from lookalike.models.finder.export import export_finder
        from lookalike.models.text.checkpoint import is_text_encoder
        from lookalike.models.text.export import export_text_encoder
    if calibrate is None and (columns or encoding):
        raise UsageError("columns and encoding belong to the table of photos that is named by calibrate")
    if (finder := is_finder(path)) or is_text_encoder(path):
        if int8 or calibrate is not None or labels:
            raise UsageError(
                f"a {'finder' if finder else 'text encoder'} is exported whole or with half; "
                "int8, calibrate and labels are for models of photos"
            )
        if finder:
            return Exported(file, largest_difference=export_finder(path, file, half=half))
        return Exported(file, least_cosine=export_text_encoder(path, file, half=half))
    photos = None if calibrate is None else os.fspath(calibrate)
    least, apart, loss = export_onnx(
        path,
        file,
        fp16=half,
        int8=int8,
        calibrate=photos,
        columns=columns,
        encoding=encoding,
        labels=list(dict.fromkeys(several(labels))),
    )
    return Exported(file, least_cosine=least, largest_difference=apart, loss=loss)
