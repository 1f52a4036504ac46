"""Indexing of a catalogue into a gallery, in this process or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lookalike.embedding.model_choice import ModelFile
from lookalike.errors import UsageError
from lookalike.gallery.stored_item import SOURCE as UPLOADED
from lookalike.ingest.pipeline import PRUNE_LIMIT, index_catalogue

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.embedding.protocol import Embedder
    from lookalike.finding.catalogue_finder import CatalogueFinder
    from lookalike.gallery.protocol import Gallery
    from lookalike.ingest.report import IndexReport


LONGEST_NAME: Final = 1_000
"""Most characters of the name of a source: those of a path, too."""


def check_source_name(name: str | None) -> None:
    """Check a name for a source.

    Raises:
        UsageError: It is empty or too long, cannot be printed in a line, or is that of the uploaded items.
    """
    if name is None:
        return
    if name == UPLOADED:
        raise UsageError(f"the source {UPLOADED!r} has the items that were uploaded to the server; choose another name")
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        expected = f"a text of 1 to {LONGEST_NAME:,} printable characters without spaces around it"
        raise UsageError(f"the name of a source is {expected}, such as 'shop'; got {name[:100]!r}")


def checked_prune_limit(limit: float | None, *, prune: bool) -> float:
    """The share of the items of a source that a run removes at most.

    Raises:
        UsageError: It is not from 0 to 1, or nothing is pruned.
    """
    if limit is None:
        return PRUNE_LIMIT
    if not prune:
        raise UsageError("prune_limit is for a run that prunes; give prune, too")
    if not 0 <= limit <= 1:
        raise UsageError(f"prune_limit expects a share from 0 to 1, such as 0.5, got {limit!r}")
    return limit


def index_into(
    gallery: Gallery,
    catalogue: Catalogue,
    embedder: Embedder,
    *,
    model: Embedder | ModelFile,
    source_name: str | None,
    finder: CatalogueFinder | None,
    batch: int | None,
    workers: int | None,
    prune: bool,
    prune_limit: float,
    discard_overrides: bool,
    strict: bool,
    progress: Callable[[IndexReport, int], None] | None,
    ray: str | None,
    shards: str | None,
) -> IndexReport:
    """Bring a gallery up to date with a catalogue, and list the skipped photos in it; see `Retriever.index`.

    Args:
        gallery: Gallery to fill.
        catalogue: Catalogue to read.
        embedder: Embeds the photos.
        model: What the embedder was loaded from, which the gallery remembers; or the embedder itself.
        source_name: Name of the source in the gallery; None is the catalogue's own.
        finder: Finds garments to embed one by one; None embeds whole photos.
        batch: As in `Retriever.index`, and so are the others.
        workers: Number of threads or processes.
        prune: Whether to remove items that have vanished.
        prune_limit: Largest share of the items of the source that is removed.
        discard_overrides: Whether the catalogue wins over overrides.
        strict: Whether to stop at the first photo that cannot be read.
        progress: Called with the report and the number of photos.
        ray: Address of a Ray cluster.
        shards: Folder or URL for its results.

    Raises:
        UsageError: There is a finder, and the gallery keeps no garments.
    """
    if finder is not None and gallery.garment_count is None:
        raise UsageError("a gallery on Milvus keeps no garments; index into a gallery in a folder, or whole photos")
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
                finder=finder,
            )
        report = index_catalogue(
            catalogue,
            embedder,
            gallery,
            source_name=source_name,
            batch=batch,
            workers=workers,
            prune=prune,
            prune_limit=prune_limit,
            discard_overrides=discard_overrides,
            strict=strict,
            progress=progress and (lambda so_far: progress(so_far, catalogue.count)),
            cluster=cluster,
            finder=finder,
        )
        if cluster is not None:
            cluster.clear()
        if gallery.skipped_list is not None:
            report.list_skipped(gallery.skipped_list)
    return report
