"""Benchmark of answers of products, and of relevant matches in another order, beside answers of photos."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import numpy as np

from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.request import SearchRequest
from lookalike.retrieval.examples import Examples
from lookalike.retrieval.results import search_gallery
from lookalike.spaces import Space, unit_rows
from lookalike.types import Float32, Item

SPACES = (Space("deep", 512, "drawn"), Space("color", 30, "drawn"))
BATCH = 4096
QUERIES = 200


def catalogue(rows: int, *, photos: int, seed: int = 0) -> tuple[list[str], dict[str, Float32]]:
    """Draw products of about `photos` photos each: their names by photo, and vectors near each product's own."""
    random = np.random.default_rng(seed)
    owners = random.integers(rows // photos, size=rows)
    vectors = {}
    for space in SPACES:
        centres = random.standard_normal((1000, space.dimension), dtype=np.float32)
        kinds = centres[random.integers(1000, size=rows // photos)]
        products = kinds + np.float32(0.5) * random.standard_normal(kinds.shape, dtype=np.float32)
        noise = random.standard_normal((rows, space.dimension), dtype=np.float32)
        vectors[space.name] = unit_rows(products[owners] + np.float32(0.7) * noise)
    return [f"p{owner}" for owner in owners.tolist()], vectors


def fill(folder: Path, names: list[str], vectors: dict[str, Float32]) -> None:
    """Fill a gallery, and build its index."""
    with LocalGallery(folder, create=True) as gallery:
        for start in range(0, len(names), BATCH):
            part = slice(start, start + BATCH)
            items = [
                Item(str(number), f"{number}.jpg", product=name, attributes={"price": number % 90, "season": "Summer"})
                for number, name in enumerate(names[part], start=start)
            ]
            gallery.add(items, {name: rows[part] for name, rows in vectors.items()}, spaces=SPACES)
        gallery.optimise()


def asking(gallery: LocalGallery, vectors: dict[str, Float32], **options: object) -> Callable[[int], int]:
    """A search by the photo of a row; it returns the number of products among the matches."""
    request = SearchRequest(**options).resolved(SPACES, stored=None)  # type: ignore[arg-type]

    def ask(row: int) -> int:
        query = {name: rows[row : row + 1] for name, rows in vectors.items()}
        matches = search_gallery(gallery, query, request, Examples((), (), (), ()), None).matches
        return len({match.item.product for match in matches})

    return ask


def main() -> None:
    """Measure in turns, and print the median processor time in milliseconds, which other programs do not change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=139_709)
    parser.add_argument("--photos", type=int, default=4, help="Photos of a product.")
    given = parser.parse_args()
    names, vectors = catalogue(given.rows, photos=given.photos)
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "shop.gallery", names, vectors)
        with LocalGallery(Path(folder) / "shop.gallery") as gallery:
            for k in (10, 50):
                ways = {
                    "photos": asking(gallery, vectors, k=k),
                    "products": asking(gallery, vectors, k=k, group="product"),
                    "photos, page 1": asking(gallery, vectors, k=k, offset=0),
                    "products, page 1": asking(gallery, vectors, k=k, offset=0, group="product"),
                    "products, sorted": asking(gallery, vectors, k=k, group="product", sort="price"),
                    "products, diverse": asking(gallery, vectors, k=k, group="product", diversity=0.3),
                    "products, counted": asking(gallery, vectors, k=k, group="product", facets=True),
                }
                report(ways, k=k, rows=given.rows)


def report(ways: dict[str, Callable[[int], int]], *, k: int, rows: int) -> None:
    """Ask the same rows in each way, and print the median processor time and the mean number of products."""
    random = np.random.default_rng(1)
    times: dict[str, list[float]] = {name: [] for name in ways}
    products: dict[str, list[int]] = {name: [] for name in ways}
    for row in random.integers(rows, size=QUERIES + 5).tolist():
        for name, ask in ways.items():
            started = process_time()
            products[name].append(ask(row))
            times[name].append((process_time() - started) * 1000)
    for name in ways:
        took, found = median(times[name][5:]), sum(products[name]) / len(products[name])
        sys.stdout.write(f"k {k:>3}  {name:<17} {took:8.2f} ms  {found:6.1f} products\n")


if __name__ == "__main__":
    main()
