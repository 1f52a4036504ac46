"""Vectors of the items of an evaluation, from a gallery or by models, and what these were trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from lookalike.errors import MissingExtraError, ModelError
from lookalike.evaluation.evaluator import Cluster, EmbeddedItems, computed_embeddings, stored_embeddings
from lookalike.types import PhotoChoice

if TYPE_CHECKING:
    from lookalike.catalogue.protocol import Catalogue
    from lookalike.embedding.network import Identity
    from lookalike.gallery.opening import HasGallery
    from lookalike.gallery.protocol import Gallery
    from lookalike.types import Item


def from_gallery(items: Sequence[Item], place: HasGallery | str | os.PathLike[str]) -> EmbeddedItems:
    """Read the vectors of items from a gallery.

    Raises:
        UsageError: The gallery has none of the items.
    """
    from lookalike.gallery.opening import gallery_of

    with gallery_of(place) as gallery:
        return replace(stored_embeddings(items, gallery), trained_on=trained_on(identities_of(gallery)))


def from_models(
    catalogue: Catalogue,
    items: Sequence[Item],
    models: Sequence[str],
    *,
    missed: Collection[str],
    runtime: str,
    device: str,
    ray: str | None,
    progress: Callable[[int, int], None] | None,
) -> EmbeddedItems:
    """Embed items with models, and note those that were trained on other parts of photos.

    Args:
        catalogue: Catalogue of the items.
        items: n of its items.
        models: `default` or files.
        missed: Ids of items that are not to be embedded.
        runtime: As in `evaluate`, and so is `device`.
        device: Device.
        ray: Address of a Ray cluster that embeds the photos; None embeds them here.
        progress: Called with the number of photos embedded and in all.

    Raises:
        ModelError: A model cannot be loaded.
        UsageError: No photo can be read, or there is no cluster at the address.
        MissingExtraError: Ray is not installed.
    """
    from lookalike.embedding.embedder import PhotoEmbedder
    from lookalike.embedding.model_choice import ModelFile
    from lookalike.embedding.model_loading import open_network

    networks = [open_network(model, runtime=runtime, device=device) for model in models]
    cluster = None if ray is None else Cluster(ray, ModelFile(list(models), runtime=runtime, device=device))
    embedded = computed_embeddings(
        catalogue, items, PhotoEmbedder(*networks), missed=missed, cluster=cluster, progress=progress
    )
    here = PhotoChoice.of(items, boxes=catalogue.boxes, photos=catalogue.photos, data="")
    notes = []
    for identity in (network.identity for network in networks):
        seen = dict.fromkeys(replace(choice, data="") for choice in identity.trained_on if not choice.earlier)
        if seen and here not in seen:
            notes.append(f"{identity.name} was trained on {', '.join(map(str, seen))}; this is {here}")
    names = trained_on([network.identity for network in networks])
    return replace(embedded, notes=(*embedded.notes, *notes), trained_on=names)


def absent_photos(items: Sequence[Item], embedded: EmbeddedItems, *, missed: Collection[str]) -> list[str]:
    """Return the photos without vectors, with the reasons, a line each.

    Args:
        items: n items.
        embedded: Their vectors.
        missed: Ids of items that were not to be embedded.
    """
    return [
        embedded.reasons.get(item.id, f"{item.photo}: the gallery has no vectors of it")
        for item, gone in zip(items, embedded.absent.tolist(), strict=True)
        if gone and item.id not in missed
    ]


UNKNOWN_DATA: Final = "unknown"
"""Among names of catalogues: a model was trained on others, too, which are unknown."""


class Trained(Protocol):
    """A model that tells what it was trained on."""

    @property
    def trained_on(self) -> Sequence[PhotoChoice]:
        """What of the photos of each catalogue it was trained on; empty if that is unknown."""
        ...


def trained_on(models: Sequence[Trained]) -> tuple[str, ...] | None:
    """Names of the catalogues that models were trained on, at the end `unknown` for others; None if none is known."""
    told = [[choice.data for choice in model.trained_on] or [""] for model in models]
    names = dict.fromkeys(name for names in told for name in names)
    known = tuple(name for name in names if name)
    if not known:
        return None
    return (*known, UNKNOWN_DATA) if "" in names else known


def identities_of(gallery: Gallery) -> list[Identity]:
    """Identities of the models that filled a gallery; empty if a file is gone, or is that of another model by now."""
    from lookalike.embedding.compatibility import model_ids_of
    from lookalike.embedding.model_choice import models_of
    from lookalike.embedding.model_loading import identity_of

    found = []
    for model in models_of(gallery.model):
        try:
            found.append(identity_of(Path(model) if model != "default" else model))
        except (ModelError, MissingExtraError):  # the vectors are measured without it
            return []
    known = {identity.model_id for identity in found}
    return found if known == {*model_ids_of(gallery.spaces)} else []
