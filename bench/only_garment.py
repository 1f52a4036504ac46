"""Compare a search with the whole photo and with its most prominent garment, for photos of one garment.

    python bench/only_garment.py DATA finder.onnx --kept rows

DATA has the folders `clothing` and `myntra` of labelled photos. Each dev photo of the catalogue, of 224 pixels or more,
and of users searches the other ones of its source, leaving out those of its group of products or its sender; the
nearest is right if it has the same label. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from lookalike.finding.decoding import SURE
from lookalike.finding.finder import Finder
from lookalike.finding.prominence import most_prominent, most_prominent_of_several
from lookalike.types import Bool, Float32, Garment
from worn_data import Shown, catalogue, users
from worn_rows import Describer

CHOICES: dict[str, Callable[[Sequence[Garment]], int | None]] = {
    "the most prominent garment": lambda found: most_prominent(found, kind=None),
    "auto: the same, among several only": most_prominent_of_several,
}


def part_of(photo: Shown, found: Sequence[Garment], number: int | None) -> Shown:
    """A photo with the box of a garment; None is the whole photo."""
    return photo if number is None else replace(photo, box=found[number - 1].box)


def is_right(queries: Float32, rows: Float32, photos: Sequence[Shown]) -> Bool:
    """Whether the nearest photo of another group has the label, (N,)."""
    labels, groups = (np.array([getattr(photo, name) for photo in photos]) for name in ("label", "group"))
    likeness = np.where(groups[:, None] == groups, -np.inf, queries @ rows.T)
    right: Bool = labels[likeness.argmax(axis=1)] == labels
    return right


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("finder", type=Path)
    parser.add_argument("--model", default="default")
    parser.add_argument("--kept", type=Path, required=True, help="Folder for the vectors, so that none is made twice.")
    given = parser.parse_args()
    describer, finder = Describer(given.model, kept=given.kept), Finder(given.finder)
    print("| photos | searched with | boxes taken | right | lost | won |\n|---|---|---|---|---|---|")
    for name, photos in {"catalogue": catalogue(given.data, small=False), "users": users(given.data)}.items():
        found = [finder.find(photo.photo, least=SURE) for photo in photos]
        rows = describer.rows(photos).both
        whole = is_right(rows, rows, photos)
        print(f"| {name} ({len(photos)}) | the whole photo | 0 | {whole.mean():.3f} | | |", flush=True)
        for choice, choose in CHOICES.items():
            numbers = [choose(garments) for garments in found]
            parts = [part_of(*each) for each in zip(photos, found, numbers, strict=True)]
            right = is_right(describer.rows(parts).both, rows, photos)
            taken = sum(number is not None for number in numbers)
            cells = [name, choice, taken, f"{right.mean():.3f}", (whole & ~right).sum(), (right & ~whole).sum()]
            print(f"| {' | '.join(map(str, cells))} |", flush=True)


if __name__ == "__main__":
    main()
