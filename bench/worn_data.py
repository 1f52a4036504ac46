"""Photos of the measurement of worn garments: queries with their boxes, users' photos, the catalogue."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from colour_families import family_of
from lookalike.finding.boxes import intersection_over_union
from lookalike.finding.decoding import LISTED
from lookalike.images import open_image
from lookalike.kinds import kind_of, type_of
from lookalike.retrieval.garment_choice import shown_in
from lookalike.types import Box, Garment
from worn_crops import is_visible, of_boxes, of_masks, rows_of

KINDS = ("top", "outerwear", "dress", "skirt", "trousers", "shorts", "shoes", "bag")
"""Kinds that are asked for."""

CCP, FASHIONPEDIA, CFPD = SOURCES = ("ccp", "Fashionpedia", "cfpd")
"""Sources of street photos; Fashionpedia's are only for measuring."""

LARGE = ("p225x300", "sq224")
"""Sizes of catalogue photos of 224 pixels or more."""

SAME = 0.5
"""Least intersection over union at which a found box is that of a true garment."""

MARGIN = 0.1
"""Margin on each side of a box, as a fraction of that side."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo, or a part of it, that shows a garment or none.

    Attributes:
        photo: Path of the photo.
        source: Where it comes from.
        kind: Kind of the garment; empty where unknown.
        type: Type of the garment; empty where open.
        colour: Colour family; empty where unknown.
        label: Label in its source.
        group: Photos of one group do not answer each other.
        box: Part of the photo; None is all of it.
        seen: Kind that the finder sees there; empty if none is known.
    """

    photo: Path
    source: str
    kind: str
    type: str = ""
    colour: str = ""
    label: str = ""
    group: str = ""
    box: Box | None = None
    seen: str = ""


View = Callable[[Shown], Shown]
"""What of its photo is described for a query."""


def street(data: Path) -> list[Shown]:
    """True garments of street photos, of the kinds that are asked for."""
    sources = {row["file"]: row["source"] for row in rows_of(data / "street/labels.csv")}
    tables = (data / "street/labels.csv", data / "street/boxes.csv", "use")
    measured = [row for row in of_boxes(*tables, parts=("measure",)) if sources[row["file"]] == "fashionpedia-val"]
    parts = {
        CCP: ("ccp", of_masks(data / "ccp/labels.csv", data / "ccp/classes.csv", "split", parts=("dev",))),
        FASHIONPEDIA: ("street", paired(measured)),
        CFPD: ("street", of_boxes(*tables, parts=("dev",))),
    }
    return [
        Shown(
            data / folder / row["file"],
            source,
            row["kind"],
            row["type"],
            row["colour"],
            group=row["file"],
            box=Box.parse(row["box"]),
        )
        for source, (folder, rows) in parts.items()
        for row in rows
        if row["kind"] in KINDS and is_visible(row)
    ]


def paired(rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Join the boxes of two shoes, neighbours from left to right, to that of the pair."""
    by_photo: dict[str, list[dict[str, str]]] = defaultdict(list)
    others = []
    for row in rows:
        if row["kind"] == "shoes":
            by_photo[row["file"]].append(row)
        else:
            others.append(row)
    for shoes in by_photo.values():
        shoes.sort(key=lambda row: Box.parse(row["box"]).x1)
        for place in range(0, len(shoes), 2):
            corners = np.array([Box.parse(row["box"]).to_list() for row in shoes[place : place + 2]])
            joined = Box(*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
            others.append({**shoes[place], "box": str(joined)})
    return others


def users(data: Path) -> list[Shown]:
    """Users' dev photos with a label that names a kind."""
    return [
        Shown(
            data / "clothing" / row["file"],
            "users",
            kind,
            type_of(row["label"]) or "",
            label=row["label"],
            group=row["sender_id"],
        )
        for row in rows_of(data / "clothing/labels.csv")
        if row["split"] == "dev" and (kind := kind_of(row["label"]))
    ]


def catalogue(data: Path, *, small: bool) -> list[Shown]:
    """Dev photos of the catalogue, of 224 pixels or more, or with the small ones."""
    return [
        Shown(
            data / "myntra" / row["file"],
            "catalogue",
            kind_of(row["articleType"]) or "",
            type_of(row["articleType"]) or "",
            family_of(row["baseColour"]) or "",
            row["articleType"],
            row["group_id"],
        )
        for row in rows_of(data / "myntra/labels.csv")
        if row["split"] == "dev" and (small or row["photo"] in LARGE)
    ]


def no_garments(table: Path) -> list[Shown]:
    """Dev pictures of the set that `bench/no_garments.py` makes; their label is what they show."""
    rows = [row for row in rows_of(table) if row["split"] == "dev"]
    return [Shown(table.parent / row["file"], "nothing", "", label=row["sort"]) for row in rows]


def whole(query: Shown) -> Shown:
    """View of the whole photo."""
    return replace(query, box=None)


def as_it_is(query: Shown) -> Shown:
    """View of the query's own part."""
    return query


def widened(shape: float, *, margin: float = 0.0) -> View:
    """View of a box with a margin, widened to an aspect ratio (width / height) with what is around it."""

    def view(query: Shown) -> Shown:
        if query.box is None:
            return query
        size = np.array(open_image(query.photo).size, dtype=np.float64)
        low, high = np.array(query.box.to_list()).reshape(2, 2)
        sides = (high - low) * (1 + 2 * margin)
        sides = np.maximum(sides, [sides[1] * shape, sides[0] / shape])
        centre = (low + high) / 2
        centre = np.where(sides < size, centre.clip(sides / 2, size - sides / 2), centre)  # moved into the photo
        corners = np.concatenate([(centre - sides / 2).clip(0), np.minimum(centre + sides / 2, size)])
        return replace(query, box=Box(*corners.tolist()))

    return view


def as_found(garments: Mapping[Path, Sequence[Garment]]) -> View:
    """View of the found garment that overlaps the true one best, else of the whole photo."""

    def view(query: Shown) -> Shown:
        found = [garment.box for garment in garments[query.photo] if garment.score >= LISTED]
        if not found or query.box is None:
            return whole(query)
        boxes = np.array([box.to_list() for box in found], dtype=np.float32)
        overlaps = intersection_over_union(np.array([query.box.to_list()], dtype=np.float32), boxes)[0]
        best = int(overlaps.argmax())
        return replace(query, box=found[best] if overlaps[best] >= SAME else None)

    return view


def kind_seen(garments: Mapping[Path, Sequence[Garment]]) -> View:
    """View of a garment's box, with the kind of the found garment in it, as a search looks at a box."""

    def view(query: Shown) -> Shown:
        found = query.box and shown_in(query.box, garments[query.photo])
        return replace(query, seen=found.kind) if found else query

    return view
