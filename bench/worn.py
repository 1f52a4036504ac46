"""Measure what photos of people, and of nothing, get as answers.

    python bench/worn.py DATA default other.onnx --kept rows --nothing no-garments/labels.csv
    python bench/worn.py DATA other.onnx --kept rows --finder finder.onnx --sheets sheets

DATA has the folders `ccp`, `street`, `clothing` and `myntra` of labelled photos. Prints Markdown tables: first answers
of the right kind, of the right kind and colour; answers to users' photos; how unevenly catalogue photos are found; how
well pictures without garments are refused. Only dev photos and, of Fashionpedia, photos that are only for measuring are
asked; the galleries are the catalogue's dev photos of 224 pixels or more, all of them, and of these the garments of the
kinds that are asked for. With --sheets, 60 pictures of a query with its ten answers are written for each model.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from lookalike.finding.finder import Finder
from lookalike.retrieval.garment_choice import NAMED
from lookalike.types import Bool, Float32, Garment, Int64
from worn_data import (
    CCP,
    KINDS,
    MARGIN,
    SOURCES,
    Shown,
    View,
    as_found,
    as_it_is,
    catalogue,
    kind_seen,
    no_garments,
    street,
    users,
    whole,
    widened,
)
from worn_rows import Describer, Rows
from worn_sheets import write_sheets

K = 10
HUBS = 10

LARGE, ALL, ASKED = "large photos", "all photos", "all of the kinds asked for"
BOX = "true box, stretched"

VECTORS: Mapping[str, Callable[[Rows], Float32]] = {
    "deep, color": lambda rows: rows.both,
    "deep": lambda rows: rows.deep,
}
"""Vectors by name: those of the default weights, and those of the network alone."""

UNTOLD = {"long-sleeve": "t-shirt"}
"""Types that article types of the catalogue do not tell from another one."""

REFUSED = 0.02
"""Part of the photos of garments that may be refused."""


@dataclass(frozen=True, slots=True)
class Photos:
    """All photos of the measurement.

    Attributes:
        street: Garments of street photos.
        users: Users' photos.
        galleries: Catalogue photos by name of the gallery.
        nothing: Pictures without garments.
    """

    street: Sequence[Shown]
    users: Sequence[Shown]
    galleries: Mapping[str, Sequence[Shown]]
    nothing: Sequence[Shown]


@dataclass(frozen=True, slots=True)
class Described:
    """A model's rows of all photos; street photos' by view."""

    model: str
    street: Mapping[str, Rows]
    users: Rows
    galleries: Mapping[str, Rows]
    nothing: Rows | None


def described(
    model: str, photos: Photos, *, kept: Path, garments: Mapping[Path, Sequence[Garment]] | None
) -> Described:
    """Describe all photos by a model; `garments` are those that the finder found, by photo."""
    describer = Describer(model, kept=kept)
    wide = widened(describer.shape)
    views: dict[str, View] = {
        "whole photo": whole,
        BOX: as_it_is,
        "true box, widened": wide,
        f"true box, {MARGIN:.0%} margin, widened": widened(describer.shape, margin=MARGIN),
    }
    if garments is not None:
        found, seen = as_found(garments), kind_seen(garments)
        views |= {
            "true box, stretched, kind seen": seen,
            "found box, stretched": found,
            "found box, stretched, kind seen": lambda query: seen(found(query)),
            "found box, widened": lambda query: wide(found(query)),
        }
    return Described(
        Path(model).stem,
        {name: describer.rows([view(query) for query in photos.street]) for name, view in views.items()},
        describer.rows(photos.users),
        {name: describer.rows(items) for name, items in photos.galleries.items()},
        describer.rows(photos.nothing) if photos.nothing else None,
    )


def nearest(queries: Float32, gallery: Float32) -> Int64:
    """Places (Q, K) of the nearest of each query, the nearest first."""
    return np.argsort(-queries @ gallery.T, axis=1, kind="stable")[:, :K]


def column(photos: Sequence[Shown], name: str) -> np.ndarray:
    """An attribute of all photos."""
    return np.array([getattr(photo, name) for photo in photos])


def heading(title: str, *cells: str) -> None:
    """Print a heading, and the head of a table."""
    print(f"\n## {title}\n")
    line(*cells)
    print(f"|{'---|' * len(cells)}")


def line(*cells: object) -> None:
    """Print a row of a table."""
    print(f"| {' | '.join(f'{cell:.3f}' if isinstance(cell, float) else str(cell) for cell in cells)} |", flush=True)


def rates(right: Bool, labels: np.ndarray, order: Sequence[str]) -> str:
    """Mean of `right` by label."""
    return ", ".join(f"{label} {right[labels == label].mean():.2f}" for label in order if (labels == label).any())


def print_kinds(photos: Photos, models: Sequence[Described]) -> None:
    """Print how often the first answer is of the right kind, by source and by kind."""
    sources, kinds, colours = (column(photos.street, name) for name in ("source", "kind", "colour"))
    counts = [f"{source} ({(sources == source).sum()})" for source in SOURCES]
    heads = ["model", "vectors", "catalogue", "looked at"]
    ours = sources == CCP
    by_kind = []
    heading("Street photos: first answer of the right kind", *heads, *counts, f"{CCP}: and colour", "colour alone")
    for model in models:
        for name, items in photos.galleries.items():
            their_kinds, their_colours = column(items, "kind"), column(items, "colour")
            for vectors, of in VECTORS.items():
                for view, rows in model.street.items():
                    first = nearest(of(rows), of(model.galleries[name]))[:, 0]
                    right, tinted = their_kinds[first] == kinds, their_colours[first] == colours
                    shares = [right[sources == source].mean() for source in SOURCES]
                    line(model.model, vectors, name, view, *shares, (right & tinted)[ours].mean(), tinted[ours].mean())
                    by_kind.append((model.model, vectors, name, view, rates(right, kinds, KINDS)))
    asked = Counter(kinds.tolist())
    heading("The same by kind, all sources", *heads, ", ".join(f"{kind} ({asked[kind]})" for kind in KINDS))
    for cells in by_kind:
        line(*cells)


def print_users(photos: Photos, models: Sequence[Described]) -> None:
    """Print what users' photos get: from the catalogue, and from other users."""
    labels, types, kinds, senders = (column(photos.users, name) for name in ("label", "type", "kind", "group"))
    wanted = np.array([UNTOLD.get(name, name) for name in types.tolist()])
    heading(
        f"Users' photos ({len(labels)})",
        *("model", "vectors", "catalogue", "first of its kind", "first of its type", "of the first ten"),
        *("first of its type, by label", "another user's nearest photo has the label"),
    )
    for model in models:
        for name in (LARGE, ALL):
            items = photos.galleries[name]
            for vectors, of in VECTORS.items():
                answers = nearest(of(model.users), of(model.galleries[name]))
                of_kind = column(items, "kind")[answers] == kinds[:, None]
                of_type = np.where(wanted[:, None] == "", of_kind, column(items, "type")[answers] == wanted[:, None])
                likeness = np.where(senders[:, None] == senders, -np.inf, of(model.users) @ of(model.users).T)
                same = float((labels[likeness.argmax(axis=1)] == labels).mean())
                by_label = rates(of_type[:, 0], labels, [label for label, _ in Counter(labels.tolist()).most_common()])
                shares = [float(of_kind[:, 0].mean()), float(of_type[:, 0].mean()), float(of_type.mean())]
                line(model.model, vectors, name, *shares, by_label, same)


def print_hubs(photos: Photos, models: Sequence[Described]) -> None:
    """Print how unevenly catalogue photos are among the ten nearest of street and users' photos.

    Source: Radovanović et al. 2010, Hubs in Space, section 3 (skewness of the number of k-occurrences).
    """
    asked = len(photos.street) + len(photos.users)
    heads = ["model", "vectors", "catalogue", "skew of the 10-occurrence", "never an answer"]
    heading(f"Hubs, {asked} queries", *heads, "most frequent: in how many of the queries' ten")
    for model in models:
        for name in (LARGE, ALL):
            items = photos.galleries[name]
            for vectors, of in VECTORS.items():
                queries = np.concatenate([of(model.street[BOX]), of(model.users)])
                answers = nearest(queries, of(model.galleries[name]))
                counts = np.bincount(answers.ravel(), minlength=len(items))
                hubs = [
                    f"{items[place].photo.stem} {items[place].label} {counts[place] / asked:.3f}"
                    for place in np.argsort(-counts, kind="stable")[:HUBS]
                ]
                skew = f"{stats.skew(counts):.2f}"
                line(model.model, vectors, name, skew, float((counts == 0).mean()), ", ".join(hubs))


def print_refusals(photos: Photos, models: Sequence[Described]) -> None:
    """Print how well pictures without garments are told from photos of garments."""
    sorts = column(photos.nothing, "label")
    heads = ["model", "told by", "AUROC", "refused of them", f"refused garments ({REFUSED:.0%} in all)"]
    heading(f"Pictures without garments ({len(sorts)})", *heads, "refused, by sort")
    for model in models:
        for told, (doubts, doubts_of_nothing) in doubts_by_way(photos, model).items():
            pooled = np.concatenate(list(doubts.values()))
            area = stats.mannwhitneyu(doubts_of_nothing, pooled).statistic / len(pooled) / len(doubts_of_nothing)
            limit = np.quantile(pooled, 1 - REFUSED)
            refused = doubts_of_nothing > limit
            falsely = ", ".join(f"{source} {(each > limit).mean():.3f}" for source, each in doubts.items())
            by_sort = rates(refused, sorts, sorted(set(sorts.tolist())))
            line(model.model, told, float(area), float(refused.mean()), falsely, by_sort)


def doubts_by_way(photos: Photos, model: Described) -> dict[str, tuple[dict[str, Float32], Float32]]:
    """Numbers that are higher the less a photo seems to show a garment, by what they are made of.

    Returns:
        For each way, those of photos of garments by source, and those of pictures without.
    """
    if model.nothing is None:
        return {}
    items, gallery = photos.galleries[LARGE], model.galleries[LARGE]
    first = np.unique([str(query.photo) for query in photos.street], return_index=True)[1]
    groups = column(items, "group")
    among = gallery.both @ gallery.both.T
    doubts = {
        "the first answer's score": (
            {
                "catalogue": -np.where(groups[:, None] == groups, -np.inf, among).max(axis=1),
                "users": -(model.users.both @ gallery.both.T).max(axis=1),
                "street, whole": -(model.street["whole photo"].both[first] @ gallery.both.T).max(axis=1),
                "street, box": -(model.street[BOX].both @ gallery.both.T).max(axis=1),
            },
            -(model.nothing.both @ gallery.both.T).max(axis=1),
        )
    }
    shown = {
        "catalogue": gallery.nothing,
        "users": model.users.nothing,
        "street, whole": None if (rows := model.street["whole photo"].nothing) is None else rows[first],
        "street, box": model.street[BOX].nothing,
    }
    known = {source: rows for source, rows in shown.items() if rows is not None}
    return doubts | (
        {"the class `nothing`": (known, model.nothing.nothing)} if model.nothing.nothing is not None else {}
    )


def main() -> None:
    """Measure all models, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="*", default=["default"])
    parser.add_argument("--kept", type=Path, required=True, help="Folder for the vectors, so that none is made twice.")
    parser.add_argument("--finder", type=Path, help="Finder, for the garments that it finds.")
    parser.add_argument("--nothing", type=Path, help="Table of pictures without garments.")
    parser.add_argument("--sheets", type=Path, help="Folder for pictures of queries and their answers.")
    given = parser.parse_args()
    items = catalogue(given.data, small=True)
    galleries = {
        LARGE: catalogue(given.data, small=False),
        ALL: items,
        ASKED: [item for item in items if item.kind in KINDS],
    }
    nothing = no_garments(given.nothing) if given.nothing else []
    photos = Photos(street(given.data), users(given.data), galleries, nothing)
    garments = None
    if given.finder:
        finder = Finder(given.finder)
        garments = {
            photo: finder.find(photo, least=NAMED) for photo in dict.fromkeys(query.photo for query in photos.street)
        }
    models = [described(model, photos, kept=given.kept, garments=garments) for model in given.models]
    print(", ".join(f"{name}: {len(items)}" for name, items in galleries.items()))
    print_kinds(photos, models)
    print_users(photos, models)
    print_hubs(photos, models)
    if nothing:
        print_refusals(photos, models)
    if given.sheets:
        for model in models:
            rows = model.street[BOX].both, model.galleries[LARGE].both
            write_sheets(given.sheets / model.model, photos.street, galleries[LARGE], likeness=rows[0] @ rows[1].T)


if __name__ == "__main__":
    main()
