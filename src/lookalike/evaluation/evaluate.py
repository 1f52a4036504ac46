"""Measuring how good answers are, from a source with labels to figures and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lookalike.errors import UsageError, extra_wanted
from lookalike.evaluation.evaluator import (
    Described,
    combined_rows,
    described_by_gallery,
    described_by_model,
    measure_classification,
    measure_retrieval,
    selected,
)
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import UNKNOWN

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.evaluation.measured import Measured
    from lookalike.evaluation.ranking import Outcome
    from lookalike.types import Item

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good the answers are, by one protocol.

    Attributes:
        source: What was measured on.
        measured: The value of every metric for every query.
        model: What made the vectors or the class scores, such as `default@9f3c`.
        weights: Of the spaces, as they were used; empty for class scores.
        skipped: Photos without vectors, a line each; as queries they count as 0, and no query finds them.
        outcome: The answers of each query; None for class scores.
        described: The vectors; None for class scores.
    """

    source: str
    measured: Measured
    model: str
    weights: Mapping[str, float]
    skipped: Sequence[str]
    outcome: Outcome | None = field(default=None, repr=False)
    described: Described | None = field(default=None, repr=False)

    @property
    def figures(self) -> dict[str, float]:
        """The mean of each metric over all queries, by name, in [0, 1]."""
        return self.measured.figures()

    def to_json(self) -> dict[str, Any]:
        """As `lookalike evaluate --json` shows it, with a 95 % interval of each figure."""
        return {**self.measured.to_json(model=self.model, weights=dict(self.weights)), "absent": len(self.skipped)}

    def _repr_html_(self) -> str:
        """How a notebook shows it: a table of the figures with their 95 % intervals."""
        facts = self.to_json()
        about = f"{facts['protocol']}: {facts['queries']:,} queries, model {self.model}"
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{one['value']:.4f}</td>"
            f"<td>{one['interval'][0]:.4f} to {one['interval'][1]:.4f}</td></tr>"
            for name, one in facts["metrics"].items()
        )
        head = "<tr><th>metric</th><th>value</th><th>95 % interval</th></tr>"
        return f"<table><caption>{escape(about)}</caption>{head}{rows}</table>"

    def write_report(self, folder: str | os.PathLike[str]) -> None:
        """Write figures, pictures and a page into a folder, which is made if there is none.

        Raises:
            UsageError: It cannot be written.
            MissingExtraError: What draws the pictures is not installed.
        """
        from lookalike.evaluation.report.folder import write_report

        check_folder(Path(folder))
        rows = None if self.described is None else combined_rows(self.described, self.weights)
        write_report(Path(folder), self.to_json(), self.measured, source=self.source, outcome=self.outcome, rows=rows)


def evaluate(
    source: str | os.PathLike[str],
    *,
    gallery: str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | Sequence[str] | None = None,
    protocol: str | None = None,
    weights: Mapping[str, float] | None = None,
    metrics: Mapping[str, str] | None = None,
    where: str | None = None,
    apart: Sequence[str] = (),
    unknown: Sequence[str] = (),
    by: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    whole_photos: bool = False,
    runtime: str = "auto",
    device: str = "auto",
    report: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure how good the answers are, on photos with labels.

    Args:
        source: A folder, a table or the root of DeepFashion, with labels.
        gallery: The address of a gallery that was filled from the source, whose vectors are measured.
        model: Instead of `gallery`: a model, or several, that describes the photos now.
        protocol: `inshop`, `consumer2shop`, `attributes`, `product` or `grades=a,b,c`; None is the source's own, or
            `product`.
        weights: Of the spaces, by name; None takes those learned for the gallery, or the defaults.
        metrics: A metric of SciPy's cdist by space, as for a search.
        where: Only photos that pass this filter take part.
        apart: Attributes whose equal values never answer each other.
        unknown: Values that say nothing, beside NA.
        by: Attribute that the figures are broken down by; None takes a likely one.
        columns: For a table: the names of its columns by the names that are expected.
        encoding: For a CSV table that is not UTF-8, such as `cp1252`.
        whole_photos: Take no notice of boxes.
        runtime: For `model`: `auto`, `onnx`, `openvino` or `torch`.
        device: For `model`: `auto`, `cpu` or `cuda`.
        report: A folder for figures, pictures and a page; None writes none.
        progress: Told how many of how many photos are described.

    Raises:
        UsageError: The photos do not allow it, or not exactly one of `gallery` and `model` is given.
        FilterError: The filter cannot be understood.
        UnknownNameError: A name is no protocol, attribute, space or metric.
        MissingExtraError: What the pictures of a report, or class scores, need is not installed.
    """
    models = [os.fspath(model)] if isinstance(model, str | os.PathLike) else list(model or ())
    if (gallery is None) == (not models):
        raise UsageError("give either a gallery, whose vectors are measured, or a model, which describes them now")
    from lookalike.catalogue.opening import open_catalogue

    catalogue = open_catalogue(os.fspath(source), columns=columns, encoding=encoding, whole_photos=whole_photos)
    chosen = Protocol.parse(protocol) if protocol is not None else Protocol.usual(catalogue.benchmark)
    items = chosen.taking_part(selected(catalogue, where), catalogue.benchmark)
    if report is not None:
        check_folder(Path(report))
    if chosen.name == "attributes":
        found = _classified(catalogue, items, models, device=device, progress=progress, source=os.fspath(source))
    else:
        if gallery is not None:
            described = _from_gallery(catalogue, items, os.fspath(gallery))
        else:
            described = _from_models(catalogue, items, models, runtime=runtime, device=device, progress=progress)
        outcome, used = measure_retrieval(
            catalogue,
            items,
            described,
            protocol=chosen,
            weights=weights,
            metrics=metrics,
            apart=apart,
            unknown=(*UNKNOWN, *unknown),
            category=by,
        )
        skipped = _absent(items, described)
        found = Evaluation(os.fspath(source), outcome.measured, described.model_id, used, skipped, outcome, described)
    if report is not None:
        found.write_report(report)
    return found


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
    from lookalike.gallery.opening import open_gallery

    with closing(open_gallery(address)) as gallery:
        return described_by_gallery(items, gallery, source=catalogue.source)


def _from_models(
    catalogue: Catalogue,
    items: Sequence[Item],
    models: Sequence[str],
    *,
    runtime: str,
    device: str,
    progress: Progress | None,
) -> Described:
    from lookalike.embedding.embedder import PhotoEmbedder
    from lookalike.embedding.model_loading import open_network

    embedder = PhotoEmbedder(*(open_network(model, runtime=runtime, device=device) for model in models))
    return described_by_model(catalogue, items, embedder, progress=progress)


def _classified(
    catalogue: Catalogue,
    items: Sequence[Item],
    models: Sequence[str],
    *,
    device: str,
    progress: Progress | None,
    source: str,
) -> Evaluation:
    if len(models) != 1:
        raise UsageError("the protocol 'attributes' asks one model's class heads: --model CHECKPOINT")
    model = Path(models[0])
    if model.suffix in ("", ".onnx"):
        kinds = "a .safetensors checkpoint, or a .pth.tar of the original system,"
        raise UsageError(f"only {kinds} has class heads to ask for 'attributes', got {model}")
    with extra_wanted("class scores", "train"):
        from lookalike.models.class_scores import Classifier
    classifier = Classifier(model, device=device)
    measured, reasons = measure_classification(catalogue, items, classifier, progress=progress)
    return Evaluation(source, measured, classifier.model_id, {}, list(reasons.values()))


def _absent(items: Sequence[Item], described: Described) -> list[str]:
    """Photos without vectors, and why."""
    return [
        described.reasons.get(item.id, f"{item.photo}: the gallery has no vectors of it")
        for item, gone in zip(items, described.absent.tolist(), strict=True)
        if gone
    ]
