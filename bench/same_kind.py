"""Measure answers with and without the restriction to the kind that the model sees in the query photo.

    python bench/same_kind.py myntra/kinds.csv --queries clothing/kinds.csv --queries street/worn.csv

The tables have the columns `file`, `kind` and `split`; the photos of the dev split ask and answer, whole or by their
boxes. Prints a Markdown table: how often the first answer, and how many of the first ten, are of the right kind,
without the restriction, among items with the kind of the catalogue (always, or with `auto` where the photo probably
shows a kind), and among items with a tag of the model as `lookalike tag` gives it. A photo in which the model sees no
garment asks all items.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence

import numpy as np

from lookalike.embedding.embedder import PhotoEmbedder
from lookalike.embedding.labels import KIND, labels_of
from lookalike.embedding.model_loading import open_network
from lookalike.retrieval.same_kind import PROBABLE
from lookalike.tuning.labelled_photos import LabelledPhotos, PhotoEmbedding, labelled_items
from lookalike.tuning.tagging import LEAST

K = 10
MOST = 1000


def kinds_seen(photos: LabelledPhotos, classes: Mapping[str, Sequence[str]], *, least: float) -> list[str]:
    """Most probable kind of each photo; empty if it shows no garment, or below a probability."""
    seen = []
    for at in range(len(photos.items)):
        row = {KIND: photos.labels[KIND][at : at + 1]}
        [(kind, probability)] = labels_of(row, {KIND: classes[KIND]}).shown[KIND][:1] or [("", 0.0)]
        seen.append(kind if probability >= least else "")
    return seen


def measured(queries: LabelledPhotos, asked: Sequence[str], gallery: LabelledPhotos, kinds: Sequence[str]) -> str:
    """Cells of the table: share of right first answers, and of right answers among the first ten.

    Args:
        queries: Query photos.
        asked: Kind that each query is restricted to; empty for none.
        gallery: Photos that answer.
        kinds: Kind of each of them, as the restriction knows it.
    """
    known, truth = np.array(kinds), np.array(gallery.kinds)
    places = {(item.location, item.box): place for place, item in enumerate(gallery.items)}
    first, ten = [], []
    for item, kind, wanted, vector in zip(queries.items, queries.kinds, asked, queries.vectors, strict=True):
        allowed = known == wanted if wanted else np.ones(len(known), dtype=np.bool_)
        if (own := places.get((item.location, item.box))) is not None:
            allowed[own] = False
        rows = np.flatnonzero(allowed)
        best = rows[np.argsort(-(gallery.vectors[rows] @ vector), kind="stable")[:K]]
        right = truth[best] == kind
        first.append(bool(right[:1].any()))
        ten.append(right.sum() / K)
    return f"{np.mean(first):.3f}, {np.mean(ten):.3f}"


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue")
    parser.add_argument("--queries", action="append", default=[])
    parser.add_argument("--model", default="default")
    arguments = parser.parse_args()
    network = open_network(arguments.model)
    embedder = PhotoEmbedder(network)
    read = {
        source: labelled_items([source], kind=KIND, columns={"image": "file"}, where="split = 'dev'", most=most)
        for source, most in [(arguments.catalogue, None), *((source, MOST) for source in arguments.queries)]
    }
    embedding = PhotoEmbedding(embedder, total=sum(map(len, read.values())), progress=None)
    photos = {source: embedding.embed(items, kind=KIND) for source, items in read.items()}
    gallery = photos[arguments.catalogue]
    tags = kinds_seen(gallery, embedder.labels, least=LEAST)
    print("| queries | all items | by the catalogue's kind | auto | by tags |")
    print("|---|---|---|---|---|")
    for source in arguments.queries:
        queries = photos[source]
        seen, probable = (kinds_seen(queries, embedder.labels, least=least) for least in (0.0, PROBABLE))
        none = [""] * len(queries.items)
        own = gallery.kinds
        sides = ((none, own), (seen, own), (probable, own), (seen, tags))
        cells = [measured(queries, asked, gallery, kinds) for asked, kinds in sides]
        print(f"| {source}, {len(queries.items):,} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
