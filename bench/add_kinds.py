"""Name garments alike in the two catalogues of the default model: adds a column `kind` to their tables.

    python bench/add_kinds.py myntra/labels.csv clothing/labels.csv

Writes `kinds.csv` beside each table. The labels of users' photos and the article types of the catalogue become one word
where they mean the same; other article types keep their own, and other labels have none.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

KINDS = {
    "tee": ("T-Shirt", "Longsleeve", "Polo", "Top", "Tshirts", "Tops", "Tunics"),
    "shirt": ("Shirt", "Blouse", "Shirts"),
    "vest": ("Undershirt", "Innerwear Vests", "Camisoles"),
    "trousers": (
        *("Pants", "Trousers", "Jeans", "Track Pants", "Leggings"),
        *("Capris", "Jeggings", "Churidar"),
    ),
    "shoes": (
        *("Shoes", "Casual Shoes", "Sports Shoes", "Formal Shoes", "Flats", "Heels"),
        *("Sandals", "Sports Sandals", "Flip Flops"),
    ),
    "dress": ("Dress", "Dresses", "Jumpsuit"),
    "shorts": ("Shorts",),
    "jacket": ("Outwear", "Jackets", "Rain Jacket"),
    "skirt": ("Skirt", "Skirts"),
    "cap": ("Hat", "Caps"),
    "sweat": ("Hoodie", "Sweatshirts", "Sweaters"),
    "blazer": ("Blazer", "Blazers", "Waistcoat"),
}
KIND_OF = {word: kind for kind, words in KINDS.items() for word in words}


def add_kinds(table: Path) -> Path:
    """Write the table anew with the column; it has either an `articleType` or a `label`."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        named = row.get("articleType", "")
        row["kind"] = KIND_OF.get(named, named) if named else KIND_OF.get(row.get("label", ""), "")
    written = table.with_name("kinds.csv")
    with written.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return written


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(add_kinds(Path(name)))
