"""The public export function for models of others; PyTorch and ONNX are imported when it is called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lookalike.errors import ModelError, UsageError
from lookalike.extras import extra_wanted
from lookalike.models.onnx_file import OutputPooling
from lookalike.models.preprocessing import (
    Fit,
    Interpolation,
    Preprocessing,
    PreprocessingChanges,
    make_preprocessing,
)

if TYPE_CHECKING:
    from lookalike.models.clip.source import Source
    from lookalike.models.encoders.encoder import ImageEncoder

LIBRARIES: Final = ("timm", "torchvision", "open_clip", "hf-hub")
"""Beginnings of names, before a colon."""

EXPECTED: Final = (
    "expected timm:NAME, torchvision:NAME, open_clip:NAME, hf-hub:OWNER/NAME, a folder of a model, an .onnx file, or a "
    ".safetensors checkpoint of a training run"
)


def is_other(model: str) -> bool:
    """Return whether a model is one of others by its name: that of a library, a folder, or an ONNX file."""
    return model.partition(":")[0] in LIBRARIES or model.endswith(".onnx") or Path(model).is_dir()


@dataclass(frozen=True, slots=True)
class ExportedOther:
    """Result of the export of a model of others.

    Attributes:
        file: Path of the photo model's ONNX file.
        model_id: Its name and short fingerprint, such as `ViT-B-32@9f3c21ab`.
        preprocessing: Its preprocessing of photos.
        least_cosine: Smallest cosine between the embeddings of the new files and of the original, in [-1, 1].
        text_file: Path of the text encoder's ONNX file; None if there is none.
        without_text: Why there is no text encoder, for a model that could have one; else empty.
    """

    file: Path
    model_id: str
    preprocessing: Preprocessing
    least_cosine: float
    text_file: Path | None = None
    without_text: str = ""


def export_encoder(
    model: str | os.PathLike[str],
    onnx: str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = None,
    half: bool = False,
    size: int | Sequence[int] | None = None,
    fit: Fit | None = None,
    short_side: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    interpolation: Interpolation | None = None,
    output: str | None = None,
    pooling: OutputPooling | None = None,
) -> ExportedOther:
    """Write an image encoder of others as a photo model; of an image and text model, the text encoder beside it.

    Args:
        model: `timm:NAME`, `torchvision:NAME`, `open_clip:NAME`, or `hf-hub:OWNER/NAME` of the Hugging Face hub; or a
            folder of open_clip, Hugging Face or timm; or an ONNX file with one input (B, 3, H, W) float32 of RGB.
        onnx: File to write atomically; its folder is created if missing. The text encoder of `shop.onnx` is
            `shop.text.onnx`.
        weights: For a name: file of weights, or the name of published ones, as torchvision's `IMAGENET1K_V1` and
            open_clip's `laion2b_s34b_b79k`; None downloads timm's and torchvision's default.
        half: Store weights in 16 bits: half the size, the same speed.
        size: Side of the input, or height and width, in pixels; None is that of the model.
        fit: Fit of photos: `crop`, `stretch` or `pad`; an ONNX file has none of its own, nor a mean or deviation.
        short_side: Short side before a crop, in pixels.
        mean: Mean of each channel, or of all, for values in [0, 1].
        std: Standard deviation of each channel, or of all, for values in [0, 1].
        interpolation: Filter of resizing: `bilinear` or `bicubic`; `bilinear` for an ONNX file, if it is not given.
        output: Output of an ONNX file; None for the only one.
        pooling: Pooling of an output of an ONNX file that has tokens (B, N, C) or maps (B, C, h, w): `average`, or of
            tokens `cls`, the first; None for rows (B, D).

    Raises:
        UsageError: What was given does not fit together, or a part of the description of an ONNX file is missing.
        UnknownNameError: There is no such model, tag of weights, output, fit or interpolation.
        ModelError: A file is missing, damaged, cannot be fetched, or does not fit the model.
        LookalikeError: The embeddings of a new file differ from those of the original.
        MissingExtraError: A package that exporting needs is not installed.
    """
    name, file = os.fspath(model), Path(onnx)
    changes = PreprocessingChanges(size, fit, short_side, mean, std, interpolation)
    chosen = None if weights is None else os.fspath(weights)
    library, _, of_library = name.partition(":")
    if library not in LIBRARIES and chosen is not None:
        raise UsageError(f"{name}: weights are for a model that is named, such as timm:resnet50; leave --weights out")
    with extra_wanted("export", "train"):
        if name.endswith(".onnx"):
            return _onnx_file(Path(name), file, changes, half=half, output=output, pooling=pooling)
        if output is not None or pooling is not None:
            raise UsageError(f"{name}: an output and its pooling are chosen of an ONNX file only; leave them out")
        if library == "timm":
            from lookalike.models.encoders.timm_encoder import timm_encoder

            return _written(timm_encoder(of_library, weights=chosen, changes=changes), file, half=half)
        if library == "torchvision":
            from lookalike.models.encoders.torchvision_encoder import torchvision_encoder

            return _written(torchvision_encoder(of_library, weights=chosen, changes=changes), file, half=half)
        if library == "open_clip":
            from lookalike.models.clip.source import named_source

            return _pair(named_source(of_library, weights=chosen), file, changes, half=half)
        if library == "hf-hub":
            from lookalike.models.hub import hub_folder

            if chosen is not None:
                raise UsageError(f"{name}: a model of the hub has its weights beside it; leave --weights out")
            return _of_folder(hub_folder(of_library), file, changes, name=of_library.rpartition("/")[2], half=half)
        folder = Path(name)
        if not folder.is_dir():
            raise ModelError(f"{name}: {'not a model' if folder.exists() else 'no such file or folder'}; {EXPECTED}")
        return _of_folder(folder, file, changes, name=folder.absolute().name, half=half)


def _of_folder(folder: Path, file: Path, changes: PreprocessingChanges, *, name: str, half: bool) -> ExportedOther:
    from lookalike.models.clip.source import folder_source
    from lookalike.models.encoders.folder import encoder_of_folder

    encoder = encoder_of_folder(folder, name=name, changes=changes)
    if encoder is not None:
        return _written(encoder, file, half=half)
    return _pair(folder_source(folder, name=name), file, changes, half=half)


def _pair(source: Source, file: Path, changes: PreprocessingChanges, *, half: bool) -> ExportedOther:
    from lookalike.models.clip.export import export_pair

    if changes.size is not None:
        raise UsageError(f"{source.name}: an image and text model takes photos of its own size only; leave --size out")
    changed = changes.applied(source.preprocessing)
    made = export_pair(replace(source, preprocessing=changed), file, half=half)
    return ExportedOther(file, made.model_id, changed, made.least_cosine, made.text_file, made.without_text)


def _written(encoder: ImageEncoder, file: Path, *, half: bool) -> ExportedOther:
    from lookalike.models.encoders.export import export_module

    model_id, least = export_module(encoder, file, half=half)
    return ExportedOther(file, model_id, encoder.preprocessing, least)


def _onnx_file(
    encoder: Path, file: Path, changes: PreprocessingChanges, *, half: bool, output: str | None, pooling: str | None
) -> ExportedOther:
    from lookalike.models.image_encoder import export_graph, input_size

    if half:
        raise UsageError(f"{encoder}: an ONNX file keeps the precision of its weights; leave --half out")
    missing = [f"--{part}" for part in ("fit", "mean", "std") if getattr(changes, part) is None]
    if missing:
        raise UsageError(f"{encoder}: what the encoder expects is missing: {', '.join(missing)}")
    size = changes.size or input_size(encoder)
    if size is None:
        raise UsageError(f"{encoder}: it takes images of any size; give one with --size")
    preprocessing = make_preprocessing(
        size=list(size) if isinstance(size, Sequence) else size,
        fit=str(changes.fit),
        mean=changes.mean,
        std=changes.std,
        interpolation=changes.interpolation or "bilinear",
        short_side=changes.short_side or 0,
    )
    model_id, least = export_graph(encoder, file, preprocessing, output=output, pooling=pooling)
    return ExportedOther(file, model_id, preprocessing, least)
