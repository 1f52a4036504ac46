"""Learning the weights of a gallery's spaces from labelled photos, and keeping them in the gallery."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from lookalike.errors import UnknownNameError, UsageError
from lookalike.evaluation.evaluator import Described, described_by_gallery, described_by_model, selected
from lookalike.evaluation.figures import Metric
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.task import UNKNOWN, identical_rows
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.retriever import Retriever
from lookalike.retrieval.retriever import open as open_retriever
from lookalike.spaces import resolve_weights
from lookalike.tuning.weight_learning import Fusion, fuse

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.types import JSON, Item

KEEP: Final = ("gain", "always", "never")
"""When learned weights are kept."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is counted, how many are done, and how many there are."""


def learn_weights(
    gallery: Retriever | str | os.PathLike[str],
    source: str | os.PathLike[str],
    *,
    protocol: str,
    keep: str = "gain",
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    where: str | None = None,
    apart: Sequence[str] = (),
    unknown: Sequence[str] = (),
    metric: str | None = None,
    progress: Progress | None = None,
) -> Fusion:
    """Learn how much each of a gallery's spaces should weigh; searches that give no weights use them from then on.

    The photos that take part are those of the source. Where the gallery was filled from that source, their vectors are
    the gallery's; else they are described now, by the gallery's models.

    Args:
        gallery: The gallery's address; or a retriever, which brings its own model too.
        source: Photos with labels.
        protocol: Who asks whom, as `lookalike evaluate` has it: `grades=articleType,baseColour`, `product`, `inshop`.
        keep: Keep the weights in the gallery: `gain` (when it is certain that they are better), `always` or `never`.
        columns: For a table: the names of its columns by the names that are expected.
        encoding: For a CSV table that is not UTF-8, such as `cp1252`.
        where: Only photos that pass this filter take part.
        apart: Attributes whose equal values never answer each other.
        unknown: Values that mean that nothing is known.
        metric: What to make large, such as `hit_rate@1`; None takes the protocol's first.
        progress: Called now and then.

    Raises:
        UsageError: The gallery is empty or has one space only, or the photos do not allow it.
        UnknownNameError: A name is no protocol, attribute, metric or value of `keep`.
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
    items = asked.taking_part(selected(catalogue, where), catalogue.benchmark)
    described = _described(gallery, catalogue, items, progress)
    task = asked.task(
        items,
        benchmark=catalogue.benchmark,
        contents=described.contents,
        apart=apart,
        unknown=(*UNKNOWN, *unknown),
    )
    if asked.name == "product":
        task = task.keeping_apart(np.where(described.absent, -1, identical_rows(described.rows)))
    if chosen is not None:
        chosen = Metric(chosen.kind, chosen.k, level=len(task.labels))
    fusion = fuse(
        described.rows,
        task=task,
        start=resolve_weights(None, spaces, stored=gallery.gallery.stored_weights.weights),
        metric=chosen,
        absent=described.absent,
        progress=told(progress, "weightings"),
    )
    if keep == "always" or (keep == "gain" and fusion.holds):
        keep_weights(gallery, fusion, source=source)
        return replace(fusion, kept=True)
    return fusion


def keep_weights(shop: Retriever, fusion: Fusion, *, source: str | os.PathLike[str]) -> None:
    """Make what was learned the weights that the gallery's searches take when none are given.

    Args:
        shop: The gallery.
        fusion: What was learned.
        source: What it was learned from, for those who ask later.

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
    shop.gallery.store_weights(StoredWeights(fusion.after.weights, learned_from))


def forget_weights(gallery: Retriever | str | os.PathLike[str]) -> None:
    """Go back to the weights that searches take where none were learned.

    Args:
        gallery: The gallery's address, or a retriever.

    Raises:
        GalleryLockedError: Another process is writing.
    """
    if isinstance(gallery, Retriever):
        gallery.gallery.store_weights(StoredWeights())
        return
    with open_retriever(gallery) as shop:
        forget_weights(shop)


def _described(
    shop: Retriever,
    catalogue: Catalogue,
    items: Sequence[Item],
    progress: Progress | None,
) -> Described:
    """The photos' vectors: the gallery's, where it was filled from this catalogue."""
    if shop.gallery.file_stamps(catalogue.source):
        return described_by_gallery(items, shop.gallery, source=catalogue.source)
    shop.check_model()
    return described_by_model(catalogue, items, shop.embedder, progress=told(progress, "photos"))


def told(progress: Progress | None, what: str) -> Callable[[int, int], None] | None:
    """The same, for counting one thing."""
    return None if progress is None else partial(progress, what)
