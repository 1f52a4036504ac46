"""Map the labels of the default model's two catalogues to common kinds of garment, in a new column `kind`.

    python bench/add_kinds.py myntra/labels.csv clothing/labels.csv

Writes `kinds.csv` beside each table. Labels of users' photos and article types of the catalogue with the same meaning
get the same kind. Other article types are kinds of their own; other labels have none.
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
    """Write `kinds.csv`: the table, which has a column `articleType` or `label`, with the column `kind` added."""
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
