"""Writers of annotation files in the published format: row count, padding, trailing spaces."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from lookalike.catalogue.sample.drawing.cloth import COLORS
from lookalike.catalogue.sample.layouts.garments import Marks, Shot

QUALITY = 90

_WORDS = {
    1: (
        *("floral", "striped", "pinstriped", "checked", "tartan", "dotted", "plain", "star"),
        *("mountains", "heart", "rings", "band"),
    ),
    2: (
        *("denim", "chiffon", "cotton", "leather", "faux-fur", "knit", "lace", "linen", "silk", "velvet", "wool"),
        "crochet",
    ),
    3: (
        *("a-line", "bodycon", "boxy", "cropped", "fit and flare", "high-low", "loose", "maxi", "midi", "mini", "slim"),
        "wrap",
    ),
    4: (
        *("bell-sleeve", "button", "collar", "crew neck", "drawstring", "fringe", "hood", "pocket", "ruffle", "v-neck"),
        *("waist", "zip"),
    ),
    5: (
        *("baseball", "beach", "boho", "chic", "classic", "cute", "party", "preppy", "retro", "sporty", "summer"),
        "workout",
    ),
}


@dataclass(frozen=True, slots=True)
class Drawn:
    """A photo of a layout with its annotations.

    Attributes:
        name: Name in the files, `img/...`.
        product: Its product; empty where the layout has no products.
        box: Box of the garment: x1, y1, x2, y2 in pixels; zeros where the layout has no boxes.
        attributes: Attributes that the item must have when the layout is read.
    """

    name: str
    product: str
    box: tuple[int, int, int, int]
    attributes: dict[str, object]


def vocabulary(count: int) -> list[tuple[str, int]]:
    """Return `count` attributes with their types from 1 to 5, sorted by name; names have spaces and hyphens."""
    bare = [(word, kind) for kind, words in _WORDS.items() for word in words]
    colored = [(f"{color} {word}", kind) for (word, kind), color in product(bare, COLORS)]
    longer = [(f"{color} {word} print", 1) for word, color in product(_WORDS[1], COLORS)]
    return sorted([*bare, *colored, *longer][:count])


def write_annotation(
    path: Path,
    rows: Sequence[Sequence[object]],
    *,
    columns: str = "",
    counted: bool = True,
    trailing: str = " ",
    gap: int = 1,
) -> None:
    """Write an annotation file.

    Args:
        path: Path of the file; its folder is created if missing.
        rows: Fields of each row.
        columns: Column names, for a line before the rows; empty for no such line.
        counted: Whether the first line is the number of rows.
        trailing: Text after the last field of each row.
        gap: Smallest number of spaces between columns.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    width = max((len(str(row[0])) for row in rows), default=0)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        if counted:
            file.write(f"{len(rows)}\n")
        if columns:
            file.write(f"{columns}\n")
        for first, *others in rows:
            padded = f"{first!s:<{width + gap}}" if others else str(first)
            file.write(padded + " ".join(map(str, others)) + trailing + "\n")


def write_rows(path: Path, rows: Iterable[Sequence[object]], *, columns: str = "") -> None:
    """Write a list whose fields are separated by single spaces.

    Args:
        path: Path of the file; its folder is created if missing.
        rows: Fields of each row.
        columns: Column names, for the first line; empty for no such line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [columns] * bool(columns) + [" ".join(map(str, row)) for row in rows]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def write_photo(root: Path, name: str, shot: Shot) -> Marks:
    """Write a photo below a folder, and free its pixels."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    photo, marks = shot
    photo.save(path, quality=QUALITY)
    return marks


def labels(positive: Iterable[str], names: Sequence[str]) -> list[str]:
    """Return a row of labels: 1 for positive names, -1 for others."""
    wanted = set(positive)
    return ["1" if name in wanted else "-1" for name in names]


def numbers(marks: Marks) -> list[str]:
    """Return the numbers of a box as published, with leading zeros."""
    return [f"{corner:03d}" for corner in marks.box]


def triples(marks: Marks) -> list[str]:
    """Return landmarks as published: visibility, x and y of each."""
    return [
        f"{value:03d}" if place else str(value)
        for x, y, seen in marks.landmarks
        for place, value in enumerate((seen, x, y))
    ]
