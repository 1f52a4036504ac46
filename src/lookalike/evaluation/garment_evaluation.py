"""Evaluation of a finder on a catalogue with boxes and kinds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from lookalike.catalogue.opening import open_catalogue
from lookalike.errors import PhotoError, UsageError
from lookalike.evaluation.evaluator import filtered_items
from lookalike.evaluation.garments import UNKNOWN, FoundGarments, GarmentFigures, TrueGarments, measure_garments
from lookalike.finding.finder import Finder
from lookalike.kinds import KINDS, NOT_SOUGHT, kind_of
from lookalike.types import Float32, Int64, Item

PROTOCOL: Final = "garments"
SINGLE_SHOES: Final = "single-shoes"

FAR: Final = 3.0
"""Largest distance between the centres of a pair, in multiples of the mean longer side of the two shoes."""


@dataclass(frozen=True, slots=True)
class GarmentEvaluation:
    """Result of the evaluation of a finder.

    Attributes:
        source: Evaluated catalogue.
        model: Model id of the finder, such as `finder@9f3c21ab`.
        photos: Number of photos.
        figures: Average precision and recall.
        skipped: A line for each unreadable photo; its garments count as missed.
    """

    source: str
    model: str
    photos: int
    figures: GarmentFigures
    skipped: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Values for `lookalike evaluate --json`."""
        return {
            "protocol": PROTOCOL,
            "model": self.model,
            "photos": self.photos,
            "garments": dict(self.figures.garments),
            "metrics": self.figures.flat(),
            "absent": len(self.skipped),
        }


def asks_for_garments(protocol: str | None) -> bool:
    """Whether a protocol is `garments`, or `garments=` and more."""
    return (protocol or "").partition("=")[0] == PROTOCOL


def evaluate_garments(
    source: str | os.PathLike[str],
    *,
    model: str | os.PathLike[str] | None = None,
    protocol: str = PROTOCOL,
    where: str | None = None,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> GarmentEvaluation:
    """Measure how well a finder finds the garments of a catalogue.

    Args:
        source: A table with one row for each garment: its id, photo, box, and kind, in a column `kind`. Photos without
            garments have no row and do not count.
        model: ONNX file of the finder; None is the one that is installed with Lookalike.
        protocol: `garments`, or `garments=single-shoes` if each shoe has its own box: pairs are joined first.
        where: Filter of the rows.
        columns: Column names by role, where they differ from the role.
        encoding: Encoding of a CSV table that is not UTF-8.
        progress: Called with the number of photos done and in all.

    Raises:
        UsageError: No row has a box and a kind, or the protocol is another one.
        CatalogueError: The catalogue cannot be read.
        NoFinderError: No finder is named, and none is installed.
        ModelError: The file is missing, damaged, or not a finder.
    """
    if protocol not in (PROTOCOL, f"{PROTOCOL}={SINGLE_SHOES}"):
        raise UsageError(f"expected the protocol {PROTOCOL} or {PROTOCOL}={SINGLE_SHOES}, got {protocol!r}")
    name = os.fspath(source)
    items = filtered_items(open_catalogue(name, columns=columns, encoding=encoding), where)
    photos = by_photo(items)
    if not photos:
        raise UsageError(f"{name}: expected columns `kind` and `box`, x1,y1,x2,y2 in pixels, and a row that has both")
    finder = Finder(model)
    true = [true_garments(rows, single_shoes=protocol != PROTOCOL) for rows in photos.values()]
    told = np.unique(np.concatenate([each.kinds for each in true]))
    found: list[FoundGarments] = []
    skipped: list[str] = []
    for number, rows in enumerate(photos.values(), start=1):
        try:
            seen, size = finder.decoded(rows[0])
        except PhotoError as error:
            skipped.append(str(error))
            found.append(FoundGarments(*_nothing(), np.zeros(0, dtype=np.float32)))
            continue
        kinds = np.array([KINDS.index(finder.kinds[kind]) for kind in seen.kinds.tolist()], dtype=np.int64)
        kept = np.isin(kinds, told)
        limits = np.array([*size, *size], dtype=np.float32)
        found.append(FoundGarments(seen.boxes[kept] * limits, kinds[kept], seen.scores[kept]))
        if progress is not None:
            progress(number, len(photos))
    figures = measure_garments(true, found, kinds=KINDS)
    return GarmentEvaluation(name, finder.model_id, len(photos), figures, skipped)


def by_photo(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Group the rows that have a box and a kind by photo."""
    photos: dict[str, list[Item]] = {}
    for item in items:
        if item.box is not None and item.attributes.get("kind"):
            photos.setdefault(item.location, []).append(item)
    return photos


def true_garments(rows: Sequence[Item], *, single_shoes: bool) -> TrueGarments:
    """Ground truth of one photo; a garment with an ambiguous word becomes an ignored box.

    Args:
        rows: Rows with a box and the attribute `kind`.
        single_shoes: Whether each shoe has its own box.
    """
    boxes, kinds = [], []
    for row in rows:
        word = str(row.attributes["kind"]).lower()
        if word in NOT_SOUGHT:
            continue
        kind = kind_of(word)
        assert row.box is not None
        boxes.append(row.box.to_list())
        kinds.append(UNKNOWN if kind is None else KINDS.index(kind))
    corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
    numbers = np.array(kinds, dtype=np.int64)
    if not single_shoes:
        return TrueGarments(corners, numbers)
    shoes = numbers == KINDS.index("shoes")
    pairs = joined_pairs(corners[shoes])
    return TrueGarments(
        np.concatenate([corners[~shoes], pairs]),
        np.concatenate([numbers[~shoes], np.full(len(pairs), KINDS.index("shoes"))]),
    )


def joined_pairs(shoes: Float32) -> Float32:
    """Join single shoes (N, 4) to pairs: repeatedly the two nearest ones, as long as they are near enough."""
    left, pairs = list(shoes), []
    while len(left) > 1:
        middles = np.array([(box[:2] + box[2:]) / 2 for box in left])
        apart = np.linalg.norm(middles[:, None] - middles[None], axis=2) + np.where(np.eye(len(left)) > 0, np.inf, 0)
        first, second = divmod(int(apart.argmin()), len(left))
        one, other = left[first], left[second]
        if apart[first, second] > FAR * np.mean([(box[2:] - box[:2]).max() for box in (one, other)]):
            break
        pairs.append(np.concatenate([np.minimum(one[:2], other[:2]), np.maximum(one[2:], other[2:])]))
        left = [box for place, box in enumerate(left) if place not in (first, second)]
    return np.array([*pairs, *left], dtype=np.float32).reshape(-1, 4)


def _nothing() -> tuple[Float32, Int64]:
    return np.zeros((0, 4), dtype=np.float32), np.zeros(0, dtype=np.int64)
