"""`lookalike gallery remodel`: a new model for a gallery that is served."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say_absent, say_skipped, write, write_json
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import Columns, Device, Encoding, Gallery, Json, Runtime, pairs
from lookalike.cli.progress import progress_of
from lookalike.counts import counted
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.tuning.remodelling.state import Remodelling


def remodel(
    gallery: Gallery,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="M", help="The new model, see `index`; several may be given."),
    ] = None,
    status: Annotated[bool, typer.Option("--status", help="Show what is staged and kept.")] = False,
    compare: Annotated[
        str | None,
        typer.Option("--compare", metavar="SOURCE", help="Measure both models on a catalogue, and compare them."),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", metavar="P", help="For --compare: see `evaluate`.")
    ] = None,
    column: Columns = None,
    encoding: Encoding = None,
    switch: Annotated[bool, typer.Option("--switch", help="Put the new vectors in place, in one commit.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Put the vectors from before the last switch in place.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Delete staged and kept vectors.")] = False,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Give a gallery a new model while the old one serves.

    With --model, all photos are embedded aside; run it again to go on after a stop, and to follow changes.
    """
    from lookalike.tuning.remodelling import remodel as steps

    chosen = [bool(model), status, compare is not None, switch, back, drop]
    if sum(chosen) != 1:
        raise UsageError("give one of --model M, --status, --compare SOURCE, --switch, --back and --drop")
    if compare is None and (column or encoding):
        raise UsageError("--column and --encoding belong to the table of --compare SOURCE")
    if compare is not None:
        return _compare(
            gallery,
            compare,
            protocol=protocol,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            runtime=runtime,
            device=device,
            json=json,
        )
    with progress_of("items") as tell:
        if model:
            state = steps.remodel(gallery, model, runtime=runtime, device=device, progress=tell)
        elif switch or back:
            state = steps.switch(gallery, back=back, runtime=runtime, device=device, progress=tell)
        else:
            state = steps.drop(gallery) if drop else steps.remodelling_state(gallery)
    return _present(state, json=json)


def _present(state: Remodelling, *, json: bool) -> int:
    if json:
        write_json(state.to_json())
    else:
        write(f"in place: {' and '.join(state.model_ids)}, {counted(state.items, 'item')}")
        if state.staged is not None:
            models = " and ".join(state.staged_ids)
            write(f"staged: {models}, {counted(state.staged, 'item')}, {state.staged_bytes / 1e6:,.1f} MB")
        if state.kept_ids:
            write(f"kept from before: {' and '.join(state.kept_ids)}, {state.kept_bytes / 1e6:,.1f} MB")
    say_skipped([f"{item_id}: {reason}" for item_id, reason in state.unreadable])
    return SOME_SKIPPED if state.unreadable else 0


def _compare(
    gallery: str,
    source: str,
    *,
    protocol: str | None,
    columns: Mapping[str, str],
    encoding: str | None,
    runtime: str,
    device: str,
    json: bool,
) -> int:
    """Measure the gallery and what is staged on a catalogue; A is the gallery, B the new model."""
    from lookalike.cli.evaluate import show_comparison
    from lookalike.evaluation.comparison import compare_evaluations
    from lookalike.evaluation.evaluate import evaluate
    from lookalike.tuning.remodelling.remodel import staged_address

    staged, absent = staged_address(gallery), list[str]()
    with TemporaryDirectory(prefix="lookalike-compare-") as folder:
        reports = [Path(folder) / "present", Path(folder) / "staged"]
        for address, report in zip((gallery, staged), reports, strict=True):
            with progress_of("photos") as tell:
                measured = evaluate(
                    source,
                    gallery=address,
                    protocol=protocol,
                    columns=columns,
                    encoding=encoding,
                    runtime=runtime,
                    device=device,
                    report=report,
                    progress=tell,
                )
            absent += measured.skipped
        found = replace(compare_evaluations(*reports), a=gallery, b=staged)
    show_comparison(found, json=json)
    say_absent(list(dict.fromkeys(absent)))
    return SOME_SKIPPED if absent else 0
