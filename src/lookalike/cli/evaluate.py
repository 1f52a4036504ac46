"""`lookalike evaluate`: how good the answers are, by a protocol; and two such runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lookalike.cli.console import say, write_json, write_table
from lookalike.cli.options import Columns, Device, Encoding, Json, Runtime, Where, WholePhotos, numbers, pairs
from lookalike.cli.progress import progress_of
from lookalike.errors import UsageError

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.evaluation.measured import Measured
    from lookalike.evaluation.ranking import Outcome
    from lookalike.evaluator import Described
    from lookalike.types import Item

SOME_SKIPPED = 3
REASONS_SHOWN = 5


def evaluate(
    source: Annotated[
        str | None, typer.Argument(metavar="SOURCE", help="A folder, table or DeepFashion root, with labels.")
    ] = None,
    gallery: Annotated[
        str | None, typer.Option("--gallery", "-g", metavar="G", help="Take the vectors from this gallery.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option("--model", metavar="M", help="Describe the photos now, by this model; may be repeated."),
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option("--protocol", metavar="P", help="inshop, consumer2shop, attributes, product or grades=a,b,c."),
    ] = None,
    weight: Annotated[
        list[str] | None, typer.Option("--weight", metavar="SPACE=W", help="Such as color=1; may be repeated.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", metavar="SPACE=NAME", help="A metric of SciPy's cdist.")
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
    by: Annotated[str | None, typer.Option("--by", metavar="NAME", help="Break the figures down by this.")] = None,
    column: Columns = None,
    encoding: Encoding = None,
    whole_photos: WholePhotos = False,
    runtime: Runtime = "auto",
    device: Device = "auto",
    json: Json = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Write figures, pictures and a page there.")
    ] = None,
    compare: Annotated[
        tuple[Path, Path] | None, typer.Option("--compare", metavar="A B", help="Two such folders, side by side.")
    ] = None,
) -> int:
    """Measure how good the answers are."""
    if compare is not None:
        if source is not None or gallery is not None or model:
            raise UsageError("--compare takes two folders of --report, and nothing else to measure")
        return _compare(*compare, json=json)
    if source is None:
        raise UsageError("name a SOURCE to measure on, or two reports: --compare A B")
    models = model or []
    if (gallery is None) == (not models):
        raise UsageError("give either --gallery G, whose vectors are measured, or --model M, which describes them now")
    from lookalike.catalogue.opening import open_catalogue
    from lookalike.evaluation.protocol import Protocol
    from lookalike.evaluation.task import UNKNOWN
    from lookalike.evaluator import measure_retrieval, selected

    catalogue = open_catalogue(
        source, columns=pairs(column, option="--column"), encoding=encoding, whole_photos=whole_photos
    )
    chosen = Protocol.parse(protocol) if protocol is not None else Protocol.usual(catalogue.benchmark)
    items = chosen.taking_part(selected(catalogue, where), catalogue.benchmark)
    if report is not None:
        check_folder(report)
    if chosen.name == "attributes":
        if len(models) != 1:
            raise UsageError("the protocol 'attributes' asks one model's class heads: --model CHECKPOINT")
        found = _classified(catalogue, items, Path(models[0]), device=device)
        return _present(found, source=source, json=json, report=report)
    if gallery is not None:
        described = _from_gallery(catalogue, items, gallery)
    else:
        described = _from_models(catalogue, items, models, runtime=runtime, device=device)
    outcome, weights = measure_retrieval(
        catalogue,
        items,
        described,
        protocol=chosen,
        weights=numbers(weight, option="--weight") or None,
        metrics=pairs(metric, option="--metric") or None,
        apart=apart or (),
        unknown=(*UNKNOWN, *(unknown or ())),
        category=by,
    )
    found = Found(outcome.measured, described.maker, weights, _absent(items, described), outcome, described)
    return _present(found, source=source, json=json, report=report)


@dataclass(frozen=True, slots=True)
class Found:
    """What was measured, and what is needed to show it.

    Attributes:
        measured: The figures.
        model: What made the vectors or the scores.
        weights: Of the spaces.
        skipped: Photos without vectors, a line each.
        outcome: The answers, where a gallery was asked.
        described: The vectors, where a gallery was asked.
    """

    measured: Measured
    model: str
    weights: dict[str, float]
    skipped: list[str]
    outcome: Outcome | None = None
    described: Described | None = None


def check_folder(folder: Path) -> None:
    """Refuse a place where no report could be written, before any work is done for it.

    Raises:
        UsageError: It is a file, or in no folder.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; a report is a folder")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent}: no such folder")


def _from_gallery(catalogue: Catalogue, items: Sequence[Item], address: str) -> Described:
    from lookalike.evaluator import described_by_gallery
    from lookalike.gallery.opening import open_gallery

    with closing(open_gallery(address)) as gallery:
        return described_by_gallery(items, gallery, source=catalogue.source)


def _from_models(
    catalogue: Catalogue, items: Sequence[Item], models: Sequence[str], *, runtime: str, device: str
) -> Described:
    from lookalike.embedding.deep import open_network
    from lookalike.embedding.photo import PhotoEmbedder
    from lookalike.evaluator import described_by_model

    embedder = PhotoEmbedder(*(open_network(model, runtime=runtime, device=device) for model in models))
    with progress_of("photos") as tell:
        return described_by_model(catalogue, items, embedder, progress=tell)


def _classified(catalogue: Catalogue, items: Sequence[Item], model: Path, *, device: str) -> Found:
    from lookalike.cli.train import told_what_is_missing
    from lookalike.evaluator import measure_classification

    if model.suffix in ("", ".onnx"):
        kinds = "a .safetensors checkpoint, or a .pth.tar of the original system,"
        raise UsageError(f"only {kinds} has class heads to ask for 'attributes', got {model}")
    with told_what_is_missing("class scores"):
        from lookalike.models.classifying import Classifier
    classifier = Classifier(model, device=device)
    with progress_of("photos") as tell:
        measured, reasons = measure_classification(catalogue, items, classifier, progress=tell)
    return Found(measured, classifier.maker, {}, list(reasons.values()))


def _absent(items: Sequence[Item], described: Described) -> list[str]:
    """Photos without vectors, and why."""
    return [
        described.reasons.get(item.id, f"{item.photo}: the gallery has no vectors of it")
        for item, gone in zip(items, described.absent.tolist(), strict=True)
        if gone
    ]


def _present(found: Found, *, source: str, json: bool, report: Path | None) -> int:
    """Show the figures, write the report, and say what was left out."""
    facts: dict[str, Any] = found.measured.to_json(model=found.model, weights=found.weights)
    facts["absent"] = len(found.skipped)
    if json:
        write_json(facts)
    else:
        about = f"{facts['queries']:,} queries" + (f", gallery of {facts['gallery']:,}" if facts["gallery"] else "")
        say(f"{facts['protocol']}: {about}; model {found.model}; weights: {_weights(found.weights)}")
        write_table(_columns(facts["metrics"]), right=("value",))
    for note in found.measured.notes:
        say(note)
    for line in found.skipped[:REASONS_SHOWN]:
        say(f"skipped {line}")
    if found.skipped:
        say(f"{len(found.skipped):,} photos have no vectors: as queries they count as 0, and nobody can find them")
    if report is not None:
        from lookalike.evaluator import combined_rows
        from lookalike.show.report import write_report

        rows = None if found.described is None else combined_rows(found.described, found.weights)
        write_report(report, facts, found.measured, source=source, outcome=found.outcome, rows=rows)
        say(f"wrote {report}/report.md")
    return SOME_SKIPPED if found.skipped else 0


def _columns(metrics: Mapping[str, Any]) -> dict[str, Sequence[str]]:
    """The figures as a table."""
    figures = list(metrics.values())
    return {
        "metric": list(metrics),
        "value": [f"{figure['value']:.4f}" for figure in figures],
        "95 % interval": ["{:.4f} to {:.4f}".format(*figure["interval"]) for figure in figures],
    }


def _weights(weights: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {weight:g}" for name, weight in weights.items() if weight) or "none"


def _compare(first: Path, second: Path, *, json: bool) -> int:
    """Show two runs side by side."""
    from lookalike.evaluation.comparison import compare, read_run

    facts = compare(read_run(first), read_run(second))
    if json:
        write_json(facts)
        return 0
    metrics = facts["metrics"]
    assert isinstance(metrics, dict)
    figures = list(metrics.values())
    say(f"{facts['protocol']}: {facts['queries']:,} queries; A is {first}, B is {second}")
    columns: dict[str, Sequence[str]] = {
        "metric": list(metrics),
        "A": [f"{figure['a']:.4f}" for figure in figures],
        "B": [f"{figure['b']:.4f}" for figure in figures],
        "B - A": [f"{figure['difference']:+.4f}" for figure in figures],
        "95 % interval": ["{:+.4f} to {:+.4f}".format(*figure["interval"]) for figure in figures],
        "p": [f"{figure['p_value']:.4f}" for figure in figures],
    }
    write_table(columns, right=("A", "B", "B - A", "p"))
    return 0
