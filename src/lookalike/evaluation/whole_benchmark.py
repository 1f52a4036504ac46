"""Whether an evaluation is of all queries and the whole gallery of a published benchmark, cropped as in its papers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lookalike.catalogue.benchmark import Benchmark
from lookalike.catalogue.protocol import Catalogue
from lookalike.evaluation.found_boxes import FOUND
from lookalike.evaluation.protocol import Protocol
from lookalike.types import Item

EVERYTHING = ("photos", "products", "pairs", "consumer photos", "shop photos")
"""Published totals of all splits, which are compared where none of the measured splits is published."""


def is_whole(items: Iterable[Item], benchmark: Benchmark | None, protocol: Protocol) -> bool | None:
    """Whether a catalogue has the published totals of what a protocol measures.

    Args:
        items: All items of the catalogue, as many as the lists name.
        benchmark: Its benchmark; None without one.
        protocol: Protocol of the evaluation.

    Returns:
        None if the protocol is not that of the benchmark.
    """
    if benchmark is None or benchmark.name != protocol.name:
        return None
    found = totals(items, benchmark)
    wanted = {
        name: number
        for split in measured_splits(benchmark, protocol)
        for name, number in benchmark.published.items()
        if name.startswith(f"{split} ")
    }
    wanted = wanted or {name: number for name, number in benchmark.published.items() if name in EVERYTHING}
    return all(found.get(name, 0) == number for name, number in wanted.items())


def crops_as_published(catalogue: Catalogue, boxes: bool | float | str | None) -> bool:
    """Whether the photos of a benchmark are cropped as in its papers.

    Args:
        catalogue: Catalogue as it was opened.
        boxes: `boxes` of the evaluation.
    """
    return boxes != FOUND and catalogue.benchmark is not None and catalogue.boxes is catalogue.benchmark.boxes


def measured_splits(benchmark: Benchmark, protocol: Protocol) -> set[str]:
    """Splits that a protocol measures."""
    sides = protocol.sides(benchmark)
    if sides is not None:
        return {*sides.queries.get("split", ()), *sides.gallery.get("split", ())}
    return {benchmark.words.split} if benchmark.words is not None else {"test"}


def totals(items: Iterable[Item], benchmark: Benchmark) -> Mapping[str, int]:
    """Numbers of photos, products, garments, pairs and queries of a catalogue, under their published names."""
    seen: dict[str, set[str]] = {}
    found: dict[str, int] = {"pairs": len(benchmark.pairs)}
    for query in benchmark.modifications:
        found[f"{query.split} queries"] = found.get(f"{query.split} queries", 0) + 1
    for item in items:
        split, source = item.attributes.get("split"), item.attributes.get("source")
        for what in ("", f"{split} ", f"{source} "):
            seen.setdefault(f"{what}photos", set()).add(item.photo)
            if item.product is not None:
                seen.setdefault(f"{what}products", set()).add(item.product)
        found[f"{split} garments"] = found.get(f"{split} garments", 0) + 1
    return found | {name: len(values) for name, values in seen.items()}
