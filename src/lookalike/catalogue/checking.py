"""Checks of catalogues: counts by split, missing photos, queries without relevant items, and malformed files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lookalike.catalogue.benchmark import Benchmark, Sides, selects
from lookalike.catalogue.folder_layouts import Layout, recognise
from lookalike.catalogue.leaks import Leak, LeakSearch
from lookalike.catalogue.opening import open_unlogged
from lookalike.catalogue.protocol import Catalogue
from lookalike.errors import AnnotationErrors, CatalogueError
from lookalike.types import Item

COLUMNS = ("photos", "garments", "products", "pairs", "query", "gallery")
WHOLE = "all"
UNSPLIT = "none"
"""Names of the split when no item has one, and when an item among others has none."""


@dataclass(slots=True)
class SplitTotals:
    """Counts of one split.

    Attributes:
        photos: Number of photos.
        products: Number of distinct products; 0 where the catalogue has none.
        pairs: Number of pairs of a consumer and a shop photo; this and the following are None except in
            Consumer-to-shop.
        query: Consumers' photos.
        gallery: Shops' photos, each once.
        garments: Garments in the photos; None except in DeepFashion2.
    """

    photos: int = 0
    products: int = 0
    pairs: int | None = None
    query: int | None = None
    gallery: int | None = None
    garments: int | None = None

    def to_json(self) -> dict[str, Any]:
        """Counts by name, without those that are None."""
        numbers = {name: getattr(self, name) for name in COLUMNS}
        return {name: number for name, number in numbers.items() if number is not None}


@dataclass(slots=True)
class Check:
    """Result of a check.

    Attributes:
        kind: `Catalogue.kind`; None when the catalogue cannot be recognised.
        source: Source of the catalogue.
        splits: Totals by the items' attribute `split`.
        missing: Paths of photos that do not exist, as written in the catalogue.
        skipped: Rows, files and links that are no items, such as of a repeated id; the notes have the reasons.
        unanswerable: Ids of queries without a relevant item whose photo exists.
        leaks: Photos of one content in several splits.
        problems: Errors that make the catalogue unusable.
        notes: Harmless remarks, such as totals that differ from the published ones.
    """

    kind: str | None
    source: str
    splits: dict[str, SplitTotals] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    unanswerable: list[str] = field(default_factory=list)
    leaks: list[Leak] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON form, as printed by `lookalike catalogue check --json`."""
        return {
            "kind": self.kind,
            "source": self.source,
            "splits": {name: totals.to_json() for name, totals in self.splits.items()},
            "missing": self.missing,
            "skipped": self.skipped,
            "unanswerable": self.unanswerable,
            "leaks": [leak.to_json() for leak in self.leaks],
            "problems": self.problems,
            "notes": self.notes,
        }


def check_catalogue(
    source: str,
    *,
    columns: Mapping[str, str] | None = None,
    encoding: str | None = None,
    exclude: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Check:
    """Check a catalogue; photos are not decoded, and only read where files in several splits have the same length.

    Args:
        source: Source, see `lookalike.catalogue.open_catalogue`.
        columns: Names of columns, see `open_catalogue`.
        encoding: Encoding of a CSV table, see `open_catalogue`.
        exclude: Globs to leave out, see `open_catalogue`.
        progress: Called every 1,000 items with the number of items checked and the total.

    Raises:
        UsageError: There is no such source.
    """
    try:
        catalogue = open_unlogged(source, columns=columns, encoding=encoding, exclude=exclude)
    except CatalogueError as error:
        path = Path(source)
        if not os.path.exists(path):  # noqa: PTH110 - which is never an error of its own
            raise
        problems = error.problems if isinstance(error, AnnotationErrors) else (error,)
        kind = _layout(path)
        check = Check("attributes" if kind == "fine" else kind, source, problems=[str(one) for one in problems])
        if isinstance(error, AnnotationErrors) and not error.complete:
            check.notes.append(f"reading stopped after {len(problems)} problems; there may be more")
        return check
    check = Check(catalogue.kind, catalogue.source, notes=list(catalogue.notes))
    check.skipped = [skip.photo for skip in catalogue.skipped]
    check.notes += [f"{skip.photo}: {skip.reason}" for skip in catalogue.skipped]
    totals = _look_through(catalogue, check, progress=progress)
    if catalogue.benchmark:
        _compare_totals(catalogue.benchmark, check, totals)
    return check


def _layout(path: Path) -> Layout | None:
    """Layout of a folder that cannot be opened."""
    try:
        return recognise(path) if path.is_dir() else None
    except (CatalogueError, OSError):
        return None


def _look_through(catalogue: Catalogue, check: Check, *, progress: Callable[[int, int], None] | None) -> dict[str, int]:
    """Count items and missing photos in one pass; returns totals of all splits by name."""
    products: dict[str, set[str]] = {}
    sides, leaks = _Sides(catalogue.benchmark), LeakSearch()
    of_garments = catalogue.benchmark is not None and catalogue.benchmark.of_garments
    before = ""
    for number, item in enumerate(catalogue.items(), start=1):
        split = str(item.attributes.get("split") or UNSPLIT)
        totals = check.splits.setdefault(split, SplitTotals())
        totals.photos += 1
        if of_garments:
            totals.garments = (totals.garments or 0) + 1
            totals.photos -= item.photo == before
            before = item.photo
        if item.product is not None:
            products.setdefault(split, set()).add(item.product)
        is_there = leaks.take(split, item)
        if not is_there:
            check.missing.append(item.photo)
        sides.take(item, is_there=is_there)
        if progress and number % 1000 == 0:
            progress(number, catalogue.count)
    if list(check.splits) == [UNSPLIT]:
        check.splits[WHOLE] = check.splits.pop(UNSPLIT)
        products[WHOLE] = products.pop(UNSPLIT, set())
    for split, totals in check.splits.items():
        totals.products = len(products.get(split, ()))
        if catalogue.benchmark and catalogue.benchmark.pairs:
            totals.pairs = sum(pair.split == split for pair in catalogue.benchmark.pairs)
            totals.query = sides.of_source["consumer", split]
            totals.gallery = sides.of_source["shop", split]
    check.unanswerable = sides.unanswerable()
    check.leaks = [*leaks.leaks()]
    photos = {f"{source} photos": len(photos) for source, photos in sides.photos.items()}
    return {"products": len(set().union(*products.values())), **photos}


class _Sides:
    """Queries and products of the gallery, by the benchmark; without one, every photo is a query among the others."""

    def __init__(self, benchmark: Benchmark | None) -> None:
        among_all = {"all": Sides({}, {}, leave_one_out=True)}
        self._sides: Sequence[Sides] = [*(among_all if benchmark is None else benchmark.sides).values()]
        self._asking: list[list[tuple[str, str, object]]] = [[] for _ in self._sides]
        self._answering: list[Counter[tuple[str, object]]] = [Counter() for _ in self._sides]
        self._of_sources = benchmark is not None and "shop photos" in benchmark.published
        self._answers = benchmark.answers if benchmark else {}
        self.of_source: Counter[tuple[object, str]] = Counter()
        self.photos: dict[object, set[str]] = {}

    def take(self, item: Item, *, is_there: bool) -> None:
        """Add an item; an item whose photo is missing is not in the gallery."""
        source = item.attributes.get("source")
        self.of_source[source, str(item.attributes.get("split"))] += 1
        if self._of_sources:
            self.photos.setdefault(source, set()).add(item.photo)
        if item.product is None:
            return
        for sides, asking, answering in zip(self._sides, self._asking, self._answering, strict=True):
            group = item.attributes.get(sides.within) if sides.within else None
            if selects(sides.queries, item):
                asking += [(item.id, product, group) for product in self._answers.get(item.id, (item.product,))]
            if is_there and selects(sides.gallery, item):
                answering[item.product, group] += 1

    def unanswerable(self) -> list[str]:
        """Ids of queries without a relevant item."""
        unanswerable: dict[str, None] = {}
        for sides, asking, answering in zip(self._sides, self._asking, self._answering, strict=True):
            right: Counter[str] = Counter()
            for item_id, product, group in asking:
                right[item_id] += answering[product, group]
            unanswerable |= dict.fromkeys(
                item_id for item_id, count in right.items() if count < (2 if sides.leave_one_out else 1)
            )
        return [*unanswerable]


def _compare_totals(benchmark: Benchmark, check: Check, of_all: Mapping[str, int]) -> None:
    """Note totals that differ from the published ones, as those of a subset do."""
    totals = check.splits.values()
    found = {
        "photos": sum(one.photos for one in totals),
        **of_all,
        "pairs": len(benchmark.pairs),
        **Counter(f"{query.split} queries" for query in benchmark.modifications),
        "categories": len(benchmark.category_types),
        "attributes": len(benchmark.attribute_types),
        **{f"{split} photos": one.photos for split, one in check.splits.items()},
        **{f"{split} products": one.products for split, one in check.splits.items()},
        **{f"{split} garments": one.garments or 0 for split, one in check.splits.items()},
    }
    different = [
        f"{name} {found.get(name, 0):,} ({number:,})"
        for name, number in benchmark.published.items()
        if found.get(name, 0) != number
    ]
    if different:
        check.notes.append(f"not as published (in brackets): {', '.join(different)}")
