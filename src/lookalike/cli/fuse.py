"""`lookalike fuse`: learn the weights of a gallery's spaces from photos with labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lookalike.cli.console import say, write, write_json
from lookalike.cli.options import Columns, Device, Encoding, Gallery, Json, Models, Runtime, Where, pairs
from lookalike.cli.progress import progress_of
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lookalike.tuning.weight_learning import Fusion, HeldOutFigure


def fuse(
    gallery: Gallery,
    source: Annotated[str | None, typer.Argument(metavar="SOURCE", help="A folder or table, with labels.")] = None,
    grades: Annotated[
        str | None, typer.Option("--grades", metavar="A,B,C", help="Attributes that should agree, the leading first.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option("--protocol", metavar="P", help="Instead: inshop, consumer2shop, product, grades=a,b.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="What to make large, such as hit_rate@1.")
    ] = None,
    where: Where = None,
    apart: Annotated[
        list[str] | None,
        typer.Option("--apart", metavar="NAME", help="Photos of one value never answer each other; may be repeated."),
    ] = None,
    unknown: Annotated[
        list[str] | None,
        typer.Option("--unknown", metavar="VALUE", help="A value that says nothing, beside NA; may be repeated."),
    ] = None,
    column: Columns = None,
    encoding: Encoding = None,
    keep: Annotated[
        str, typer.Option("--keep", metavar="WHEN", help="Keep the weights: gain (if it is certain), always or never.")
    ] = "gain",
    reset: Annotated[bool, typer.Option("--reset", help="Forget what was learned, and do nothing else.")] = False,
    model: Models = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
) -> None:
    """Learn how much each space should weigh; searches without --weight use it from then on."""
    import lookalike

    shop = lookalike.open(gallery, model=model, runtime=runtime, device=device)
    if reset:
        from lookalike.tuning.weights import forget_weights

        forget_weights(shop)
        say("forgotten; searches take the default weights again")
        return
    if source is None:
        raise UsageError("name a SOURCE with labels to learn from, or --reset to forget what was learned")
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


def protocol_of(grades: str | None, protocol: str | None) -> str:
    """Protocol from one of its two options.

    Raises:
        UsageError: It is given in both, or in none.
    """
    if (grades is None) == (protocol is None):
        raise UsageError("say what is right by either --grades A,B,C or --protocol P")
    return protocol if grades is None else f"grades={grades}"  # type: ignore[return-value]  # one of them is given


def present(fusion: Fusion, *, gallery: str) -> None:
    """Print the weights and their gain."""
    write(
        f"{fusion.protocol}: learned on {fusion.learned_on:,} queries, judged by {fusion.judged_by:,} others, "
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
        write(f"kept: searches in {gallery} take the learned weights from now on")
    else:
        write("not kept: searches go on with the weights until now")


def weights_in_words(weights: Mapping[str, float]) -> str:
    """Format spaces and weights in one line."""
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items())
