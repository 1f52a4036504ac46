"""Add the columns `kind`, `type` and `colour` to the tables of the default model's catalogues.

    python bench/add_kinds.py myntra/labels.csv clothing/labels.csv

Writes `kinds.csv` beside each table. Kinds and types are those of `lookalike.kinds`, so that labels of users and
article types of the catalogue with the same meaning agree. An article type outside of them is a kind and a type of its
own; a label outside of them has none. The colour is the family of the base colour (`bench/colour_families.py`).
Users' labels with an article type of the same meaning get that, too.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

from colour_families import family_of
from lookalike.kinds import kind_of, type_of

ARTICLE_TYPES = {
    "t-shirt": "Tshirts",
    "shirt": "Shirts",
    "sweater": "Sweaters",
    "sweatshirt": "Sweatshirts",
    "jeans": "Jeans",
    "blouse": "Tops",
    "jacket": "Jackets",
    "blazer": "Blazers",
    "dress": "Dresses",
    "skirt": "Skirts",
    "shorts": "Shorts",
    "leggings": "Leggings",
    "heels": "Heels",
    "flats": "Flats",
    "handbag": "Handbags",
    "sunglasses": "Sunglasses",
    "belt": "Belts",
    "tie": "Ties",
    "scarf": "Scarves",
}
"""Article type of the catalogue for a type, where one says what the type does."""

USUAL = {"outerwear": "Jackets", "bag": "Handbags", "glasses": "Sunglasses", "hat": "Caps", "trousers": "Trousers"}
"""Article type for a kind where the type says none, since nearly all of that kind are of it."""


def columns(word: str, *, own: bool = False) -> dict[str, str]:
    """Return `kind`, `type` and `articleType` for a word.

    Args:
        word: Label or article type.
        own: Whether a word outside the table of kinds is a kind and a type of its own.
    """
    kind, name = kind_of(word), type_of(word)
    if kind is None and own:
        return {"kind": word.lower(), "type": word.lower(), "articleType": word}
    article = word if own else ARTICLE_TYPES.get(name or "", "") or USUAL.get(kind or "", "")
    return {"kind": kind or "", "type": name or "", "articleType": article}


def add_kinds(table: Path) -> Path:
    """Write `kinds.csv`: the table, which has a column `articleType` or `label`, with the columns added."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        shop = "articleType" in row
        row |= columns(row["articleType"] if shop else row["label"], own=shop)
        row["colour"] = family_of(row.get("baseColour", "")) or ""
    written = table.with_name("kinds.csv")
    with written.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return written


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(add_kinds(Path(name)))
