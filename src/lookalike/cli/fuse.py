"""`lookalike fuse`: learn the weights of a gallery's spaces from photos with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, say_absent, write, write_json
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.options import (
    Apart,
    Columns,
    Device,
    Encoding,
    Gallery,
    Json,
    Models,
    Runtime,
    Unknown,
    Where,
    pairs,
)
from lookalike.cli.progress import progress_of
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.tuning.weight_learning import Fusion, HeldOutFigure


def fuse(
    gallery: Gallery,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="Folder or table with labels.")] = None,
    grades: Annotated[
        str | None,
        typer.Option(
            "--grades", metavar="A,B,C", help="Attributes in which right answers agree, most important first."
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol", metavar="P", help="Instead of --grades: inshop, consumer2shop, product, grades=a,b."
        ),
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Metric to maximise, such as hit_rate@1.")
    ] = None,
    where: Where = None,
    apart: Apart = None,
    unknown: Unknown = None,
    column: Columns = None,
    encoding: Encoding = None,
    keep: Annotated[
        str,
        typer.Option(
            "--keep", metavar="WHEN", help="When to store the weights: gain (if it is significant), always or never."
        ),
    ] = "gain",
    reset: Annotated[bool, typer.Option("--reset", help="Delete the learned weights, and do nothing else.")] = False,
    model: Models = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> int:
    """Learn the weights of the spaces. Later searches without --weight use them."""
    import lookalike

    shop = lookalike.open(gallery, model=model, runtime=runtime, device=device)
    if reset:
        from lookalike.tuning.weights import forget_weights

        deleted = forget_weights(shop)
        say("deleted; searches use the default weights again")
        if deleted is not None:
            say(ranking_deleted(deleted))
        return 0
    if source is None:
        raise UsageError("name a SOURCE with labels to learn from, or give --reset to delete the learned weights")
    from lookalike.tuning.weights import KEEP, learn_weights

    if keep not in KEEP:
        raise lookalike.UnknownNameError("value of --keep", keep, KEEP)
    with progress_of("photos and weightings") as tell:
        fusion = learn_weights(
            shop,
            source,
            protocol=protocol_of(grades, protocol),
            keep=keep,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            where=where,
            apart=apart or (),
            unknown=unknown or (),
            metric=metric,
            progress=lambda _, done, total: tell(done, total),
        )
    if json:
        write_json(fusion.to_json())
    else:
        present(fusion, gallery=gallery)
    say_absent(fusion.skipped)
    return SOME_SKIPPED if fusion.skipped else 0


def protocol_of(grades: str | None, protocol: str | None) -> str:
    """Protocol from --grades or --protocol.

    Raises:
        UsageError: Both are given, or neither.
    """
    if (grades is None) == (protocol is None):
        raise UsageError("give either --grades A,B,C or --protocol P")
    return protocol if grades is None else f"grades={grades}"  # type: ignore[return-value]  # one of them is given


def present(fusion: Fusion, *, gallery: str) -> None:
    """Print the learned weights and their gain."""
    write(
        f"{fusion.protocol}: learned on {fusion.learned_on:,} queries, measured on {fusion.judged_by:,} others, "
        f"gallery of {fusion.gallery:,}; {fusion.tried} weightings tried"
    )
    rows: dict[str, HeldOutFigure] = {"until now": fusion.before, "learned": fusion.after}
    rows |= {f"{name} alone": judged for name, judged in fusion.alone.items()}
    longest = max(map(len, rows))
    for name, row in rows.items():
        low, high = row.interval
        weights = f": {weights_in_words(row.weights)}" if row in (fusion.before, fusion.after) else ""
        write(f"{name:<{longest}}  {fusion.metric} {row.value:.4f}, {low:.4f} to {high:.4f}{weights}")
    low, high = fusion.gain_interval
    write(f"gain {fusion.gain:+.4f}, 95 % interval {low:+.4f} to {high:+.4f}")
    if fusion.kept:
        write(f"kept: searches in {gallery} use the learned weights from now on")
        if fusion.ranking_deleted is not None:
            say(ranking_deleted(fusion.ranking_deleted))
    else:
        write("not kept: searches use the weights from before")


def ranking_deleted(name: str) -> str:
    """Say that other weights deleted a learned ranking, in one line."""
    return f"the ranking {name} was learned with the other weights, and is deleted; `lookalike learn` learns a new one"


def weights_in_words(weights: Mapping[str, float]) -> str:
    """Format spaces and weights in one line."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
