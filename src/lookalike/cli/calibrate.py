"""`lookalike calibrate`: fit the relevance of a model to labelled photos."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say_skipped, write, write_json
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Columns, Device, Encoding, Json, Runtime, Where, pairs
from lookalike.cli.progress import progress_of

if TYPE_CHECKING:
    from lookalike.tuning.calibration import Calibrated


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="An .onnx file; or default, with --out.")],
    catalogue: Annotated[
        list[str], typer.Argument(metavar="CATALOGUE", help="Catalogue with kinds that is searched, or several.")
    ],
    queries: Annotated[
        list[str] | None,
        typer.Option("--queries", metavar="SOURCE", help="Catalogue of query photos with kinds; may be repeated."),
    ] = None,
    kind: Annotated[str, typer.Option("--kind", metavar="ATTRIBUTE", help="Attribute with the kind.")] = "kind",
    column: Columns = None,
    encoding: Encoding = None,
    where: Where = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="ONNX file to write instead of changing the model's.")
    ] = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Fit the relevance of matches, and the confidence of labels, to photos that the model was not trained on."""
    from lookalike.tuning.calibration import calibrate as fit

    with progress_of("photos") as progress:
        made = fit(
            model,
            catalogue,
            queries=queries or (),
            kind=kind,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            where=where,
            out=out,
            runtime=runtime,
            device=device,
            progress=progress,
        )
    say_skipped(made.skipped)
    if json:
        write_json(made.to_json())
    else:
        present(made)
    return SOME_SKIPPED if made.skipped else 0


def present(made: Calibrated) -> None:
    """Print what was fitted, and how well."""
    for name, fitted in (("photo", made.photo), ("item", made.item)):
        steps = "; with steps" if fitted.curve.steps else ""
        write(
            f"relevance by {name}: calibration error {fitted.error:.3f} on held-out queries "
            f"({fitted.queries:,} queries, {fitted.pairs:,} pairs, {fitted.same:.0%} of the same kind){steps}"
        )
        if len(fitted.errors) > 1:
            for source, error in fitted.errors.items():
                write(f"  of {source}: {error:.3f}")
    for head, each in made.heads.items():
        write(
            f"{head}: temperature {each.temperature:.2f}, calibration error {each.error:.3f}, "
            f"before {each.error_before:.3f} ({each.photos:,} photos)"
        )
    if made.no_garment:
        write(
            f"taken for photos without a garment: {made.no_garment['nothing']:.1%} of those, "
            f"{made.no_garment['garments']:.1%} of the others"
        )
    write(f"wrote {made.file}")
