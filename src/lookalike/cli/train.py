"""`lookalike train` and `lookalike export`: what needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from lookalike.cli.console import say, write
from lookalike.cli.progress import progress_of
from lookalike.errors import MissingExtraError, UsageError


def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The settings of the run.")],
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting; may be repeated.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="DIR", help="Go on from the last checkpoint of a run.")
    ] = None,
) -> None:
    """Train a model on catalogues with labels."""
    if not config.is_file():
        raise UsageError(f"{config}: no such file")
    if resume is not None and not resume.is_dir():
        raise UsageError(f"{resume}: no such folder")
    with told_what_is_missing("training"):
        from lookalike.training.loop import train as run
    try:
        with progress_of("steps") as progress:
            best = run(config, overrides=override or [], resume=resume, progress=progress, report=say)
    except KeyboardInterrupt:
        say("stopped; --resume goes on from the last saved state")
        raise
    write(f"the best checkpoint: {best}")


def export(
    checkpoint: Annotated[Path, typer.Argument(metavar="CHECKPOINT", help="A .safetensors file that training wrote.")],
    onnx: Annotated[Path, typer.Option("--onnx", metavar="FILE", help="The file to write.")],
    int8: Annotated[bool, typer.Option("--int8", help="Store and compute with 8-bit integers.")] = False,
    calibrate: Annotated[
        str | None,
        typer.Option(
            "--calibrate",
            metavar="SOURCE",
            help="Photos to check the file with, and to find the ranges of --int8 by; else drawn ones.",
        ),
    ] = None,
) -> None:
    """Write a checkpoint as an ONNX file, which search uses."""
    if not checkpoint.is_file():
        raise UsageError(f"{checkpoint}: no such file")
    with told_what_is_missing("export"):
        from lookalike.models.export import export_onnx
    cosine = export_onnx(checkpoint, onnx, int8=int8, calibrate=calibrate)
    write(f"wrote {onnx}; least cosine to the checkpoint's own embeddings: {cosine:.6f}")


@contextmanager
def told_what_is_missing(what: str) -> Iterator[None]:
    """Say which extra to install when a library of training is not there; a bug of ours stays one.

    Raises:
        MissingExtraError: A library is not there.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "lookalike":
            raise
        raise MissingExtraError(what, "train") from error
