"""Readers of labelled photos: tables of boxes, of masks, or of photos of one garment."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import ndimage

from lookalike.errors import CatalogueError, short_reason
from lookalike.kinds import KINDS, NOT_SOUGHT, kind_of
from lookalike.training.data.chosen_values import ChosenValues
from lookalike.training.data.data_record import DataRow
from lookalike.training.finder.settings import FinderSettings, GarmentDataSettings, Shown
from lookalike.types import Bool, Float32, Int64

UNKNOWN = -1
"""Kind of a garment with an ambiguous word."""

SPECK = 0.03
"""Connected parts below this fraction of the area of a kind are ignored as labelling errors."""

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """Photo with its garments.

    Attributes:
        photo: Path of the photo.
        boxes: (G, 4) float32: x1, y1, x2, y2 as fractions of width and height.
        kinds: (G,) int64, positions in `KINDS`; -1 for an ambiguous garment.
        known: (K,) bool, kinds that are labelled wherever they occur.
        shown: How the photo shows them, as in `GarmentDataSettings`.
    """

    photo: str
    boxes: Float32
    kinds: Int64
    known: Bool
    shown: Shown


def read_labelled(data: GarmentDataSettings, *, folder: Path) -> dict[str, list[LabelledPhoto]]:
    """Read the train and dev photos of a data source.

    Args:
        data: Settings of the source.
        folder: Folder that its paths are relative to.

    Raises:
        CatalogueError: A table cannot be read, lacks a column, or has no training photos.
        UnknownNameError: A value that chooses photos is not there.
    """
    table = folder / data.photos
    known = np.array([kind in data.kinds for kind in KINDS])
    boxes = _boxes_by_photo(folder / data.boxes) if data.boxes else {}
    classes = _class_kinds(folder / data.classes) if data.classes else {}
    found: dict[str, list[LabelledPhoto]] = {"train": [], "dev": []}
    seen = ChosenValues(str(table), (data.split, *data.where))
    for row in _rows(table, (data.file, data.split, *data.where)):
        seen.note(row)
        part = "train" if row[data.split] in data.train else "dev" if row[data.split] in data.dev else ""
        if not part or any(row[column] not in values for column, values in data.where.items()):
            continue
        if data.label:
            garments = _one_garment(row.get(data.label, ""))
        elif data.masks:
            garments = _of_mask(table.parent / row[data.masks], classes) if row.get(data.masks) else None
        else:
            garments = _in_parts(boxes.get(row[data.file], []), row, table)
        if garments is not None:
            found[part].append(LabelledPhoto(str(table.parent / row[data.file]), *garments, known, data.shown))
    seen.check_split(data.split, (*data.train, *data.dev))
    seen.check_where(data.where)
    if not found["train"]:
        raise seen.nothing_chosen("training photos", data.split, data.train)
    if data.dev_photos and len(found["dev"]) > data.dev_photos:
        chosen = np.linspace(0, len(found["dev"]) - 1, data.dev_photos).astype(int)
        found["dev"] = [found["dev"][place] for place in chosen]
    return found


def rows_of(
    settings: FinderSettings, parts: Sequence[Mapping[str, Sequence[LabelledPhoto]]], *, folder: Path
) -> list[DataRow]:
    """What a run reads of each photo, in order, for the record of its data.

    Args:
        settings: Settings of the run.
        parts: Photos of each data source, from `read_labelled`.
        folder: Folder that their paths are relative to.
    """
    return [
        DataRow(
            str(place),
            part,
            os.path.relpath(photo.photo, (folder / data.photos).parent),
            {"kinds": photo.kinds.tolist(), "known": np.flatnonzero(photo.known).tolist(), "shown": photo.shown},
            box=str(photo.boxes.tolist()),
            photo=photo.photo,
        )
        for place, (data, photos) in enumerate(zip(settings.data, parts, strict=True))
        for part in ("train", "dev")
        for photo in photos[part]
    ]


def _rows(table: Path, columns: Sequence[str]) -> Iterator[Row]:
    try:
        with table.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [column for column in columns if column not in (reader.fieldnames or ())]:
                raise CatalogueError(
                    f"{table}: has no column {missing[0]!r}; it has {', '.join(reader.fieldnames or ())}"
                )
            yield from reader
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CatalogueError(f"{table}: cannot be read: {short_reason(error)}") from None


def _boxes_by_photo(table: Path) -> dict[str, list[tuple[int, list[float]]]]:
    """Kind and corners, in pixels, of the boxes of each photo."""
    found: dict[str, list[tuple[int, list[float]]]] = {}
    sides = ("x1", "y1", "x2", "y2")
    for line, row in enumerate(_rows(table, ("file", "kind", *sides)), start=2):
        try:
            box = [float(row[side]) for side in sides]
        except (TypeError, ValueError):
            raise CatalogueError(f"{table}:{line}: expected x1, y1, x2, y2 in pixels") from None
        if row["kind"] not in NOT_SOUGHT:
            found.setdefault(row["file"], []).append((_number(row["kind"]), box))
    return found


def _in_parts(boxes: Sequence[tuple[int, Sequence[float]]], row: Row, table: Path) -> tuple[Float32, Int64]:
    """Scale boxes in pixels to fractions of width and height."""
    try:
        width, height = float(row["width"]), float(row["height"])
    except (KeyError, ValueError):
        raise CatalogueError(f"{table}: expected width and height of {row}, in pixels") from None
    scale = np.array([width, height, width, height], dtype=np.float32)
    corners = np.array([box for _, box in boxes], dtype=np.float32).reshape(-1, 4) / scale
    return corners.clip(0, 1), np.array([kind for kind, _ in boxes], dtype=np.int64)


def _class_kinds(table: Path) -> dict[int, int | None]:
    """Kind of each mask class: a position in `KINDS`, -1 if ambiguous, None if not sought."""
    return {
        int(row["class_id"]): None if row["name"] in NOT_SOUGHT else _number(row["name"])
        for row in _rows(table, ("class_id", "name"))
    }


def _of_mask(mask: Path, classes: Mapping[int, int | None]) -> tuple[Float32, Int64]:
    """Bounding box of each kind in a mask."""
    with Image.open(mask) as opened:
        values = np.asarray(opened)
    height, width = values.shape
    kinds = {kind for value in np.unique(values).tolist() if (kind := classes.get(value)) is not None}
    boxes, numbers = [], []
    for kind in sorted(kinds):
        of_kind = np.isin(values, [value for value, its in classes.items() if its == kind])
        parts, count = ndimage.label(of_kind)
        sizes = ndimage.sum_labels(of_kind, parts, np.arange(1, count + 1))
        kept = np.isin(parts, 1 + np.flatnonzero(sizes >= SPECK * sizes.sum()))
        rows, columns = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
        if kept.sum() >= 12:
            boxes.append([columns[0] / width, rows[0] / height, (columns[-1] + 1) / width, (rows[-1] + 1) / height])
            numbers.append(kind)
    return np.array(boxes, dtype=np.float32).reshape(-1, 4), np.array(numbers, dtype=np.int64)


def _one_garment(word: str) -> tuple[Float32, Int64] | None:
    """Whole photo as the box; None for a word without a kind."""
    kind = kind_of(word)
    if kind is None:
        return None
    return np.array([[0, 0, 1, 1]], dtype=np.float32), np.array([KINDS.index(kind)])


def _number(word: str) -> int:
    kind = kind_of(word)
    return UNKNOWN if kind is None else KINDS.index(kind)
