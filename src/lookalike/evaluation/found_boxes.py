"""Boxes that a finder finds, in place of the given ones: retrieval by the published protocol of DeepFashion2.

Each garment that is found in a photo is assigned to the given garment that it overlaps most. A query is represented by
the garment of the highest score among those assigned to it, and a query without one is missed. In the gallery is every
garment found in its photos: it shows the product of the given garment with which it has an intersection over union of
at least .5, and no known product without one.

Source: evaluation/evaluation.md of github.com/switchablenorms/DeepFashion2. There a found garment that overlaps no
given one is assigned to the first; here it is to none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from lookalike.catalogue.benchmark import Benchmark, Sides, selects
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import PhotoError, UsageError
from lookalike.evaluation.protocol import Protocol
from lookalike.finding.boxes import intersection_over_union
from lookalike.finding.decoding import SURE
from lookalike.finding.finder import Finder
from lookalike.types import Float32, Garment, Item

FOUND: Final = "found"
"""Value of `boxes`: those that a finder finds."""

SAME: Final = 0.5
"""Least intersection over union of a found garment of the gallery with a given one, to show its product."""


@dataclass(slots=True)
class FoundBoxes:
    """Items with found boxes.

    Attributes:
        finder: Model id of the finder.
        items: Items that take part; of a benchmark of garments also those that no annotation has.
        missed: Ids of items that the finder does not find; they have no vectors.
        missed_queries: How many of these ask.
        beside: Number of items that no annotation has.
    """

    finder: str
    items: list[Item] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    missed_queries: int = 0
    beside: int = 0

    @property
    def note(self) -> str:
        """What was found, for the user."""
        others = len(self.missed) - self.missed_queries
        return (
            f"boxes are those that {self.finder} finds: garments that it misses are {self.missed_queries:,} of the "
            f"queries, which count as 0, and {others:,} of the gallery, which has {self.beside:,} without a given box"
        )


def check_found(boxes: object, *, finder: str | os.PathLike[str] | None, protocol: Protocol, has_gallery: bool) -> None:
    """Check that found boxes go with the other options of an evaluation.

    Raises:
        UsageError: They do not, or a finder is given and does nothing.
    """
    if boxes != FOUND:
        if finder is not None:
            raise UsageError("a finder finds boxes; give boxes='found' as well, or leave finder out")
        return
    if has_gallery:
        raise UsageError("a gallery has vectors of the boxes that it was filled with; give a model for boxes='found'")
    if protocol.classifies or protocol.asks_in_words:
        raise UsageError(f"the protocol {protocol.name!r} has no photos as queries; leave boxes='found' out")


def find_boxes(
    items: Sequence[Item],
    catalogue: Catalogue,
    protocol: Protocol,
    *,
    finder: str | os.PathLike[str] | None,
    progress: Callable[[int, int], None] | None = None,
) -> FoundBoxes:
    """Replace the boxes of items by those of the garments that a finder finds in their photos.

    Args:
        items: Items that take part.
        catalogue: Their catalogue, of which the other garments of the same photos are also compared.
        protocol: Protocol, which tells queries from the gallery.
        finder: ONNX file of the finder; None is the one that is installed with Lookalike.
        progress: Called with the number of photos looked at and in all.

    Raises:
        UsageError: No item has a box, or none is found.
        NoFinderError: No finder is named, and none is installed.
        ModelError: The file is missing, damaged, or not a finder.
    """
    if all(item.box is None for item in items):
        raise UsageError("boxes='found' replaces given boxes, and this source has none")
    opened = Finder(finder)
    sides = protocol.sides(catalogue.benchmark)
    taking = {item.id for item in items}
    photos: dict[str, list[Item]] = {item.location: [] for item in items}
    for item in catalogue.items():
        if item.location in photos:
            photos[item.location].append(item)
    result = FoundBoxes(opened.model_id)
    for number, (location, given) in enumerate(photos.items(), start=1):
        try:
            garments = opened.find(location, least=SURE)
        except PhotoError:  # it is told with the photos that cannot be embedded
            result.items += [item for item in given if item.id in taking]
        else:
            _replace(given, garments, result, taking=taking, sides=sides, benchmark=catalogue.benchmark)
        if progress is not None:
            progress(number, len(photos))
    if len(result.missed) == len(result.items):
        raise UsageError(f"{opened.model_id} finds none of the {len(result.items):,} garments that take part")
    return result


def _replace(
    given: Sequence[Item],
    garments: Sequence[Garment],
    result: FoundBoxes,
    *,
    taking: Iterable[str],
    sides: Sides | None,
    benchmark: Benchmark | None,
) -> None:
    """Replace the boxes of the items of one photo; `garments` have the highest score first."""
    boxed = [item for item in given if item.box is not None]
    overlaps = intersection_over_union(_corners(garments), _corners(boxed))
    owner = np.full(len(garments), -1) if not boxed else np.where(overlaps.max(1) > 0, overlaps.argmax(1), -1)
    most = np.zeros(len(garments)) if not boxed else overlaps.max(1)
    used: set[int] = set()
    for item in given:
        if item.id not in taking:
            continue
        if item.box is None:  # given as the whole photo
            result.items.append(item)
            continue
        asks = _asks(item, sides)
        own = np.flatnonzero((owner == boxed.index(item)) & (most >= (0 if asks else SAME))).tolist()
        if own:
            used.add(own[0])
            result.items.append(replace(item, box=garments[own[0]].box))
        else:
            result.items.append(item)
            result.missed.add(item.id)
            result.missed_queries += asks
    answering = [item for item in given if sides is not None and selects(sides.gallery, item)]
    if benchmark is None or not benchmark.of_garments or sides is None or not answering:
        return
    whole, _, _ = answering[0].id.rpartition("/")
    for number, garment in enumerate(garments, start=1):
        if number - 1 not in used:
            product = boxed[owner[number - 1]].product if most[number - 1] >= SAME else None
            known = {name: answering[0].attributes[name] for name in sides.gallery}
            beside = replace(answering[0], id=f"{whole}/found{number}", product=product, attributes=known)
            result.items.append(replace(beside, box=garment.box))
            result.beside += 1


def _asks(item: Item, sides: Sides | None) -> bool:
    """Whether an item is a query."""
    return sides is None or selects(sides.queries, item)


def _corners(parts: Sequence[Item] | Sequence[Garment]) -> Float32:
    """Boxes (N, 4) of items or garments."""
    boxes = [part.box.to_list() for part in parts if part.box is not None]
    return np.array(boxes, dtype=np.float32).reshape(-1, 4)
