"""Measure how often a search with a photo of a product finds its other photos, by shape and by colour.

    python examples/hit_rate.py TABLE

The table needs a column `product`. `lookalike evaluate` measures much more; this shows the functions below it.
"""

import sys

import numpy as np

import lookalike
from lookalike.evaluation.metrics import hit_rate_at_k, mean_of

K = 5


def found(gallery: lookalike.Retriever, item: lookalike.Item, weights: dict[str, float]) -> list[bool]:
    """Return whether each of the first K answers shows the product of the query item."""
    answer = gallery.search(item=item.id, k=K, weights=weights)
    return [match.item.product == item.product for match in answer.matches]


def main(table: str) -> None:
    """Index, search with every item, and print two hit rates for each weighting."""
    with lookalike.open("hit-rate.gallery") as gallery:
        gallery.index(table)
        _, items = gallery.gallery.list(limit=None)
        for weights in ({"deep": 1.0}, {"color": 1.0}, {"deep": 1.0, "color": 0.3}):
            relevant = np.array([found(gallery, item, weights) for item in items])
            figures = [f"hit_rate@{k} {mean_of(hit_rate_at_k(relevant, k)):.3f}" for k in (1, K)]
            print(weights, *figures)


if __name__ == "__main__":
    main(*sys.argv[1:])
