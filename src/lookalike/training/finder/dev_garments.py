"""Dev measure of a finder run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from lookalike.evaluation.garments import FoundGarments, TrueGarments, measure_garments
from lookalike.finding.decoding import decode
from lookalike.images import open_image
from lookalike.kinds import KINDS
from lookalike.models.finder.input_shape import input_shape
from lookalike.models.finder.network import FinderNetwork
from lookalike.models.preprocessing import Preprocessing
from lookalike.training.finder.labelled_photos import LabelledPhoto


def figure_names(dev: Mapping[str, Sequence[LabelledPhoto]]) -> list[str]:
    """Return the names of the figures of `measure_dev`."""
    names: list[str] = []
    for table, photos in dev.items():
        true = [TrueGarments(photo.boxes, photo.kinds) for photo in photos if photo.shown == "worn"]
        nothing = np.zeros((0, 4), dtype=np.float32)
        found = [FoundGarments(nothing, np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)) for _ in true]
        if true:
            names += [f"{table}: {name}" for name in measure_garments(true, found, kinds=KINDS).flat()]
    return names


@torch.no_grad()
def measure_dev(network: FinderNetwork, dev: Mapping[str, Sequence[LabelledPhoto]], *, pixels: int) -> dict[str, float]:
    """Measure average precision and recall on the dev photos of people.

    Args:
        network: Network in eval mode.
        dev: Dev photos of each data source, by its table.
        pixels: Approximate number of pixels of the input.

    Returns:
        Figures by names such as `street/labels.csv: AP50 mean`.
    """
    figures: dict[str, float] = {}
    for table, photos in dev.items():
        worn = [photo for photo in photos if photo.shown == "worn"]
        if not worn:
            continue
        true, found = [], []
        for photo in worn:
            picture = open_image(photo.photo)
            height, width = size = input_shape(*picture.size, pixels=pixels)
            prepared = torch.from_numpy(Preprocessing(height, width)(picture))[None]
            logits, distances = network(prepared)
            seen = decode(logits[0].sigmoid().numpy(), distances[0].numpy(), size=size)
            scale = np.array([*picture.size] * 2, dtype=np.float32)
            told = np.isin(seen.kinds, np.flatnonzero(photo.known))
            found.append(FoundGarments(seen.boxes[told] * scale, seen.kinds[told], seen.scores[told]))
            true.append(TrueGarments(photo.boxes * scale, photo.kinds))
        measured = measure_garments(true, found, kinds=KINDS)
        figures |= {f"{table}: {name}": value for name, value in measured.flat().items()}
    return figures
