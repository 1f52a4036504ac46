"""Calibration of a model's file from labelled photos: the relevance of matches, and the temperatures of its heads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeAlias

import numpy as np

from lookalike.embedding.calibration import METADATA as CALIBRATION
from lookalike.embedding.calibration import Calibration, Float64, tempered
from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import KIND, NOTHING, labels_of
from lookalike.embedding.model_loading import CHECKPOINTS, find_model, open_network
from lookalike.errors import UsageError
from lookalike.evaluation.calibration_error import expected_calibration_error
from lookalike.extras import extra_wanted
from lookalike.models.content_hash import KEY
from lookalike.models.onnx_file import hidden_beside, read_metadata, write_metadata
from lookalike.storage.durable import flush
from lookalike.tuning.curve_fitting import FittedCurve, Pairs, fit_curve, fit_temperature
from lookalike.tuning.labelled_photos import (
    LabelledPhotos,
    PhotoEmbedding,
    Progress,
    labelled_items,
    paths,
    spread,
)
from lookalike.types import Float32

MOST_QUERIES: Final = 1000
"""Largest number of queries of each source, evenly spread, so that a large source counts no more than others."""

CONTENT: Final = KEY.decode()
"""Entry of the metadata with the checksum, which is computed again."""

MATCHES: Final = 50
"""Nearest items of a query that are its pairs."""

Labels: TypeAlias = Mapping[str, Sequence[str]]
"""Class names by head."""


@dataclass(frozen=True, slots=True)
class FittedHead:
    """Temperature of a head.

    Attributes:
        temperature: What its logits are divided by.
        error_before: Expected calibration error of the largest probability, without the temperature.
        error: The same with it.
        photos: Number of photos with a class of the head.
    """

    temperature: float
    error_before: float
    error: float
    photos: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """Result of a calibration.

    Attributes:
        file: File that keeps it.
        photo: Relevance of the matches of photos, with its error on held-out queries.
        item: Relevance of the matches of items.
        heads: Temperatures by head.
        no_garment: Share of the query photos that the model takes for photos without a garment: of those labelled
            `nothing`, and of the other `garments`; empty without photos of both sorts.
        skipped: Photos that cannot be read, with the reasons.
    """

    file: Path
    photo: FittedCurve
    item: FittedCurve
    heads: Mapping[str, FittedHead]
    no_garment: Mapping[str, float]
    skipped: Sequence[str] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """JSON form, as printed by `lookalike calibrate --json`."""
        return {
            "file": str(self.file),
            "photo": asdict(self.photo),
            "item": asdict(self.item),
            "heads": {head: asdict(fitted) for head, fitted in self.heads.items()},
            "no_garment": dict(self.no_garment),
            "skipped": list(self.skipped),
        }


def calibrate(
    model: str | os.PathLike[str],
    catalogue: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    queries: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    kind: str = KIND,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    where: str | None = None,
    out: str | os.PathLike[str] | None = None,
    runtime: str = "auto",
    device: str = "auto",
    progress: Progress | None = None,
) -> Calibrated:
    """Calibrate a model: fit the relevance of matches to labelled photos, and write it into the model's file.

    Query photos search the catalogue, and each of their nearest matches is of the same kind or not. The embeddings do
    not change, so galleries that the model filled stay valid.

    Args:
        model: An ONNX file; or `default`, the installed one, with `out`.
        catalogue: Catalogue that is searched, or several, with the kind of each photo; not the photos of training.
            Photos of the kind `nothing` are queries only.
        queries: Catalogues of query photos, best of all sorts that users have: their kinds have the same names, and are
            `nothing` for photos without a garment. By default the photos of the catalogue search it.
        kind: Attribute with the kind; photos without one are left out.
        columns: Columns of a table by the standard names.
        encoding: Encoding of CSV tables that are not UTF-8, such as `cp1252`.
        where: Filter; only photos that pass it take part.
        out: ONNX file to write; None replaces the model's.
        runtime: `auto`, `onnx` or `openvino`.
        device: `auto`, `cpu` or `cuda`.
        progress: Called with the number of photos embedded and in all.

    Raises:
        UsageError: The model is no ONNX file, or the photos do not suit.
        CatalogueError: A catalogue cannot be read.
        FilterError: The filter is malformed.
        ModelError: The model cannot be loaded.
        MissingExtraError: A package that writing ONNX needs is not installed.
    """
    path = find_model(os.fspath(model))
    if path.suffix in CHECKPOINTS:
        raise UsageError(f"{path}: a calibration is kept in an ONNX file; export the checkpoint first")
    if out is None and str(model) == "default":
        raise UsageError("the installed model is not changed; name a file for the calibrated one with out")
    with extra_wanted("calibration", "train"):
        import onnx  # noqa: F401 - better missed before the photos are embedded
    of_catalogue = labelled_items(paths(catalogue), kind=kind, columns=columns, encoding=encoding, where=where)
    of_queries = labelled_items(
        paths(queries), kind=kind, columns=columns, encoding=encoding, where=where, most=MOST_QUERIES
    )
    with uncalibrated(path) as bare:
        network = open_network(bare, runtime=runtime, device=device)
    total = len(of_catalogue) + len(of_queries)
    embedding = PhotoEmbedding(PhotoEmbedder(network), total=total, progress=progress)
    photos = embedding.embed(of_catalogue, kind=kind)
    gallery = photos.of([place for place, name in enumerate(photos.kinds) if name != NOTHING])
    asked = embedding.embed(of_queries, kind=kind) if of_queries else photos.of(spread(len(photos.items), MOST_QUERIES))
    classes = network.identity.labels
    heads = fitted_heads(asked, classes, kind=kind)
    photo, item = fit_curve(photo_pairs(asked, gallery, classes, heads)), fit_curve(item_pairs(gallery))
    temperatures = {head: fitted.temperature for head, fitted in heads.items()}
    file = Path(path if out is None else out)
    write_calibration(path, Calibration(photo.curve, item.curve, temperatures), file)
    return Calibrated(file, photo, item, heads, taken_for_none(asked, classes, heads), embedding.skipped)


def fitted_heads(photos: LabelledPhotos, classes: Labels, *, kind: str) -> dict[str, FittedHead]:
    """Fit the temperature of each head whose classes the photos name: `kind` in its attribute, others in their own."""
    fitted: dict[str, FittedHead] = {}
    for head, probabilities in photos.labels.items():
        number = {name: place for place, name in enumerate(classes[head])}
        named = [item.attributes.get(kind if head == KIND else head) for item in photos.items]
        truth = np.array([number.get(name, -1) if isinstance(name, str) else -1 for name in named])
        known = truth >= 0
        if not known.any():
            continue
        given, right = probabilities[known], truth[known]
        temperature = fit_temperature(given, right)
        errors = [
            expected_calibration_error(each.max(axis=1).astype(np.float64), each.argmax(axis=1) == right)
            for each in (given, tempered(given, temperature))
        ]
        fitted[head] = FittedHead(temperature, errors[0], errors[1], int(known.sum()))
    return fitted


def softened(photos: LabelledPhotos, heads: Mapping[str, FittedHead]) -> dict[str, Float32]:
    """Class probabilities of photos with the fitted temperatures."""
    return {
        head: tempered(part, heads[head].temperature) if head in heads else part for head, part in photos.labels.items()
    }


def photo_pairs(
    queries: LabelledPhotos, gallery: LabelledPhotos, classes: Labels, heads: Mapping[str, FittedHead]
) -> Pairs:
    """Pairs of query photos and their nearest items, with what the heads say of the queries."""
    labels = softened(queries, heads)
    about = [
        labels_of({head: part[at : at + 1] for head, part in labels.items()}, classes).about
        for at in range(len(queries.items))
    ]
    names = sorted({name for features in about for name in features})
    return nearest_pairs(queries, gallery, {name: np.array([features[name] for features in about]) for name in names})


def item_pairs(gallery: LabelledPhotos) -> Pairs:
    """Pairs of items and their nearest other items."""
    return nearest_pairs(gallery.of(spread(len(gallery.items), MOST_QUERIES)), gallery, {})


def nearest_pairs(queries: LabelledPhotos, gallery: LabelledPhotos, about: Mapping[str, Float64]) -> Pairs:
    """Pairs of each query with its nearest items, itself left out.

    Args:
        queries: Q queries.
        gallery: Items that are searched.
        about: (Q,) features of the queries by name.

    Raises:
        UsageError: There are too few items.
    """
    count = min(MATCHES, len(gallery.items) - 1)
    if count < 1:
        raise UsageError("the catalogue has a single photo; a calibration needs many, of several kinds")
    place_of = {(item.location, item.box): place for place, item in enumerate(gallery.items)}
    kinds = np.array(gallery.kinds)
    cosines = np.empty((len(queries.items), count))
    same = np.empty(cosines.shape, dtype=np.bool_)
    for number, (item, kind, vector) in enumerate(zip(queries.items, queries.kinds, queries.vectors, strict=True)):
        scores = gallery.vectors @ vector
        own = place_of.get((item.location, item.box))
        if own is not None:
            scores[own] = -np.inf
        nearest = np.argpartition(-scores, count - 1)[:count]
        cosines[number], same[number] = scores[nearest], (kinds[nearest] == kind) & (kind != NOTHING)
    numbers = np.repeat(np.arange(len(queries.items)), count)
    features = {name: values[numbers] for name, values in about.items()}
    return Pairs(cosines.ravel(), features, same.ravel(), numbers, queries.sources)


def taken_for_none(photos: LabelledPhotos, classes: Labels, heads: Mapping[str, FittedHead]) -> dict[str, float]:
    """Share of photos with a probability of no garment above 0.5: of those labelled `nothing`, and of the others."""
    is_none = np.array([kind == NOTHING for kind in photos.kinds])
    if NOTHING not in classes.get(KIND, ()) or is_none.all() or not is_none.any():
        return {}
    taken = softened(photos, heads)[KIND][:, list(classes[KIND]).index(NOTHING)] > 0.5
    return {NOTHING: float(taken[is_none].mean()), "garments": float(taken[~is_none].mean())}


@contextmanager
def uncalibrated(file: Path) -> Iterator[Path]:
    """Yield a copy of an ONNX file without its calibration, which may be damaged."""
    with TemporaryDirectory() as folder:
        bare = Path(folder) / file.name
        bare.write_bytes(file.read_bytes())
        about = read_metadata(file)
        write_metadata(bare, {key: value for key, value in about.items() if key not in (CALIBRATION, CONTENT)})
        yield bare


def write_calibration(source: Path, calibration: Calibration, file: Path) -> None:
    """Write a copy of an ONNX file with a calibration in its metadata, atomically; both may be one file."""
    about = read_metadata(source) | {CALIBRATION: calibration.to_json()}
    about.pop(CONTENT, None)
    file.absolute().parent.mkdir(parents=True, exist_ok=True)
    with hidden_beside(file) as folder:
        made = folder / "model.onnx"
        made.write_bytes(source.read_bytes())
        write_metadata(made, about)
        flush(made)
        made.replace(file)
