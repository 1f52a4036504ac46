"""What a published benchmark knows beyond its items: who asks whom, which photos belong together, what was counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from lookalike.types import Item

BenchmarkName = Literal["attributes", "inshop", "consumer2shop"]

Selection: TypeAlias = Mapping[str, tuple[str, ...]]
"""Attributes and the values that each may have, such as `{"split": ("test",), "source": ("shop",)}`."""


def selects(selection: Selection, item: Item) -> bool:
    """Whether an item has, for each attribute of a selection, one of its values."""
    return all(item.attributes.get(name) in values for name, values in selection.items())


class Pair(NamedTuple):
    """A consumer's photo and a shop's photo of the same product, by the ids of their items.

    An item is in as many pairs as it has counterparts: ask each consumer photo once, and keep each shop photo once.
    """

    consumer: str
    shop: str
    product: str
    split: str


@dataclass(frozen=True, slots=True)
class Sides:
    """Who asks, and who may answer; an answer is right when it has the query's `Item.product`.

    The two have no item in common, so there is nobody to exclude.
    """

    queries: Selection
    gallery: Selection


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A published benchmark, beside the items of its catalogue; each item has its published `split` as an attribute.

    Attributes:
        name: As `lookalike evaluate --protocol` calls it.
        sides: Ways of asking by name, the official one first; empty for `attributes`, which has classes and no queries.
        pairs: Of Consumer-to-shop.
        category_types: For each category by name, in the published order: `upper`, `lower` or `full`.
        attribute_types: For each attribute by name, in the published order, its type, such as `texture`. An item's
            attribute `attributes` lists those that it is known to have.
        published: Totals by name, such as `query photos`; what is found may differ, in a part of the data.
    """

    name: BenchmarkName
    sides: Mapping[str, Sides] = field(default_factory=dict)
    pairs: tuple[Pair, ...] = ()
    category_types: Mapping[str, str] = field(default_factory=dict)
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    published: Mapping[str, int] = field(default_factory=dict)
