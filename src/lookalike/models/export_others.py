"""The public export functions for models of others; PyTorch and ONNX are imported when they are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.errors import UsageError
from lookalike.extras import extra_wanted
from lookalike.models.preprocessing import Fit, Interpolation, Preprocessing, make_preprocessing


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


def export_clip(
    pretrained: str | os.PathLike[str],
    onnx: str | os.PathLike[str],
    *,
    open_clip: str | None = None,
    half: bool = False,
    fit: Fit | None = None,
    short_side: int | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    interpolation: Interpolation | None = None,
) -> ExportedOther:
    """Write an image and text model, such as CLIP or SigLIP, as a photo model and a text encoder beside it.

    Args:
        pretrained: File of weights in open_clip's layout, or a folder of open_clip (`open_clip_config.json`) or of
            Hugging Face (`config.json` of a CLIPModel or SiglipModel).
        onnx: File of the photo model to write; the text encoder of `shop.onnx` is `shop.text.onnx`.
        open_clip: Name of the open_clip model of a file, such as `ViT-B-32`; a folder describes its model itself.
        half: Store weights in 16 bits: half the size, the same speed.
        fit: Fit of photos, if it differs from the model's description: `crop`, `stretch` or `pad`.
        short_side: Short side before a crop, in pixels.
        mean: Mean of each channel, or of all, for values in [0, 1].
        std: Standard deviation of each channel, or of all, for values in [0, 1].
        interpolation: Filter of resizing: `bilinear` or `bicubic`.

    Raises:
        UsageError: What was given does not fit together.
        UnknownNameError: open_clip has no model of that name.
        ModelError: A file is missing, damaged, or does not fit the model.
        LookalikeError: The embeddings of a new file differ from PyTorch's.
        MissingExtraError: A package that exporting needs is not installed.
    """
    with extra_wanted("export", "train"):
        from lookalike.models.clip.export import export_pair
        from lookalike.models.clip.source import open_source
    source = open_source(Path(pretrained), model=open_clip)
    described = source.preprocessing
    changed = make_preprocessing(
        size=(described.height, described.width),
        fit=fit or described.fit,
        mean=described.mean if mean is None else mean,
        std=described.std if std is None else std,
        interpolation=interpolation or described.interpolation,
        short_side=short_side or (described.short_side if fit in (None, "crop") else 0),
    )
    made = export_pair(replace(source, preprocessing=changed), Path(onnx), half=half)
    return ExportedOther(Path(onnx), made.model_id, changed, made.least_cosine, made.text_file, made.without_text)


def export_image_encoder(
    encoder: str | os.PathLike[str],
    onnx: str | os.PathLike[str],
    *,
    fit: Fit,
    mean: float | Sequence[float],
    std: float | Sequence[float],
    size: int | Sequence[int] | None = None,
    short_side: int | None = None,
    interpolation: Interpolation | None = None,
    output: str | None = None,
) -> ExportedOther:
    """Write an ONNX image encoder of others as a photo model.

    Args:
        encoder: ONNX file with one input (B, 3, H, W) float32, of RGB, and an output (B, D).
        onnx: File to write atomically; its folder is created if missing.
        fit: Fit of photos to its input: `crop`, `stretch` or `pad`.
        mean: Mean of each channel, or of all, for values in [0, 1].
        std: Standard deviation of each channel, or of all, for values in [0, 1].
        size: Side of the input, or height and width, in pixels; None is what the file declares.
        short_side: Short side before a crop, in pixels; None is the longer side of the input.
        interpolation: Filter of resizing: `bilinear` or `bicubic`; None is `bilinear`.
        output: Name of the output; None for the only one.

    Raises:
        UsageError: The size is missing, or the output must be named.
        UnknownNameError: It has no such output, or there is no such fit or interpolation.
        ModelError: The file is not ONNX, too large, or has other inputs or outputs than those.
        LookalikeError: The embeddings of the new file differ from the encoder's.
        MissingExtraError: A package that exporting needs is not installed.
    """
    with extra_wanted("export", "train"):
        from lookalike.models.image_encoder import export_encoder, input_size
    size = size or input_size(Path(encoder))
    if size is None:
        raise UsageError(f"{encoder}: it takes images of any size; give one with --size")
    preprocessing = make_preprocessing(
        size=size,
        fit=fit,
        mean=mean,
        std=std,
        interpolation=interpolation or "bilinear",
        short_side=short_side or 0,
    )
    model_id, least = export_encoder(Path(encoder), Path(onnx), preprocessing, output=output)
    return ExportedOther(Path(onnx), model_id, preprocessing, least)
