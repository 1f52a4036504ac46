"""What a photo shows: the most probable classes of a model's heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from lookalike.types import Float32

KIND: Final = "kind"
"""Head of the kinds of garments."""

NOTHING: Final = "nothing"
"""Class for photos without a garment, of `KIND` and maybe other heads. It is never shown as a label."""

MOST_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class PhotoLabels:
    """Labels of one photo.

    Attributes:
        shown: The most probable classes of each head with their probabilities, highest first; of a photo that shows no
            garment none.
        no_garment: Probability that it shows no garment; None for a model that cannot tell.
        about: Features of the photo for `lookalike.embedding.calibration`.
    """

    shown: Mapping[str, Sequence[tuple[str, float]]]
    no_garment: float | None
    about: Mapping[str, float]


def labels_of(probabilities: Mapping[str, Float32], classes: Mapping[str, Sequence[str]]) -> PhotoLabels:
    """Labels of the first photo.

    Args:
        probabilities: (B, C) float32 by head.
        classes: Names of the C classes by head.
    """
    named = {head: dict(zip(classes[head], rows[0].tolist(), strict=True)) for head, rows in probabilities.items()}
    no_garment = named.get(KIND, {}).get(NOTHING)
    for each in named.values():
        each.pop(NOTHING, None)
    about = {} if no_garment is None else {NOTHING: no_garment}
    if named.get(KIND):
        about[KIND] = max(named[KIND].values())
    is_bare = no_garment is not None and no_garment > 0.5
    shown = {head: [] if is_bare else most_probable(each) for head, each in named.items()}
    return PhotoLabels(shown, None if no_garment is None else round(no_garment, 4), about)


def most_probable(probabilities: Mapping[str, float]) -> list[tuple[str, float]]:
    """The most probable classes, highest first, with their probabilities."""
    ordered = sorted(probabilities.items(), key=itemgetter(1), reverse=True)
    return [(name, round(probability, 4)) for name, probability in ordered[:MOST_SHOWN]]
