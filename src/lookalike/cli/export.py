"""`lookalike export`: checkpoints and models of others as ONNX files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lookalike.cli.console import say, write
from lookalike.cli.options import Columns, Encoding, pairs
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.models.export_checkpoint import Exported
    from lookalike.models.export_others import ExportedOther


def export(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="Checkpoint of a training run (.safetensors); or a model of others: timm:NAME, torchvision:NAME, "
            "open_clip:NAME, hf-hub:OWNER/NAME, a folder of open_clip, Hugging Face or timm, or an .onnx file.",
        ),
    ],
    onnx: Annotated[str, typer.Option("--onnx", metavar="FILE", help="ONNX file to write.")],
    half: Annotated[
        bool, typer.Option("--half", help="Store weights as 16-bit floats: half the size, the same speed.")
    ] = False,
    int8: Annotated[bool, typer.Option("--int8", help="Store and compute with 8-bit integers.")] = False,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            metavar="SOURCE",
            help="Catalogue or folder of your photos, which --int8 is calibrated with and measured on; other files are "
            "checked with drawn photos by default.",
        ),
    ] = None,
    column: Columns = None,
    encoding: Encoding = None,
    labels: Annotated[
        str,
        typer.Option(
            "--labels",
            metavar="HEAD,HEAD",
            help="Class heads to include, such as kind,colour,gender; answers then say what a photo shows.",
        ),
    ] = "",
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="W",
            help="Weights of a named model: a file (.safetensors, or .pth, .pt and .bin of plain tensors), or the name "
            "of published ones, such as IMAGENET1K_V1; by default those of the library, which are downloaded.",
        ),
    ] = None,
    output: Annotated[
        str | None, typer.Option("--output", metavar="NAME", help="Output of an .onnx file that has several.")
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling",
            metavar="NAME",
            help="How tokens or maps of an .onnx file become a row: average, or of tokens cls, the first.",
        ),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="N", help="Side of the input in pixels, or HEIGHTxWIDTH."),
    ] = None,
    fit: Annotated[
        str | None, typer.Option("--fit", metavar="NAME", help="Fit of photos to the input: crop, stretch or pad.")
    ] = None,
    short_side: Annotated[
        int | None, typer.Option("--short-side", metavar="N", help="Short side of photos before --fit crop, in pixels.")
    ] = None,
    mean: Annotated[
        str | None, typer.Option("--mean", metavar="R,G,B", help="Mean of each channel, for values from 0 to 1.")
    ] = None,
    std: Annotated[
        str | None,
        typer.Option("--std", metavar="R,G,B", help="Standard deviation of each channel, for values from 0 to 1."),
    ] = None,
    interpolation: Annotated[
        str | None, typer.Option("--interpolation", metavar="NAME", help="bilinear or bicubic.")
    ] = None,
) -> None:
    """Export a checkpoint, or a model of others, as an ONNX file, which other commands take as --model."""
    from lookalike.models.export_checkpoint import export as export_checkpoint
    from lookalike.models.export_others import EXPECTED, is_other

    of_checkpoints: dict[str, Any] = {"--int8": int8, "--calibrate": calibrate, "--labels": labels}
    of_checkpoints |= {"--column": column, "--encoding": encoding}
    of_others = {"--weights": weights, "--output": output, "--size": size, "--fit": fit, "--short-side": short_side}
    of_others |= {"--pooling": pooling, "--mean": mean, "--std": std, "--interpolation": interpolation}
    if is_other(model):
        _refuse(of_checkpoints, what="a model of others")
        given: dict[str, Any] = {
            "size": _size(size),
            "fit": fit,
            "short_side": short_side,
            "mean": _numbers(mean, option="--mean"),
            "std": _numbers(std, option="--std"),
            "interpolation": interpolation,
            "pooling": pooling,
        }
        _export_other(model, onnx, weights=weights, half=half, output=output, given=given)
    elif not Path(model).exists():
        raise UsageError(f"{model}: no such file or folder; {EXPECTED}")
    else:
        _refuse(of_others, what="a checkpoint")
        heads = [head.strip() for head in labels.split(",") if head.strip()]
        made = export_checkpoint(
            model,
            onnx,
            half=half,
            int8=int8,
            calibrate=calibrate,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            labels=heads,
        )
        _present_checkpoint(made, photos=calibrate)


def _present_checkpoint(made: Exported, *, photos: str | None) -> None:
    checks = [
        (made.least_cosine, "least cosine to the checkpoint's own embeddings"),
        (made.largest_difference, "largest difference to the checkpoint's own scores"),
    ]
    write("; ".join([f"wrote {made.file}", *(f"{what}: {value:.6f}" for value, what in checks if value is not None)]))
    if made.loss is not None:
        loss = made.loss
        write(
            f"calibrated with {loss.calibrated} photos of {photos}; on {loss.measured} others it keeps "
            f"{loss.kept:.1%} of the {loss.neighbours} nearest neighbours, mean cosine {loss.mean_cosine:.4f}, least "
            f"{loss.least_cosine:.4f}" + (f"; {loss.unreadable} could not be read" if loss.unreadable else "")
        )
        if loss.warning:
            say(f"warning: {loss.warning}")


def _export_other(
    model: str, onnx: str, *, weights: str | None, half: bool, output: str | None, given: Mapping[str, Any]
) -> None:
    from lookalike.models.export_others import export_encoder

    made = export_encoder(model, onnx, weights=weights, half=half, output=output, **given)
    _write_model(made)
    if made.text_file is not None:
        write(f"wrote {made.text_file}, the text encoder of {made.model_id}")
    elif made.without_text:
        say(f"no text encoder, so photos only: {made.without_text}")


def _write_model(made: ExportedOther) -> None:
    steps = made.preprocessing
    mean, std = (", ".join(f"{value:.3g}" for value in values) for values in (steps.mean, steps.std))
    fit = f"{steps.fit} from {steps.short_side}" if steps.fit == "crop" else steps.fit
    write(f"wrote {made.file}, the photo model {made.model_id}; least cosine to the original: {made.least_cosine:.6f}")
    write(f"photos: {steps.height} x {steps.width}, {fit}, {steps.interpolation}, mean {mean}, deviation {std}")


def _refuse(options: Mapping[str, object], *, what: str) -> None:
    """Check that options of other models were not given.

    Raises:
        UsageError: One was given.
    """
    given = [name for name, value in options.items() if value not in (None, False, "")]
    if given:
        raise UsageError(f"{what} is exported without {', '.join(given)}")


def _numbers(text: str | None, *, option: str) -> list[float] | None:
    """Parse one number or several, such as `0.5` or `0.485,0.456,0.406`; a single one stands for all channels."""
    if text is None:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"{option} expects a number, or three such as 0.485,0.456,0.406, got {text!r}") from None
    return numbers * 3 if len(numbers) == 1 else numbers


def _size(text: str | None) -> list[int] | None:
    """Parse a side, or height and width, such as `224` or `256x192`."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if not all(side.isascii() and side.isdigit() for side in sides) or len(sides) > 2:
        raise UsageError(f"--size expects pixels, such as 224 or 256x192, got {text!r}")
    return [int(sides[0]), int(sides[-1])]
