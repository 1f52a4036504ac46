"""The public functions that learn the weights of a gallery's spaces from labelled photos, and store them there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.evaluator import EmbeddedItems, computed_embeddings, filtered_items, stored_embeddings
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import UNKNOWN, identical_rows
from lookalike.evaluation.vectors import absent_photos
from lookalike.retrieval.opening import open as open_retriever
from lookalike.retrieval.retriever import Retriever
from lookalike.spaces import resolve_weights
from lookalike.tuning.weight_learning import Fusion, fuse
from lookalike.types import several

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.types import JSON, Item

KEEP: Final = ("gain", "always", "never")
"""Conditions under which learned weights are stored."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the unit that is counted, the number done and the number in all."""


def learn_weights(
    gallery: Retriever | str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    protocol: str,
    keep: str = "gain",
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    where: str | None = None,
    apart: str | Sequence[str] = (),
    unknown: str | Sequence[str] = (),
    metric: str | None = None,
    progress: Progress | None = None,
) -> Fusion:
    """Learn the weights of a gallery's spaces, which become the default of its searches.

    The photos are those of the source. If the gallery was filled from it, their vectors are the gallery's; else they
    are embedded by the gallery's models.

    Args:
        gallery: Address of the gallery; or a retriever with its own model.
        source: Labelled catalogue.
        protocol: Evaluation protocol: `grades=articleType,baseColour`, `product`, `inshop` or `consumer2shop`.
        keep: When to store the weights: `gain` (if they are significantly better), `always` or `never`.
        columns: Columns of a table by the standard names.
        encoding: Encoding of a CSV table that is not UTF-8, such as `cp1252`.
        where: Filter; only photos that pass it take part.
        apart: Attribute that keeps photos of equal values from matching each other, or several.
        unknown: Attribute value that means "unknown", besides NA, or several.
        metric: Metric to maximise, such as `hit_rate@1`; None takes the protocol's first.
        progress: Called at intervals; see `Progress`.

    Raises:
        UsageError: The gallery is empty or has one space only, or the photos do not suit the protocol.
        UnknownNameError: A protocol, attribute, metric or value of `keep` is unknown.
        MismatchError: The gallery was filled by another model.
    """
    from lookalike.catalogue.opening import open_catalogue

    if keep not in KEEP:
        raise UnknownNameError("value of keep", keep, KEEP)
    if not isinstance(gallery, Retriever):
        with open_retriever(gallery) as shop:
            return learn_weights(
                shop,
                source,
                protocol=protocol,
                keep=keep,
                columns=columns,
                encoding=encoding,
                where=where,
                apart=apart,
                unknown=unknown,
                metric=metric,
                progress=progress,
            )
    asked = Protocol.parse(protocol)
    chosen = None if metric is None else Metric.parse(metric)
    spaces = gallery.gallery.spaces
    if len(spaces) < 2:
        what = f"only the space {spaces[0].name!r}" if spaces else "no items"
        raise UsageError(f"the gallery has {what}; weights are learned for two spaces or more")
    catalogue = open_catalogue(os.fspath(source), columns=columns, encoding=encoding)
    items = asked.taking_part(filtered_items(catalogue, where), catalogue.benchmark)
    embedded = _embedded(gallery, catalogue, items, progress)
    task = asked.task(
        items,
        benchmark=catalogue.benchmark,
        contents=embedded.contents,
        apart=several(apart),
        unknown=(*UNKNOWN, *several(unknown)),
    )
    if asked.name == "product":
        task = task.keeping_apart(np.where(embedded.absent, -1, identical_rows(embedded.rows)))
    if chosen is not None:
        chosen = Metric(chosen.kind, chosen.k, level=len(task.labels))
    fusion = fuse(
        embedded.rows,
        task=task,
        start=resolve_weights(None, spaces, stored=gallery.gallery.stored_weights.weights),
        metric=chosen,
        absent=embedded.absent,
        progress=told(progress, "weightings"),
    )
    fusion = replace(fusion, skipped=absent_photos(items, embedded, missed=()))
    if keep == "always" or (keep == "gain" and fusion.holds):
        return replace(fusion, kept=True, ranking_deleted=keep_weights(gallery, fusion, source=source))
    return fusion


def keep_weights(shop: Retriever, fusion: Fusion, *, source: str | os.PathLike[str]) -> str | None:
    """Store learned weights as the default weights of a gallery.

    Args:
        shop: Retriever of the gallery.
        fusion: Learned weights.
        source: Source of the labels, stored with the weights.

    Returns:
        Name of the learned ranking that these weights deleted; None if none was.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    learned_from: dict[str, JSON] = {
        "from": os.fspath(source),
        "protocol": fusion.protocol,
        "metric": fusion.metric,
        "before": round(fusion.before.value, 4),
        "after": round(fusion.after.value, 4),
        "gain_interval": [round(end, 4) for end in fusion.gain_interval],
        "judged_by": fusion.judged_by,
        "date": date.today().isoformat(),
    }
    return store_weights(shop, fusion.after.weights, learned_from)


def forget_weights(gallery: Retriever | str | os.PathLike[str]) -> str | None:
    """Delete a gallery's learned weights; its searches use the defaults again.

    Args:
        gallery: Address of the gallery, or a retriever.

    Returns:
        Name of the learned ranking that was deleted with the weights; None if none was.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    if isinstance(gallery, Retriever):
        return store_weights(gallery, None, {})
    with open_retriever(gallery) as shop:
        return forget_weights(shop)


def store_weights(shop: Retriever, weights: Mapping[str, float] | None, source: Mapping[str, JSON]) -> str | None:
    """Store weights, and return the name of the learned ranking that they deleted, or None."""
    stored = shop.gallery.stored_weights
    new = stored.with_weights(weights, source)
    shop.gallery.store_weights(new)
    return stored.ranking_lost_by(new)


def _embedded(
    shop: Retriever,
    catalogue: Catalogue,
    items: Sequence[Item],
    progress: Progress | None,
) -> EmbeddedItems:
    """Return the vectors of photos: the gallery's, if it was filled from this catalogue, or new ones."""
    if shop.gallery.source_items(catalogue.source):
        return stored_embeddings(items, shop.gallery)
    shop.check_model()
    return computed_embeddings(catalogue, items, shop.embedder, progress=told(progress, "photos"))


def told(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """Return a progress function for one unit."""
    return None if progress is None else partial(progress, what)
