"""Measure how often a user's photo finds garments of its kind in the catalogue.

    python bench/users_to_catalogue.py myntra/kinds.csv clothing/kinds.csv default other.onnx

The tables are those of the default model's recipe, with the column `kind` that `bench/add_kinds.py` adds. Queries are
users' dev photos of kinds that the catalogue has, the gallery is its dev photos of 224 pixels or more; weights are the
defaults.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.model_loading import open_network
from lookalike.images import open_image
from lookalike.spaces import DEFAULT_WEIGHTS, unit_rows
from lookalike.types import Float32

AT_ONCE = 32
LARGE = ("p225x300", "sq224")


def dev_photos(table: Path) -> list[dict[str, str]]:
    """Return the dev rows of a table that have a kind, and where sizes are known a photo of 224 pixels or more."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "dev" and row["kind"]]
    return [row for row in rows if row.get("photo", LARGE[0]) in LARGE]


def described(embedder: PhotoEmbedder, photos: list[Path]) -> Float32:
    """Return (N, D) float32 unit vectors whose dot products are the scores with the default weights."""
    parts = []
    for start in range(0, len(photos), AT_ONCE):
        rows = embedder.embed([open_image(photo, at_least=224) for photo in photos[start : start + AT_ONCE]])
        spaces = [np.sqrt(np.float32(DEFAULT_WEIGHTS[name])) * rows[name] for name in ("deep", "color")]
        parts.append(np.concatenate(spaces, axis=1))
    return unit_rows(np.concatenate(parts))


def main() -> None:
    """Measure all models, and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("users", type=Path)
    parser.add_argument("models", nargs="*", default=["default"])
    given = parser.parse_args()
    shop = dev_photos(given.catalogue)
    kinds = np.array([row["kind"] for row in shop])
    asking = [row for row in dev_photos(given.users) if row["kind"] in kinds]
    wanted = np.array([row["kind"] for row in asking])
    print(f"{len(asking)} users' photos ask {len(shop)} catalogue photos\n")
    print("| model | first of its kind | of the first ten | first, by kind |\n|---|---|---|---|")
    for model in given.models:
        embedder = PhotoEmbedder(open_network(model))
        rows = described(embedder, [given.catalogue.parent / row["file"] for row in shop])
        queries = described(embedder, [given.users.parent / row["file"] for row in asking])
        right = kinds[np.argsort(-queries @ rows.T, axis=1)[:, :10]] == wanted[:, np.newaxis]
        by_kind = ", ".join(f"{kind} {right[wanted == kind, 0].mean():.2f}" for kind in sorted(set(wanted.tolist())))
        print(f"| {model} | {right[:, 0].mean():.3f} | {right.mean():.3f} | {by_kind} |", flush=True)


if __name__ == "__main__":
    main()
