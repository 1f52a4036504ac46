"""Embeddings of photos and of parts of them, each computed once and kept in a folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import KIND, NOTHING
from lookalike.embedding.model_loading import open_network
from lookalike.embedding.protocol import with_kind
from lookalike.images import open_image
from lookalike.spaces import DEFAULT_WEIGHTS, unit_rows
from lookalike.types import Float32
from worn_data import Shown

AT_ONCE, KEEP_EVERY = 32, 1024


@dataclass(frozen=True, slots=True)
class Rows:
    """Embeddings of N photos.

    Attributes:
        deep: (N, D) float32, unit vectors of the space `deep`.
        both: (N, E) float32, unit vectors whose dot products are the scores with the default weights.
        nothing: (N,) float32, probability that no garment is shown; None for a model without such a class.
    """

    deep: Float32
    both: Float32
    nothing: Float32 | None


class Describer:
    """Describes photos by a model.

    Args:
        model: Name or file of the model.
        kept: Folder with a file for each model, of the vectors of all photos so far.

    Attributes:
        shape: Aspect ratio (width / height) of the model's input.
    """

    def __init__(self, model: str, *, kept: Path) -> None:
        network = open_network(model)
        steps = network.identity.preprocessing
        self.shape = steps.width / steps.height
        self._embedder = PhotoEmbedder(network)
        self._file = kept / f"{'-'.join(space.model_id for space in self._embedder.spaces)}.npz"
        self._kept: dict[str, Float32] = {}
        self._places: dict[str, int] = {}
        if self._file.is_file():
            with np.load(self._file, allow_pickle=False) as arrays:
                self._kept = {name: arrays[name] for name in arrays.files if name != "names"}
                self._places = {name: place for place, name in enumerate(arrays["names"].tolist())}

    def rows(self, photos: Sequence[Shown]) -> Rows:
        """Describe photos, or their parts."""
        names = [name_of(photo) for photo in photos]
        missing = {name: photo for name, photo in zip(names, photos, strict=True) if name not in self._places}
        todo = list(missing.items())
        for start in range(0, len(todo), KEEP_EVERY):
            self._add(dict(todo[start : start + KEEP_EVERY]))
        places = [self._places[name] for name in names]
        chosen = {name: array[places] for name, array in self._kept.items()}
        spaces = [np.sqrt(np.float32(DEFAULT_WEIGHTS[name])) * chosen[name] for name in ("deep", "color")]
        return Rows(chosen["deep"], unit_rows(np.concatenate(spaces, axis=1)), chosen.get(NOTHING))

    def _add(self, photos: Mapping[str, Shown]) -> None:
        """Embed photos, and keep their vectors."""
        parts = [self._kept] if self._kept else []
        shown = list(photos.values())
        for start in range(0, len(shown), AT_ONCE):
            parts.append(self._embedded(shown[start : start + AT_ONCE]))
        self._kept = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        for name in photos:
            self._places[name] = len(self._places)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".part.npz")
        np.savez(written, names=np.array(list(self._places)), **self._kept)
        written.replace(self._file)

    def _embedded(self, photos: Sequence[Shown]) -> dict[str, Float32]:
        """Vectors by space and, if the model can tell, the probability that no garment is shown."""
        embedder = self._embedder
        pictures = [open_image(photo.photo, at_least=embedder.wanted_size, box=photo.box) for photo in photos]
        found = embedder.embed_prepared(
            [
                with_kind(embedder.prepare(each), photo.seen or None)
                for each, photo in zip(pictures, photos, strict=True)
            ]
        )
        vectors = {name: found.vectors[name] for name in ("deep", "color")}
        kinds = list(embedder.labels.get(KIND, ()))
        return vectors | {NOTHING: found.labels[KIND][:, kinds.index(NOTHING)]} if NOTHING in kinds else vectors


def name_of(photo: Shown) -> str:
    """What a photo's vectors are kept by: its path, size in bytes, time of change, part, and known kind."""
    about = photo.photo.stat()
    return f"{photo.photo.absolute()} {about.st_size} {about.st_mtime_ns} {photo.box or ''} {photo.seen}".rstrip()
