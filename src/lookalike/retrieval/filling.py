"""Filling of a gallery from a catalogue, in this process or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lookalike.embedding.batch_embedding import BATCH
from lookalike.embedding.model_choice import ModelFile
from lookalike.ingest.pipeline import index_catalogue

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.embedding.protocol import Embedder
    from lookalike.gallery.protocol import Gallery
    from lookalike.ingest.report import IndexReport


def fill(
    gallery: Gallery,
    catalogue: Catalogue,
    embedder: Embedder,
    *,
    model: ModelFile | Embedder,
    batch: int | None,
    workers: int | None,
    prune: bool,
    strict: bool,
    progress: Callable[[IndexReport], None] | None,
    ray: str | None,
    shards: str | None,
) -> IndexReport:
    """Bring a gallery up to date with a catalogue, and store the model; `Retriever.index` documents the options.

    Args:
        gallery: Gallery to fill.
        catalogue: Catalogue to read.
        embedder: Embedder of the photos.
        model: Model files of the embedder, or the embedder itself.
        batch: Batch size of the network.
        workers: Number of threads that read and decode.
        prune: Remove items that are no longer in the catalogue.
        strict: Stop at the first photo that cannot be read.
        progress: Called from time to time with the report so far.
        ray: Address of a Ray cluster that embeds the photos.
        shards: Folder or URL for the results of its machines.
    """
    with gallery.writing():
        if isinstance(model, ModelFile):
            gallery.remember_model(model.address(gallery.model))
        cluster = None
        if ray is not None:
            from lookalike.ingest.ray.job import RayEmbedding

            cluster = RayEmbedding(
                ray,
                catalogue=catalogue,
                embedder=embedder,
                model=model,
                gallery=gallery,
                shards=shards,
                batch=batch,
                workers=workers,
            )
        report = index_catalogue(
            catalogue,
            embedder,
            gallery,
            batch=batch or BATCH,
            workers=workers,
            prune=prune,
            strict=strict,
            progress=progress,
            cluster=cluster,
        )
        if cluster is not None:
            cluster.clear()
        if gallery.skipped_list is not None:
            report.list_skipped(gallery.skipped_list)
    return report
