"""Evaluation of items with vectors from a gallery or from a model.

`lookalike.evaluation.protocol` decides which items are queries and gallery; this module gets their vectors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from lookalike.errors import UsageError
from lookalike.evaluation.protocol import Protocol
from lookalike.evaluation.ranking import RetrievalResult, by_cosine, by_metric, evaluate_scores
from lookalike.evaluation.task import UNKNOWN, identical_rows
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.spaces import Space, resolve_names, resolve_weights, unit_rows
from lookalike.types import Bool, Float32, Item

if TYPE_CHECKING:
    from lookalike.catalogue.benchmark import Benchmark
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.embedding.model_choice import ModelFile
    from lookalike.embedding.protocol import Embedder
    from lookalike.evaluation.served import SearchOptions
    from lookalike.gallery.protocol import Gallery
    from lookalike.ingest.ray.job import RayEmbedding


@dataclass(frozen=True, slots=True)
class EmbeddedItems:
    """Vectors of n items in several spaces.

    Attributes:
        spaces: Spaces of the vectors.
        rows: (n, D) float32 vectors by space; zeros where there are none.
        absent: (n,) bool, items without vectors.
        reasons: Reasons for missing vectors by the item's id, where known.
        contents: SHA-256 of the photo's bytes by the item's id, where known.
        stored_weights: Weights stored in the gallery; None without any.
        notes: Notes for the user on what the vectors were computed from, a line each.
        trained_on: Names of the catalogues that the models were trained on, `unknown` for some; None if none is known.
    """

    spaces: tuple[Space, ...]
    rows: Mapping[str, Float32]
    absent: Bool
    reasons: Mapping[str, str] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    stored_weights: Mapping[str, float] | None = None
    notes: tuple[str, ...] = ()
    trained_on: tuple[str, ...] | None = None

    @property
    def model_id(self) -> str:
        """Ids of the models of the vectors, joined by `+`."""
        model_ids = dict.fromkeys(space.model_id for space in self.spaces if space.name.startswith("deep"))
        return "+".join(model_ids) or self.spaces[0].model_id


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ray cluster that embeds photos.

    Attributes:
        address: Address of the cluster, `host:port`, or `auto`.
        model: Models, which are sent to its workers.
    """

    address: str
    model: ModelFile

    def embedding(self, catalogue: Catalogue, embedder: Embedder, gallery: Gallery) -> RayEmbedding:
        """Plan the embedding of a catalogue's photos for a gallery, as `lookalike index --ray` does."""
        from lookalike.ingest.ray.job import RayEmbedding

        return RayEmbedding(self.address, catalogue=catalogue, embedder=embedder, model=self.model, gallery=gallery)


def weighted_rows(embedded: EmbeddedItems, weights: Mapping[str, float]) -> Float32:
    """Return rows whose inner products are the scores: (n, sum of D) float32 unit vectors, zeros where absent."""
    total = sum(weights.values())
    parts = [
        unit_rows(embedded.rows[name]) * np.float32(math.sqrt(weight / total))
        for name, weight in weights.items()
        if weight > 0
    ]
    return np.concatenate(parts, axis=1)


def filtered_items(catalogue: Catalogue, where: str | None) -> list[Item]:
    """Return the items of a catalogue that pass a filter, in order.

    Raises:
        FilterError: The filter is malformed.
        UsageError: No item passes.
    """
    items = list(catalogue.items())
    if where is None or not items:
        return items
    # A temporary gallery evaluates the filter, so that it means the same as in a search.
    with TemporaryDirectory() as folder, LocalGallery(Path(folder) / "items", create=True) as gallery:
        nothing = np.ones((len(items), 1), dtype=np.float32)
        gallery.add(items, {"none": nothing}, spaces=[Space("none", 1, "none")])
        passed = {item.id for item in gallery.list(where=where, limit=len(items))[1]}
    if not passed:
        raise UsageError(f"none of the {len(items):,} items passes the filter {where!r}")
    return [item for item in items if item.id in passed]


def stored_embeddings(items: Sequence[Item], gallery: Gallery) -> EmbeddedItems:
    """Read the vectors of items, and the hashes of their photos, from a gallery, by id.

    Args:
        items: n items.
        gallery: Gallery filled from the same catalogue.

    Raises:
        UsageError: The gallery has none of the items.
    """
    places = {item.id: place for place, item in enumerate(items)}
    spaces = gallery.spaces
    rows = {space.name: np.zeros((len(items), space.dimension), dtype=np.float32) for space in spaces}
    absent = np.ones(len(items), dtype=np.bool_)
    contents: dict[str, str] = {}
    other_boxes = other_photos = 0
    for batch in gallery.records():
        records = zip(batch.items, batch.rows, batch.file_stamps, strict=True)
        by_row = {part[0]: item for item, part in zip(batch.items, batch.rows, strict=True)}
        found = [(part[0], places[item.id], item.id, stamp) for item, part, stamp in records if item.id in places]
        if found:
            of_batch, of_items, ids, stamps = (list(column) for column in zip(*found, strict=True))
            absent[of_items] = False
            for row, place in zip(of_batch, of_items, strict=True):
                kept = by_row[row]
                other_boxes += kept.box != items[place].box
                other_photos += kept.photo != items[place].photo
            for name, vectors in batch.vectors.items():
                rows[name][of_items] = vectors[of_batch]
            contents |= {item_id: stamp.sha256 for item_id, stamp in zip(ids, stamps, strict=True) if stamp is not None}
    if absent.all():
        example = f", such as {items[0].id!r}" if items else ""
        raise UsageError(
            f"the gallery has none of the {len(items):,} photos that take part{example}; "
            "fill it from the same source by `lookalike index`"
        )
    differing = {"boxes": other_boxes, "photo files": other_photos}
    notes = tuple(
        f"the gallery has vectors of other {what} than asked for here, of {count:,} photos: they are what is measured"
        for what, count in differing.items()
        if count
    )
    return EmbeddedItems(
        spaces, rows, absent, contents=contents, stored_weights=gallery.stored_weights.weights, notes=notes
    )


def computed_embeddings(
    catalogue: Catalogue,
    items: Sequence[Item],
    embedder: Embedder,
    *,
    missed: Collection[str] = (),
    cluster: Cluster | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EmbeddedItems:
    """Embed photos with the indexing pipeline, into a temporary gallery.

    Args:
        catalogue: Catalogue of the items.
        items: n of its items.
        embedder: Embedder of the photos.
        missed: Ids of items that are not to be embedded.
        cluster: Ray cluster that embeds them, with the same models; None embeds them here.
        progress: Called with the number of photos embedded and in all.

    Raises:
        UsageError: No photo can be read, or there is no cluster at the address.
        MissingExtraError: Ray is not installed.
    """
    from lookalike.ingest.pipeline import index_catalogue

    wanted = [item for item in items if item.id not in missed]
    chosen = replace(catalogue, items=lambda: iter(wanted), count=len(wanted), skipped=())
    with TemporaryDirectory() as folder, LocalGallery(Path(folder) / "photos", create=True) as gallery:
        report = index_catalogue(
            chosen,
            embedder,
            gallery,
            progress=progress and (lambda so_far: progress(so_far.done, len(wanted))),
            cluster=None if cluster is None else cluster.embedding(chosen, embedder, gallery),
        )
        reasons = {one.id: f"{one.photo}: {one.reason}" for one in report.skipped}
        if len(reasons) == len(wanted):
            raise UsageError(f"none of the {len(wanted):,} photos can be read; {next(iter(reasons.values()), '')}")
        return replace(stored_embeddings(items, gallery), reasons=reasons)


def measure_retrieval(
    items: Sequence[Item],
    embedded: EmbeddedItems,
    *,
    protocol: Protocol,
    benchmark: Benchmark | None = None,
    weights: Mapping[str, float] | None = None,
    metrics: Mapping[str, str] | None = None,
    apart: Sequence[str] = (),
    unknown: Sequence[str] = UNKNOWN,
    category: str | None = None,
    options: SearchOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[RetrievalResult, dict[str, float]]:
    """Search the gallery of a protocol with its queries, and measure the answers.

    Args:
        items: n items.
        embedded: Vectors of the items.
        protocol: Evaluation protocol.
        benchmark: Published benchmark that the items are of; None for other catalogues.
        weights: Weights of the spaces; None takes those stored in the gallery, or the defaults.
        metrics: Distances of SciPy's cdist by space, as for a search.
        apart: Attributes that keep photos of equal values from matching each other.
        unknown: Attribute values that mean "unknown".
        category: Attribute for the figures by category; None chooses one.
        options: Search as it is served, with these options; None ranks the whole gallery exactly.
        progress: Called with the number of queries and in all, if they are searches as served.

    Returns:
        The result, and the weights that were used.

    Raises:
        UsageError: The items do not suit the protocol.
        UnknownNameError: An attribute, space or metric is unknown.
    """
    task = protocol.task(
        items,
        benchmark=benchmark,
        contents=embedded.contents,
        apart=apart,
        unknown=unknown,
        category=category,
    )
    resolved = resolve_weights(weights, embedded.spaces, stored=embedded.stored_weights)
    if protocol.name == "product":
        compared = {name: embedded.rows[name] for name, weight in resolved.items() if weight > 0}
        task = task.keeping_apart(np.where(embedded.absent, -1, identical_rows(compared)))
    if options is not None:
        from lookalike.evaluation.served import evaluate_served

        served = evaluate_served(
            embedded.rows,
            spaces=embedded.spaces,
            absent=embedded.absent,
            task=task,
            weights=resolved,
            options=options,
            progress=progress,
        )
        return served, resolved
    if metrics:
        named = resolve_names(metrics, embedded.spaces)
        scorer = by_metric(embedded.rows, weights=resolved, metrics=named, task=task)
    else:
        scorer = by_cosine(embedded.rows, weights=resolved, task=task)
    return evaluate_scores(scorer, task=task, absent=embedded.absent), resolved
