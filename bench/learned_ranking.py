"""Measure what a learned ranking adds to the time of a search by an item.

    python bench/learned_ranking.py 6000

Makes a gallery of random vectors with prices, stock and products in a temporary folder, and searches it in turn with
and without a learned ranking over cosines, three attributes and popularity, and for a hundred matches without one.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from time import perf_counter

import numpy as np

import lookalike
from lookalike.embedding.compatibility import model_ids_of
from lookalike.gallery.learned_ranking import LearnedRanking
from lookalike.gallery.local.gallery import LocalGallery
from lookalike.gallery.stored_parameters import StoredWeights
from lookalike.retrieval.learned_order import FIRST
from lookalike.spaces import Space, unit_rows
from lookalike.types import Item

SPACES = (Space("deep", 512, "drawn@1"), Space("color", 96, "drawn-colour@1"))
TURNS = 300
AROUND = 20
"""Items that vary one design, so that about as many are relevant as in a shop."""


def make(folder: Path, count: int) -> None:
    """Fill a gallery."""
    random = np.random.default_rng(0)
    names = ("score:deep", "score:color", "attribute:price", "attribute:in_stock", "attribute:brand:Acme", "popularity")
    items = [
        Item(
            str(number),
            f"{number}.jpg",
            product=f"p{number // 2}",
            attributes={
                "price": round(float(random.lognormal(3.5, 0.6)), 2),
                "in_stock": bool(random.random() < 0.7),
                "brand": ("Acme", "Other")[number % 2],
                "title": f"garment {number}",
            },
        )
        for number in range(count)
    ]
    vectors = {}
    for space in SPACES:
        designs = random.standard_normal((count // AROUND + 1, space.dimension)).repeat(AROUND, axis=0)[:count]
        vectors[space.name] = unit_rows((designs + random.standard_normal((count, space.dimension))).astype(np.float32))
    ranking = LearnedRanking(
        model="+".join(model_ids_of(SPACES)),
        coefficients=dict(zip(names, (1.0, 0.3, -0.5, 0.7, 0.1, 0.4), strict=True)),
        spreads=dict.fromkeys(names, 0.3),
        popularity={f"p{number}": 0.001 * number for number in range(1000)},
    )
    with LocalGallery(folder, create=True) as gallery:
        gallery.add(items, vectors, spaces=SPACES)
        gallery.store_weights(StoredWeights({"deep": 1.0, "color": 0.3}, {}, ranking))


def main() -> None:
    """Search in turn, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("items", type=int)
    count = parser.parse_args().items
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder) / "drawn.gallery", count)
        with lookalike.open(Path(folder) / "drawn.gallery") as shop:
            for group in (None, "product"):
                asked: list[tuple[str, int]] = [("similarity", 10), ("learned", 10), ("similarity", FIRST)]
                took: list[list[float]] = [[] for _ in asked]
                ranked = 0
                for turn in range(TURNS + 10):
                    item = str(turn * 7919 % count)
                    for (ranking, k), times in zip(asked, took, strict=True):
                        started = perf_counter()
                        answer = shop.search(item=item, ranking=ranking, group=group, k=k)
                        times.append(1000 * (perf_counter() - started))
                        ranked += answer.query.relevant or 0  # None by similarity
                plain, learned, hundred = (float(np.median(times[10:])) for times in took)
                print(f"{count:,} items, answers of {group or 'photo'}s, {ranked / (TURNS + 10):.0f} matches ranked:")
                print(f"  {plain:.2f} ms by similarity, {learned:.2f} ms as learned, ratio {learned / plain:.2f}")
                print(f"  {hundred:.2f} ms by similarity for {FIRST} matches")


if __name__ == "__main__":
    main()
