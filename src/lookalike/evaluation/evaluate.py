"""The public evaluation function: from a labelled catalogue to figures and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from lookalike.errors import UsageError
from lookalike.evaluation.classification import measure_classification, open_classifier
from lookalike.evaluation.evaluator import (
    EmbeddedItems,
    filtered_items,
    measure_retrieval,
    weighted_rows,
)
from lookalike.evaluation.found_boxes import FOUND, check_found, find_boxes
from lookalike.evaluation.metric_values import products_of
from lookalike.evaluation.named_models import model_files
from lookalike.evaluation.option_checks import check_folder, check_resample, check_words
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.split_overlap import overlap_notes
from lookalike.evaluation.task import UNKNOWN
from lookalike.evaluation.vectors import absent_photos, from_gallery, from_models, trained_on
from lookalike.evaluation.whole_benchmark import crops_as_published, is_whole
from lookalike.evaluation.word_evaluation import measure_in_words
from lookalike.evaluation.word_search import open_text_encoder
from lookalike.types import JSON, PhotoChoice, several

if TYPE_CHECKING:
    from lookalike.evaluation.metric_values import MetricValues
    from lookalike.evaluation.ranking import RetrievalResult
    from lookalike.gallery.opening import HasGallery

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of an evaluation.

    Attributes:
        source: Labelled catalogue.
        metric_values: Values of all metrics by query.
        model: Model id of the vectors or the class scores, such as `default@9f3c21ab`.
        weights: Weights of the spaces; empty for class scores.
        skipped: Photos without vectors, a line each; as queries they count as 0, and they match no query.
        boxes: Whether photos were cropped to their boxes, or the margin around these; `found` for a finder's boxes.
        finder: Model id of the finder of the boxes; None for given ones.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; empty for other sources.
        data: Name of the catalogue: of a published benchmark, or of the file or folder.
        whole: Whether a published benchmark is measured with all its queries and its whole gallery; None for others.
        usual_boxes: Whether its photos are cropped as in its papers; None for others.
        trained_on: Names of the catalogues that the models were trained on, `unknown` for some; None if none is known.
        retrieval: Answers of each query; None for class scores and queries in words.
        embedded: Vectors of the items; None for class scores.
        search: Options of the searches, as they are served; empty for exact rankings of the whole gallery.
    """

    source: str
    metric_values: MetricValues
    model: str
    weights: Mapping[str, float]
    skipped: Sequence[str]
    boxes: bool | float | str = True
    finder: str | None = None
    photos: str = ""
    data: str = ""
    whole: bool | None = None
    usual_boxes: bool | None = None
    trained_on: Sequence[str] | None = None
    retrieval: RetrievalResult | None = field(default=None, repr=False)
    embedded: EmbeddedItems | None = field(default=None, repr=False)
    search: Mapping[str, JSON] = field(default_factory=dict)

    @property
    def figures(self) -> dict[str, float]:
        """Mean of each metric over all queries, by name, in [0, 1]."""
        return self.metric_values.figures()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON of `lookalike evaluate --json`, with a 95 % interval of each figure."""
        return {
            **self.metric_values.to_json(model=self.model, weights=dict(self.weights)),
            "boxes": self.boxes,
            "finder": self.finder,
            "photos": self.photos,
            "data": self.data,
            "whole": self.whole,
            "usual_boxes": self.usual_boxes,
            "trained_on": None if self.trained_on is None else list(self.trained_on),
            "search": dict(self.search),
            "absent": len(self.skipped),
        }

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows: figures with their 95 % intervals."""
        summary = self.to_json()
        about = f"{summary['protocol']}: {summary['queries']:,} queries, model {self.model}"
        rows = "".join(
            f"<tr><td>{escape(name)}</td><td>{one['value']:.4f}</td>"
            f"<td>{one['interval'][0]:.4f} to {one['interval'][1]:.4f}</td></tr>"
            for name, one in summary["metrics"].items()
        )
        head = "<tr><th>metric</th><th>value</th><th>95 % interval</th></tr>"
        return f"<table><caption>{escape(about)}</caption>{head}{rows}</table>"

    def write_report(self, folder: str | os.PathLike[str]) -> None:
        """Write figures, plots and a page into a folder, which is created if missing.

        Raises:
            UsageError: The folder cannot be written.
            MissingExtraError: A package that the plots need is not installed.
        """
        from lookalike.evaluation.report.folder import write_report

        check_folder(Path(folder))
        rows = None if self.embedded is None else weighted_rows(self.embedded, self.weights)
        write_report(
            Path(folder), self.to_json(), self.metric_values, source=self.source, retrieval=self.retrieval, rows=rows
        )


def evaluate(
    source: str | os.PathLike[str],
    *,
    gallery: HasGallery | str | os.PathLike[str] | None = None,
    model: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    protocol: str | None = None,
    weights: Mapping[str, float] | None = None,
    metrics: Mapping[str, str] | None = None,
    where: str | None = None,
    apart: str | Sequence[str] = (),
    unknown: str | Sequence[str] = (),
    by: str | None = None,
    text_weight: float | None = None,
    resample: str = "query",
    k: int | None = None,
    index: str | None = None,
    probes: int | None = None,
    expand: int = 0,
    alpha: float | None = None,
    rerank: int = 0,
    k1: int | None = None,
    k2: int | None = None,
    trust: float | None = None,
    group: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    boxes: bool | float | str | None = None,
    finder: str | os.PathLike[str] | None = None,
    photos: str | None = None,
    runtime: str = "auto",
    device: str = "auto",
    ray: str | None = None,
    report: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure the quality of answers on a labelled catalogue.

    Args:
        source: A folder, a table or the root of a published benchmark, with labels.
        gallery: Address of a gallery that was filled from the source and has the vectors; or its retriever.
        model: Instead of `gallery`: a model, or several, to embed the photos with: `default`, a file, or an encoder of
            others that `export_encoder` takes by its name or folder, such as `timm:resnet50.a1_in1k`.
        protocol: Name of a published benchmark, such as `inshop`; `product`, `grades=a,b,c`, `classes=a,b`,
            `words=a,b,c` or `changed-words=a,b,c`; None is that of the source, or `product`.
        weights: Weights of the spaces by name; None takes those learned for the gallery, or the defaults.
        metrics: Distances of SciPy's cdist by space, as for a search.
        where: Filter; only photos that pass it take part.
        apart: Attribute that keeps photos of equal values from matching each other, or several.
        unknown: Attribute value that means "unknown", besides NA, or several.
        by: Attribute for the figures by category; None chooses one.
        text_weight: For `changed-words`, `fashioniq` and `fashion200k`, the weight of the words beside the photo, from
            0 to 1; None is that of a search.
        resample: What the bootstrap of the intervals draws: `query`, or `product`, whose queries stay together.
        k: As for a search: number of matches. With any of these options each query is a search as it is served; without
            any the whole gallery is ranked exactly.
        index: As for a search: `auto`, `exact`, `kmeans`, `ivf` or `hnsw`.
        probes: As for a search: number of lists that `kmeans` or `ivf` look into.
        expand: As for a search: number of nearest items to add to the query before a second search; 0 is none.
        alpha: Exponent of the scores by which `expand` weighs them; None is that of a search.
        rerank: As for a search: number of best matches to sort by shared neighbours; 0 is none.
        k1: Size of a neighbourhood in `rerank`; None is that of a search.
        k2: Number of photos whose neighbourhoods `rerank` averages; None is that of a search.
        trust: Share of the similarity itself in `rerank`, from 0 to 1, its paper's lambda; None is that of a search.
        group: As for a search: `product` ranks products, each by its best photo.
        columns: Columns of a table by the standard names.
        encoding: Encoding of a CSV table that is not UTF-8, such as `cp1252`.
        boxes: True crops photos to their boxes, False uses whole photos, and a number such as 0.1 crops to the
            box and that part of its sides around it; `found` to the boxes that a finder finds where given ones are,
            see `lookalike.evaluation.found_boxes`. None is True, or what the papers of a benchmark do.
        finder: ONNX file of the finder of `boxes="found"`; None is the one that is installed with Lookalike.
        photos: Folder of DeepFashion's photos, `img` or `img_highres`; None takes the first that is there.
        runtime: Runtime of `model`: `auto`, `onnx`, `openvino` or `torch`.
        device: Device of `model`: `auto`, `cpu` or `cuda`.
        ray: Address of a Ray cluster that embeds the photos with `model`; `auto` uses or starts one on this machine.
        report: Folder for figures, plots and a page; None writes none.
        progress: Called with the number of photos embedded and in all, and that of searches by words.

    Raises:
        UsageError: The photos do not suit the protocol, or not exactly one of `gallery` and `model` is given; or words
            are asked for, and the model has no text encoder.
        FilterError: The filter is malformed.
        UnknownNameError: A protocol, attribute, space or metric is unknown.
        MissingExtraError: A package that the plots of a report or class scores need is not installed.
    """
    unknowns = (*UNKNOWN, *several(unknown))
    models = [os.fspath(one) for one in ([model] if isinstance(model, str | os.PathLike) else model or ())]
    if (gallery is None) == (not models):
        raise UsageError("give either a gallery, whose vectors are measured, or a model to embed the photos with")
    if ray is not None and not models:
        raise UsageError("a gallery has its vectors already; leave ray out, or index with it")
    from lookalike.catalogue.opening import open_catalogue
    from lookalike.evaluation.served import check_search, search_options

    given_boxes = True if boxes == FOUND else boxes
    catalogue = open_catalogue(
        os.fspath(source),
        columns=columns,
        encoding=encoding,
        boxes=cast(bool | float | None, given_boxes),
        photos=photos,
    )
    chosen = Protocol.parse(protocol) if protocol is not None else Protocol.usual(catalogue.benchmark)
    check_words(chosen, metrics=metrics, apart=apart, text_weight=text_weight, by=by, unknown=unknown)
    check_found(boxes, finder=finder, protocol=chosen, has_gallery=gallery is not None)
    check_resample(resample, in_words=chosen.asks_in_words)
    search = search_options(
        k=k,
        index=index,
        probes=probes,
        group=group,
        expand=expand,
        alpha=alpha,
        rerank=rerank,
        k1=k1,
        k2=k2,
        trust=trust,
    )
    check_search(chosen, search, metrics=metrics)
    items = chosen.taking_part(filtered_items(catalogue, where), catalogue.benchmark)
    if report is not None:
        check_folder(Path(report))
    boxed = find_boxes(items, catalogue, chosen, finder=finder, progress=progress) if boxes == FOUND else None
    items = items if boxed is None else boxed.items
    if chosen.classifies and ray is not None:
        raise UsageError(f"the protocol {chosen.name!r} measures class scores, in this process alone; leave ray out")
    if chosen.classifies:
        classifier = open_classifier(models, protocol=chosen.name, device=device)
        measured, reasons = measure_classification(
            items,
            classifier,
            protocol=chosen,
            benchmark=catalogue.benchmark,
            unknown=unknowns,
            category=by,
            progress=progress,
        )
        found = Evaluation(
            os.fspath(source),
            measured,
            classifier.model_id,
            {},
            list(reasons.values()),
            trained_on=trained_on([classifier]),
        )
    else:
        with model_files(models) as files:
            encoder = open_text_encoder(gallery, files, protocol=chosen.name) if chosen.asks_in_words else None
            if gallery is not None:
                embedded = from_gallery(items, gallery)
            else:
                embedded = from_models(
                    catalogue,
                    items,
                    files,
                    missed=() if boxed is None else boxed.missed,
                    runtime=runtime,
                    device=device,
                    ray=ray,
                    progress=progress,
                )
        retrieval = None
        if encoder is not None:
            measured, used = measure_in_words(
                items,
                embedded,
                encoder,
                protocol=chosen,
                benchmark=catalogue.benchmark,
                weights=weights,
                text_weight=text_weight,
                unknown=unknowns,
                category=by,
                progress=progress,
            )
        else:
            retrieval, used = measure_retrieval(
                items,
                embedded,
                protocol=chosen,
                benchmark=catalogue.benchmark,
                weights=weights,
                metrics=metrics,
                apart=several(apart),
                unknown=unknowns,
                category=by,
                options=search,
                progress=progress,
            )
            measured = retrieval.metric_values
        skipped = absent_photos(items, embedded, missed=() if boxed is None else boxed.missed)
        measured = replace(measured, notes=(*measured.notes, *embedded.notes))
        found = Evaluation(
            os.fspath(source),
            measured,
            embedded.model_id,
            used,
            skipped,
            trained_on=embedded.trained_on,
            retrieval=retrieval,
            embedded=embedded,
        )
    seen_in, name = found.trained_on or (), catalogue.name
    overlap = overlap_notes(catalogue.items(), items, unknown=unknowns, name=name, trained_on=seen_in)
    values, about = found.metric_values, () if boxed is None else (boxed.note,)
    products = () if chosen.asks_in_words else products_of(values.queries, items, unknown=unknowns)
    values = replace(values, notes=(*values.notes, *overlap, *about), products=products, resample=resample)
    found = replace(found, metric_values=values)
    seen = PhotoChoice.of(items, boxes=catalogue.boxes, photos=catalogue.photos, data=catalogue.name)
    options = {} if search is None else search.to_json()
    whole = is_whole(catalogue.items(), catalogue.benchmark, chosen)
    found = replace(
        found,
        boxes=seen.boxes if boxed is None else FOUND,
        finder=None if boxed is None else boxed.finder,
        photos=seen.photos,
        data=seen.data,
        whole=whole and where is None and not (apart or unknown or found.skipped),
        usual_boxes=None if whole is None else crops_as_published(catalogue, boxes),
        search=options,
    )
    if report is not None:
        found.write_report(report)
    return found
