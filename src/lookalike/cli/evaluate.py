"""`lookalike evaluate`: evaluate a gallery by a protocol, or compare two reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lookalike.cli.console import say, say_absent, say_skipped, write_json, write_table
from lookalike.cli.exit_codes import SOME_SKIPPED
from lookalike.cli.given_options import check_given, check_without
from lookalike.cli.options import (
    K1,
    K2,
    Alpha,
    Apart,
    Columns,
    Device,
    Encoding,
    FinderFile,
    Json,
    Metrics,
    Photos,
    Runtime,
    Trust,
    Unknown,
    Weights,
    Where,
    numbers,
    pairs,
)
from lookalike.cli.progress import progress_of
from lookalike.cli.ray_option import Ray
from lookalike.counts import counted
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.evaluation.comparison import Comparison
    from lookalike.evaluation.evaluate import Evaluation


OF_TABLES: Final = ("format", "figures", "published", "cross_domain")
"""Options of `--table` alone."""

OF_GARMENTS: Final = ("source", "model", "protocol", "where", "column", "encoding", "json")
"""What the protocol `garments` takes."""


def evaluate(
    context: typer.Context,
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="Folder, table or root of a published benchmark, with labels."),
    ] = None,
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="G", help="Gallery whose vectors are measured.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="M",
            help="Model to embed the photos with, in place of --gallery: `default`, a file, or an encoder of others by "
            "its name or folder, such as timm:resnet50.a1_in1k; may be repeated.",
        ),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="P",
            help="Protocol: of a published benchmark (inshop, consumer2shop, attributes, deepfashion2, street2shop, "
            "sop, cub, fashioniq, fashion200k), product, grades=a,b,c, classes=a,b, words=a,b,c, changed-words=a,b,c "
            "or garments.",
        ),
    ] = None,
    weight: Weights = None,
    metric: Metrics = None,
    where: Where = None,
    apart: Apart = None,
    unknown: Unknown = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="NAME", help="Attribute to break the figures down by.")
    ] = None,
    text_weight: Annotated[
        float | None,
        typer.Option(
            "--text-weight",
            metavar="W",
            help="For changed-words, fashioniq and fashion200k: weight of the words beside a photo, from 0 (the photo "
            "alone) to 1; 0.5 if it is not given.",
        ),
    ] = None,
    resample: Annotated[
        str, typer.Option("--resample", metavar="WHAT", help="What the intervals resample: query or product.")
    ] = "query",
    k: Annotated[
        int | None,
        typer.Option("-k", "--k", metavar="K", help="Search as it is served: number of matches of a search."),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option("--index", metavar="NAME", help="Search as it is served: index, as of lookalike search."),
    ] = None,
    probes: Annotated[
        int | None, typer.Option("--probes", metavar="N", help="Number of lists that kmeans or ivf search.")
    ] = None,
    expand: Annotated[
        int,
        typer.Option("--expand", metavar="N", help="Search as it is served: query expansion, as of lookalike search."),
    ] = 0,
    alpha: Alpha = None,
    rerank: Annotated[
        int, typer.Option("--rerank", metavar="N", help="Search as it is served: re-ranking, as of lookalike search.")
    ] = 0,
    k1: K1 = None,
    k2: K2 = None,
    trust: Trust = None,
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="product", help="Search as it is served: products, each by its best photo."),
    ] = None,
    column: Columns = None,
    encoding: Encoding = None,
    boxes: Annotated[
        str | None,
        typer.Option(
            "--boxes",
            metavar="true|false|MARGIN|found",
            help="Crop photos to their boxes, use whole photos, crop with a margin such as 0.1 of the box on each "
            "side, or to the boxes that a finder finds in their place; true if it is not given, except where the "
            "papers of a benchmark use whole photos.",
        ),
    ] = None,
    finder: FinderFile = None,
    photos: Photos = None,
    runtime: Runtime = "auto",
    device: Device = "auto",
    ray: Ray = None,
    json: Json = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Folder for a report: figures, plots and a page.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option("--compare", metavar="A B", help="Compare two report folders.")
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            "--table",
            metavar="NAME=DIR",
            help="Print a table of report folders; may be repeated, with the same NAME for several seeds of a method.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option("--format", metavar="F", help="Format of --table: markdown, latex or csv. [default: markdown]"),
    ] = None,
    figures: Annotated[
        str | None,
        typer.Option("--figures", metavar="M,M", help="Columns of --table; by default those of the protocol's papers."),
    ] = None,
    cross_domain: Annotated[
        bool,
        typer.Option(
            "--cross-domain",
            help="For --table: a column for each data set of the reports, and what each model was trained on.",
        ),
    ] = False,
    published: Annotated[
        str | None,
        typer.Option(
            "--published",
            metavar="FILE",
            help="Published figures beside those of --table: a TOML file, or `default` for that of the package.",
        ),
    ] = None,
) -> int:
    """Measure how good the answers are."""
    if compare is not None:
        check_given(context, "--compare", takes=("compare", "resample", "json"))
        from lookalike.evaluation.comparison import compare_evaluations

        return show_comparison(compare_evaluations(*compare, resample=resample), json=json)
    if table:
        check_given(context, "--table", takes=("table", "json", *OF_TABLES))
        from lookalike.cli.evaluation_table import show_table

        return show_table(
            table, format=format, figures=figures, published=published, cross_domain=cross_domain, json=json
        )
    check_without(context, "--table", needed_by=OF_TABLES)
    if source is None:
        raise UsageError("name a SOURCE to measure on, or two report folders: --compare A B")
    from lookalike.evaluation.garment_evaluation import asks_for_garments

    if asks_for_garments(protocol):
        check_given(context, "the protocol 'garments'", takes=OF_GARMENTS)
        return _garments(
            source,
            models=model or (),
            protocol=protocol or "",
            where=where,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            json=json,
        )
    if (gallery is None) == (not model):
        raise UsageError("give either --gallery G, whose vectors are measured, or --model M to embed the photos with")
    from lookalike.catalogue.boxes import parse
    from lookalike.evaluation.evaluate import evaluate as measure
    from lookalike.evaluation.found_boxes import FOUND

    in_words = (protocol or "").startswith(("words", "changed-words", "fashioniq", "fashion200k"))
    searches = in_words or any((k, index, probes, expand, rerank, group))
    with progress_of("photos, then queries" if searches else "photos") as tell:
        found = measure(
            source,
            gallery=gallery,
            model=model,
            protocol=protocol,
            weights=numbers(weight, option="--weight") or None,
            metrics=pairs(metric, option="--metric") or None,
            where=where,
            apart=apart or (),
            unknown=unknown or (),
            by=by,
            text_weight=text_weight,
            resample=resample,
            k=k,
            index=index,
            probes=probes,
            expand=expand,
            alpha=alpha,
            rerank=rerank,
            k1=k1,
            k2=k2,
            trust=trust,
            group=group,
            columns=pairs(column, option="--column"),
            encoding=encoding,
            boxes=boxes if boxes in (None, FOUND) else parse(boxes),
            finder=finder,
            photos=photos,
            runtime=runtime,
            device=device,
            ray=ray,
            report=report,
            progress=tell,
        )
    return _present(found, json=json, report=report)


def _present(found: Evaluation, *, json: bool, report: Path | None) -> int:
    """Print the figures, the skipped photos, and the report folder."""
    from lookalike.evaluation.metric_values import said

    summary = found.to_json()
    if json:
        write_json(summary)
    else:
        about = f"{summary['queries']:,} queries" + (
            f", gallery of {summary['gallery']:,}" if summary["gallery"] else ""
        )
        searched = f"; searches: {said(found.search)}" if found.search else ""
        say(f"{summary['protocol']}: {about}; model {found.model}; weights: {_weights(found.weights)}{searched}")
        write_table(_columns(summary["metrics"]), right=("value",))
    for note in found.metric_values.notes:
        say(note)
    say_absent(found.skipped)
    if report is not None:
        say(f"wrote {report}/report.md")
    return SOME_SKIPPED if found.skipped else 0


def _garments(
    source: str,
    *,
    models: Sequence[str],
    protocol: str,
    where: str | None,
    columns: Mapping[str, str],
    encoding: str | None,
    json: bool,
) -> int:
    """Measure a finder, and show the figures."""
    if len(models) > 1:
        raise UsageError("the protocol 'garments' measures one finder: --model FINDER.onnx")
    from lookalike.evaluation.garment_evaluation import evaluate_garments

    with progress_of("photos") as tell:
        found = evaluate_garments(
            source,
            model=models[0] if models else None,
            protocol=protocol,
            where=where,
            columns=columns,
            encoding=encoding,
            progress=tell,
        )
    if json:
        write_json(found.to_json())
    else:
        garments = counted(sum(found.figures.garments.values()), "garment")
        say(f"garments: {counted(found.photos, 'photo')}, {garments}; {found.model}")
        figures = found.figures.flat()
        values = [f"{value:.4f}" for value in figures.values()]
        write_table({"metric": list(figures), "value": values}, right=("value",))
    say_skipped(found.skipped)
    return SOME_SKIPPED if found.skipped else 0


def _columns(metrics: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """Table columns of the figures."""
    figures = list(metrics.values())
    return {
        "metric": list(metrics),
        "value": [f"{figure['value']:.4f}" for figure in figures],
        "95 % interval": ["{:.4f} to {:.4f}".format(*figure["interval"]) for figure in figures],
    }


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight) or "none"


def show_comparison(found: Comparison, *, json: bool) -> int:
    """Print the comparison of two evaluations."""
    if json:
        write_json(found.to_json())
        return 0
    say(found.caption)
    figures = list(found.metrics.values())
    columns: dict[str, Sequence[str]] = {
        "metric": list(found.metrics),
        "A": [f"{figure.a:.4f}" for figure in figures],
        "B": [f"{figure.b:.4f}" for figure in figures],
        "B - A": [f"{figure.difference:+.4f}" for figure in figures],
        "95 % interval": [f"{figure.interval[0]:+.4f} to {figure.interval[1]:+.4f}" for figure in figures],
        "p": [f"{figure.p_value:.4f}" for figure in figures],
    }
    write_table(columns, right=("A", "B", "B - A", "p"))
    return 0
