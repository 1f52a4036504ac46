"""Published benchmarks: query and gallery splits, pairs of photos, and published totals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from lookalike.types import Item

BenchmarkName = Literal[
    "attributes", "inshop", "consumer2shop", "deepfashion2", "street2shop", "sop", "cub", "fashioniq", "fashion200k"
]

Selection: TypeAlias = Mapping[str, tuple[str, ...]]
"""Attributes and the values that each may have, such as `{"split": ("test",), "source": ("shop",)}`."""


def selects(selection: Selection, item: Item) -> bool:
    """Whether an item has, for each attribute of a selection, one of its values."""
    return all(item.attributes.get(name) in values for name, values in selection.items())


class Pair(NamedTuple):
    """Consumer photo and shop photo of one product, by item ids.

    An item may be in several pairs; each consumer photo is one query, and each shop photo one gallery item.
    """

    consumer: str
    shop: str
    product: str
    split: str


class Modification(NamedTuple):
    """A query of a photo and words that say how another photo differs from it, by item ids."""

    candidate: str
    target: str
    captions: tuple[str, ...]
    category: str
    split: str


@dataclass(frozen=True, slots=True)
class Sides:
    """Queries and gallery of a protocol; a match is relevant when it has the product of the query.

    Attributes:
        queries: Items that ask.
        gallery: Items that answer. Queries and gallery have no item in common, or are the same with `leave_one_out`.
        leave_one_out: Whether each item of the gallery asks for the others; a photo never answers itself.
        within: Attribute whose value a query and its answers share, such as `category`: each value is a retrieval of
            its own; empty for one retrieval.
        depths: The k of the hit rates that papers print for this benchmark; empty takes the usual ones.
    """

    queries: Selection
    gallery: Selection
    leave_one_out: bool = False
    within: str = ""
    depths: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class WordSides:
    """Queries of a photo and words, and what answers them.

    Attributes:
        split: Split whose queries are measured; its photos are the gallery.
        depths: The k of the hit rates that papers print.
        same: Attribute whose value every right answer shares with the target; empty for the target alone.
        within: Attribute whose value a query and its answers share; the mean weighs each value equally. Empty for none.
        itself: Whether the photo of a query is in the gallery.
    """

    split: str
    depths: tuple[int, ...]
    same: str = ""
    within: str = ""
    itself: bool = True


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Published benchmark of a catalogue; the attribute `split` of each item is the published split.

    Attributes:
        name: Name, as for `lookalike evaluate --protocol`.
        sides: Pairs of query and gallery sets by name, the official one first; empty for `attributes`, which has
            classes and no queries.
        pairs: Pairs of Consumer-to-shop; empty for other benchmarks.
        words: What is measured of the queries of a photo and words; None for benchmarks of photos alone.
        modifications: Queries of a photo and words; empty for benchmarks of photos alone.
        category_types: For each category by name, in the published order: `upper`, `lower` or `full`.
        attribute_types: For each attribute by name, in the published order, its type, such as `texture`. An item's
            attribute `attributes` lists those that it is known to have.
        answers: Products that answer a query by the id of its item, where they are more than its own.
        published: Published totals by name, such as `query photos`; a subset of the data has other totals.
        boxes: Whether the published figures are for photos cropped to their boxes.
        of_garments: Whether an item is a garment, of which a photo may show several.
    """

    name: BenchmarkName
    sides: Mapping[str, Sides] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    words: WordSides | None = None
    modifications: tuple[Modification, ...] = ()
    category_types: Mapping[str, str] = field(default_factory=dict)
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
    boxes: bool = True
    of_garments: bool = False
